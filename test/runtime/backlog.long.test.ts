import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Ground, openGround, teamOn } from './team.ts'

let ground: Ground
beforeAll(async () => {
  ground = await openGround()
})
afterAll(() => ground[Symbol.asyncDispose]())

const senders = ['one', 'two'] as const
const burst = 200
const total = 2_400
const capacity = 100

// The million: test/soak/backlog.ts.
test.each(['transaction', 'async'] as const)(
  'what a slow actor cannot take yet waits in the table: memory is bounded, nothing is lost and order is kept: %s',
  async (durability) => {
    const [slow, tell] = [`${durability}-slow`, `${durability}-keeper`]
    const floods = senders.map((name) => `${durability}-${name}`)
    await using team = teamOn(ground, [
      { id: slow, type: 'tally', durability, mailbox: capacity },
      { id: tell, type: 'witness' },
      ...floods.map((id) => ({ id, type: 'flood' })),
    ])
    await team.start()
    const gate = join(ground.folder, durability)
    await team.send(slow, 'wait', gate)
    const each = total / floods.length
    for (let first = 0; first < each; first += burst) {
      for (const flood of floods) await team.send(flood, 'send', { to: slow, first, count: burst, of: total, tell })
    }
    for (const flood of floods) await team.ask(flood, 'send', { to: slow, first: 0, count: 0, of: total, tell }, { from: 'outside' })
    const inMemory = team.list().find(({ id }) => id === slow)?.mailbox ?? 0
    await writeFile(gate, '')
    await team.event('turn:committed', ({ id, type }) => id === tell && type === 'keep')
    const [counted] = (await team.ask(tell, 'read')) as object[]
    expect([inMemory >= capacity / 2, inMemory < total / 2, counted]).toEqual([
      true,
      true,
      { heard: total, wrong: 0, next: Object.fromEntries(floods.map((id) => [id, each])) },
    ])
  },
  60_000,
)
