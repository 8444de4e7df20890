import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Ground, openGround, teamOn } from './team.ts'

let ground: Ground
beforeAll(async () => {
  ground = await openGround()
})
afterAll(() => ground[Symbol.asyncDispose]())

test('96 a thread that ends with a message in flight, by itself or by the host: the next one gets it once more, and in order', async () => {
  const ways = ['exit', 'spin'] as const
  const given = { type: 'witness', hangAfter: 500, backoff: { first: 10 } }
  await using team = teamOn(
    ground,
    ways.map((way) => ({ id: `k-${way}`, ...given })),
  )
  await team.start()
  const stories = ways.map(async (first) => {
    const id = `k-${first}`
    const file = join(ground.folder, id)
    for (const n of [1, 2, 3, 4, 5]) await team.send(id, 'note', { n, file, ...(n === 3 && { first }) }, { from: 'x' })
    await team.event('turn:committed', (event) => event.id === id && event.type === 'note' && event.incarnation === 2)
    const heard = await team.ask(id, 'read', null, { from: 'x' })
    const exits = team.seen.flatMap((event) => (event.name === 'child:exited' && event.id === id ? [event.exit] : []))
    return [heard, await readFile(file, 'utf8'), exits]
  })
  const numbers = [1, 2, 3, 4, 5]
  const tries = '1.1 2.1 3.1 3.2 4.1 5.1 '
  expect(await Promise.all(stories)).toEqual([
    [numbers, tries, ['crash']],
    [numbers, tries, ['hung']],
  ])
})

test('mail of durability: async that never ends: it is a dead letter, its thread is ended, and the next one goes on', async () => {
  const turnTimeouts = { stuck: 50 }
  await using team = teamOn(ground, [
    { id: 'l-async', type: 'tally', durability: 'async', turnTimeouts, backoff: { first: 10 } },
    { id: 'l-witness', type: 'witness' },
  ])
  await team.start()
  const waits = { from: 'x', expiresIn: 60_000 } // in the table, not only in memory
  for (const type of ['stuck', 'note']) await team.send('l-async', type, type === 'note' ? { n: 0, of: 1, tell: 'l-witness' } : null, waits)
  await team.event('turn:committed', (event) => event.id === 'l-witness')
  const exits = team.seen.flatMap((event) => (event.name === 'child:exited' && event.id === 'l-async' ? [event.exit] : []))
  const { error } = await team.event('message:dead', (event) => event.id === 'l-async')
  const { rows } = await ground.backend.query(`select status, interruptions from agent_deliveries where agent_id = 'l-async' order by seq`)
  expect([exits, error, rows]).toEqual([
    ['hung'],
    'TURN_TIMEOUT: The turn took longer than turnTimeout (or turnTimeouts, for its type) allows',
    [
      ['dead', 0],
      ['done', 0],
    ],
  ])
})
