import { expect, test } from 'vitest'
import type { Shape } from './actors/wild.ts'
import { agent, hit, openThreads, turn } from './hosted.ts'

// The pool is forks: an actor that gets past the guard ends this file's process only, and the run says so.
const memory = { soft: 64 * 2 ** 20, hard: 2 ** 30, poll: 50 }
const shapes: Shape[] = ['array', 'arrays', 'map', 'strings', 'doubling', 'huge', 'dictionary', 'buffers']

test.each(shapes)('an actor that takes memory without end is ended, and its neighbour answers: %s', async (shape) => {
  await using threads = openThreads()
  const [greedy, neighbour] = ['greedy', 'neighbour'].map((id) => threads.start(agent(id, { memory }), 1))
  if (!greedy || !neighbour) throw new Error('two were started')
  await Promise.all([greedy, neighbour].map((child) => child.load({ state: null, sql: [] })))
  const { exit, detail, record } = await hit(greedy, 'grow', shape)
  expect([exit, detail, record.heap?.total, await turn(neighbour, 'echo', shape)]).toEqual([
    'out_of_memory',
    expect.stringMatching(/^it held \d+ MB \(\d+ MB of it outside the heap\), its limit is 64 MB$/),
    expect.any(Number),
    expect.objectContaining({ reply: `"${shape}"` }),
  ])
})
