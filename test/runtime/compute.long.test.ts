import { availableParallelism } from 'node:os'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Ground, openGround, teamOn } from './team.ts'

let ground: Ground

beforeAll(async () => {
  ground = await openGround()
})

afterAll(() => ground[Symbol.asyncDispose]())

test('an actor has a function of a file computed, of the copy that belongs to its version', async () => {
  await using team = teamOn(ground, [{ id: 'a-reckoner', type: 'reckoner' }])
  await team.start()
  const ask = (type: string, body?: unknown) => team.ask('a-reckoner', type, body)
  expect([await ask('square', 7), await ask('halve'), await ask('fail'), await ask('giveUp'), await ask('uncloneable')]).toEqual([
    49,
    { halves: [0.5, 1], left: 0 },
    { code: 'COMPUTE_FAILED', message: 'The task test/runtime/actors/lib/reckon.ts#fail threw RangeError: too much', cause: 'RangeError' },
    'TimeoutError',
    'COMPUTE_FAILED',
  ])
})

test('what a turn has computed ends with the turn', async () => {
  const agents = Array.from({ length: availableParallelism() }, (_, n) => ({ id: `b-reckoner-${n}`, type: 'reckoner' }))
  await using team = teamOn(ground, [
    ...agents.map((agent) => ({ ...agent, turnTimeouts: { spin: '200ms' }, maxAttempts: 1 })),
    { id: 'b-other', type: 'reckoner' },
  ])
  await team.start()
  for (const { id } of agents) await team.send(id, 'spin')
  await Promise.all(agents.map((agent) => team.event('message:dead', ({ id }) => id === agent.id)))
  expect(await team.ask('b-other', 'square', 3)).toBe(9)
})
