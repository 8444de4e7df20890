import { startRaw, timeAsks } from './raw.ts'
import { type Figure, say } from './report.ts'
import type { Sizes } from './runtime.ts'
import { openDatabase, openStage, type Stage } from './stage.ts'
import { median, quantile, spread } from './statistics.ts'

/** A question and its answer, one after the other: ours are in the store before they are anywhere else. */
export async function measureAsks({ seconds, rounds }: Sizes): Promise<Figure[]> {
  say('ask: a bare thread, the embedded store, PostgreSQL')
  await using database = await openDatabase()
  await using embedded = await openStage([{ id: 'sink', type: 'sink' }])
  await using server = await openStage([{ id: 'sink', type: 'sink' }], { databaseUrl: database.url })
  const worker = await startRaw()
  const count = Math.max(10, Math.round(seconds * 10))
  const times: Record<'raw' | 'embedded' | 'server', number[][]> = { raw: [], embedded: [], server: [] }
  for (let round = 0; round < rounds; round++) {
    times.raw.push(await timeAsks(worker, count * 10))
    times.embedded.push(await timeOurs(embedded, count))
    times.server.push(await timeOurs(server, count))
  }
  await worker.terminate()
  const raw = median(times.raw.flat())
  return [
    figure('ask round trip, bare thread with an id map, p50', times.raw),
    figure('ask round trip, durable, embedded store, p50', times.embedded),
    figure('ask round trip, durable, PostgreSQL, p50', times.server),
    { name: 'ask round trip, durable, PostgreSQL, p99', value: quantile(times.server.flat(), 0.99), unit: 'ms' },
    { name: 'a durable ask on PostgreSQL against a bare one', value: median(times.server.flat()) / raw, unit: 'times' },
  ]
}

function figure(name: string, values: readonly number[][]): Figure {
  return { name, value: median(values.flat()), unit: 'ms', note: spread(values.map(median)) }
}

async function timeOurs({ troupe }: Stage, count: number): Promise<number[]> {
  const times: number[] = []
  for (let n = 0; n < count; n++) {
    const began = performance.now()
    const reply = (await troupe.ask('sink', 'answer', { n })) as { n: number }
    if (reply.n !== n) throw new Error(`ask ${n} got the reply of ${reply.n}`)
    times.push(performance.now() - began)
  }
  return times
}
