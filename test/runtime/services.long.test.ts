import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startModelServer } from '../services/model-server.ts'
import { type Ground, openGround, teamOn } from './team.ts'

let ground: Ground
beforeAll(async () => {
  ground = await openGround()
})
afterAll(() => ground?.[Symbol.asyncDispose]())

test('a repeated turn pays for the model once', async () => {
  await using model = await startModelServer()
  await using team = teamOn(ground, [{ id: 'thinker', type: 'asker' }], { env: { LLM_BASE_URL: model.url } })
  await team.start()
  expect(await team.ask('thinker', 'think', null)).toEqual({ text: 'Well.', attempt: 2 })
  expect(model.asked.length).toBe(1)
  expect(await team.event('llm:used')).toMatchObject({ id: 'thinker' })
})

test('without a key the agent is blocked with the reason, loses nothing, and the rest goes on', async () => {
  await using team = teamOn(ground, [
    { id: 'pauper', type: 'asker' },
    { id: 'neighbour', type: 'counter' },
  ])
  await team.start()
  const [job] = await ground.store.call('create_jobs', { p_batch: [{ job_type: 'ponder', payload: {} }] })
  const { reason } = await team.event('agent:blocked', ({ id }) => id === 'pauper')
  expect(reason).toContain('key')
  const [pauper, neighbour] = team.list()
  expect([pauper, neighbour]).toMatchObject([
    { id: 'pauper', status: 'running', says: `blocked: ${reason}` },
    { id: 'neighbour', status: 'running' },
  ])
  expect(await team.ask('pauper', 'look', null)).toEqual({ attempt: 1 })
  expect(team.status()).toMatchObject({ isReady: true })
  await expect
    .poll(async () => ground.store.read('agent_jobs', { id: job?.job_id ?? '' }))
    .toMatchObject([{ status: 'pending', attempt: 0 }])
})

test('an actor gets where its file or its config lets it, and nowhere else', async () => {
  const server = createServer((_, response) => response.end()).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  await using team = teamOn(ground, [
    { id: 'narrow', type: 'asker', maxAttempts: 1 },
    { id: 'wide', type: 'asker', origins: [origin], http: { rate: 100, concurrency: 2 } },
  ])
  await team.start()
  await expect(team.ask('narrow', 'go', `${origin}/x`)).rejects.toThrow(`"narrow" may not connect to ${origin}`)
  expect(await team.event('http:denied')).toMatchObject({ id: 'narrow', origin })
  expect(await team.ask('wide', 'go', `${origin}/x`)).toEqual({ status: 200, byFetch: 200 })
  server.close()
})
