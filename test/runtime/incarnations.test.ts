import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Ground, openGround, teamOn } from './team.ts'

let ground: Ground
beforeAll(async () => {
  ground = await openGround()
})
afterAll(() => ground[Symbol.asyncDispose]())

test.each(['exit', 'spin'] as const)(
  '96 a thread that ends with a message in flight: the next incarnation gets it once more, and in order: %s',
  async (first) => {
    const id = `k-${first}`
    await using team = teamOn(ground, [{ id, type: 'witness', hangAfter: 500, backoff: { first: 10 } }])
    await team.start()
    const file = join(ground.folder, id)
    const send = (n: number) => team.send(id, 'note', { n, file, ...(n === 3 && { first }) }, { from: 'x' })
    for (const n of [1, 2, 3, 4, 5]) await send(n)
    await team.event('turn:committed', ({ type, incarnation }) => type === 'note' && incarnation === 2)
    const heard = await team.ask(id, 'read', null, { from: 'x' })
    const exits = team.seen.flatMap((event) => (event.name === 'child:exited' ? [event.exit] : []))
    expect([heard, await readFile(file, 'utf8'), exits]).toEqual([
      [1, 2, 3, 4, 5],
      '1.1 2.1 3.1 3.2 4.1 5.1 ',
      [first === 'exit' ? 'crash' : 'hung'],
    ])
  },
)
