import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { expect, test } from 'vitest'
import { flag, openPool } from './pool.ts'
import type { Shape } from './tasks/sample.ts'

// The pool of tests is forks: what gets past the guard ends this file's process only, and the run says so.
const shapes: Shape[] = ['array', 'objects', 'buffers', 'strings', 'dictionary']

test.skipIf(availableParallelism() < 2).each(shapes)(
  'a task that takes memory without end is ended, and its neighbour is not: %s',
  async (shape) => {
    await using pool = openPool({ threads: 2, memory: 64 * 2 ** 20 })
    const { shared, raised } = flag()
    const stop = new AbortController()
    const neighbour = pool.failure('spin', shared, { signal: stop.signal })
    await raised()
    const failure = await pool.failure('grow', shape)
    stop.abort()
    expect([failure, await neighbour]).toEqual([
      expect.stringMatching(/^COMPUTE_FAILED out_of_memory: .*#grow took too much memory: it held \d+ MB .*, its limit is 64 MB$/),
      expect.stringContaining('given up'),
    ])
  },
)

test('whatever becomes of tasks, each caller hears of his own, no more run at a time than there are threads, and nothing stays', async () => {
  const pool = openPool({ queue: 1_000 })
  const kinds = ['square', 'fail', 'exit', 'square', 'silent', 'uncloneable', 'square', 'mute'] as const
  let most = 0
  const ends = await Promise.all(
    Array.from({ length: 96 }, async (_, n) => {
      const kind = kinds[n % kinds.length] ?? 'square'
      const signal = n % 5 === 0 ? AbortSignal.timeout(n * 10) : new AbortController().signal
      const end = await pool.failure(kind, n, { signal, timeout: 125 })
      most = Math.max(most, pool.compute.stats().running)
      return isFit(kind, n, end) ? [] : [`${n} ${kind}: ${end}`]
    }),
  )
  await pool.compute.close()
  expect([ends.flat(), most <= availableParallelism(), pool.compute.stats()]).toEqual([
    [],
    true,
    { threads: 0, running: 0, waiting: 0, zombies: 0 },
  ])
}, 120_000)

test('threads and the host answer while the pool is busy on every core', async () => {
  await using pool = openPool()
  const flags = Array.from({ length: availableParallelism() }, flag)
  const stop = new AbortController()
  const spinning = flags.map(({ shared }) => pool.failure('spin', shared, { signal: stop.signal }))
  await Promise.all(flags.map(({ raised }) => raised()))
  const worker = new Worker(join(import.meta.dirname, 'echo.ts'), { execArgv: [] })
  const began = performance.now()
  for (let n = 0; n < 500; n++) {
    worker.postMessage(n)
    await once(worker, 'message')
  }
  const took = performance.now() - began
  stop.abort()
  await Promise.all([worker.terminate(), ...spinning])
  // It takes 0.1 s; beside threads of the same niceness 2 s, when nothing else runs.
  expect(took).toBeLessThan(10_000)
})

function isFit(kind: string, n: number, end: string): boolean {
  if (/aborted|timeout/.test(end)) return true
  switch (kind) {
    case 'square':
      return end === `no error but ${n * n}`
    case 'exit':
      return end.endsWith(`(exit code ${n})`)
    default:
      return end.includes(`#${kind} `)
  }
}
