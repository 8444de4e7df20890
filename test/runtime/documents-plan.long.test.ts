import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ObjectId } from 'mongodb'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type MongoGround, openMongoGround } from '../sources/mongo-ground.ts'
import { documentTeam, isUp, literal, running } from './documents.ts'
import { type Ground, openGround } from './team.ts'

let ground: Ground
let mongo: MongoGround

beforeAll(async () => {
  ;[ground, mongo] = await Promise.all([openGround(), openMongoGround()])
})

afterAll(async () => {
  await Promise.all([ground?.[Symbol.asyncDispose](), mongo?.[Symbol.asyncDispose]()])
})

test('the literal document starts an actor; a change restarts it and no other, a status or its removal stops it', async () => {
  const _id = new ObjectId()
  const id = `mongo:${_id}`
  await mongo.put([])
  await using team = documentTeam(ground, 'd-file', mongo.settings)
  await team.start()
  expect([running(team), team.status().isReady]).toEqual([['own d-file 1 running'], true])

  await mongo.put([
    { _id, ...literal },
    { ...literal, agent_id: 'd-other' },
  ])
  expect(await team.plan()).toMatchObject({ teams: [{ team: 'bazaar', stop: [], start: [id, 'd-other'] }], documents: { skipped: [] } })
  await team.reload()
  await team.event('child:started', isUp(id))
  await team.event('child:started', isUp('d-other'))
  expect(await team.ask(id, 'hear', 'first')).toEqual(['first at 0.04'])

  const gate = join(ground.folder, 'gate')
  await team.send(id, 'hold', gate)
  for (const said of ['second', 'third', 'fourth']) await team.send(id, 'hear', said)
  await mongo.put([
    { _id, ...literal, base_rate_usd: 0.05, jobs_done: 7 },
    { ...literal, agent_id: 'd-other', status: 'busy' },
  ])
  await team.reload()
  await writeFile(gate, '')
  await team.event('child:started', isUp(id, 2))
  expect(await team.ask(id, 'hear', 'last')).toEqual([
    'first at 0.04',
    'held at 0.04',
    // It may have been handed to the thread, behind the turn that ran.
    expect.stringMatching(/^second at 0\.0[45]$/),
    ...['third', 'fourth', 'last'].map((said) => `${said} at 0.05`),
  ])
  expect(running(team)).toEqual(['own d-file 1 running', `bazaar ${id} 2 running`, 'bazaar d-other 1 running'])

  await mongo.put([
    { _id, ...literal, base_rate_usd: 0.05, status: 'suspended' },
    { ...literal, agent_id: 'd-other' },
  ])
  await team.reload()
  await team.event('child:dropped', (event) => event.id === id)
  await mongo.put([{ _id, ...literal, base_rate_usd: 0.05 }])
  await team.reload()
  await team.event('child:dropped', (event) => event.id === 'd-other')
  expect((await team.ask(id, 'hear', 'again')) as string[]).toHaveLength(7)
  await mongo.put([])
  await team.reload()
  await team.event('team:stopped', (event) => event.team === 'bazaar')
  await mongo.put([{ _id, ...literal }])
  await team.reload()
  expect((await team.ask(id, 'hear', 'once more')) as string[]).toHaveLength(8)
  expect(running(team)).toEqual(['own d-file 1 running', `bazaar ${id} 1 running`])
})

test('a wrong document is skipped with its reason, told once, and costs nobody else anything', async () => {
  const fine = { ...literal, _id: 'w1', agent_id: 'w-fine' }
  const documents = [
    fine,
    { ...literal, _id: 'w2', agent_id: 'w-type', agent_type: 'nobody' },
    { ...literal, _id: 'w3', agent_id: 'w-args', options: { grade: 'best' } },
    { ...literal, _id: 'w4', agent_id: 'w-field', base_rate_usd: 'much' },
    { ...literal, _id: 'w5', agent_id: 'w-fine' },
    { ...literal, _id: 'w6', agent_id: 'w-file' },
  ]
  const reasons = [
    'document w3: args.grade: found "best", expected number',
    'document w4: base_rate_usd: found "much", expected number',
    'document w6: "w-file" is an agent of the config file, which wins',
    'document w5: "w-fine" is an agent of document w1',
    expect.stringMatching(/^document w2: there is no actor file for "nobody": expected .*nobody\.ts, found /),
  ]
  await mongo.put(documents)
  await using team = documentTeam(ground, 'w-file', mongo.settings)
  await team.start()
  await team.event('child:started', isUp('w-fine'))
  const { documents: planned } = await team.plan()
  await team.reload()
  expect(running(team)).toEqual(['own w-file 1 running', 'bazaar w-fine 1 running'])
  const skipped = team.seen.flatMap((event) => (event.name === 'document:skipped' ? [event] : []))
  expect([skipped.map(({ reason }) => reason), planned]).toEqual([
    reasons,
    { kind: 'read', skipped: skipped.map(({ id, reason }) => ({ id, reason, runsOn: false })) },
  ])
})
