import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'

const entry = fileURLToPath(new URL('raw-worker.ts', import.meta.url))

/** A bare thread that is up. */
export async function startRaw(): Promise<Worker> {
  const worker = new Worker(entry, { execArgv: [] })
  await once(worker, 'message')
  return worker
}

/** Ms from `new Worker` to its first message. */
export async function timeSpawn(): Promise<number> {
  const began = performance.now()
  const worker = await startRaw()
  const took = performance.now() - began
  await worker.terminate()
  return took
}

/** Sends notes one by one, so many in each round of the event loop, each acknowledged by a message of its own; gives messages per second. */
export async function timeNotes(
  worker: Worker,
  { count, burst, atOnce }: { count: number; burst: number; atOnce: number },
): Promise<number> {
  let acknowledged = 0
  const take = () => {
    acknowledged += 1
  }
  worker.on('message', take)
  const began = performance.now()
  for (let sent = 0; sent < count; ) {
    for (let nth = 0; nth < burst && sent < count; nth++, sent++) worker.postMessage({ kind: 'note', n: sent })
    do await new Promise(setImmediate)
    while (sent - acknowledged > atOnce - burst)
  }
  while (acknowledged < count) await new Promise(setImmediate)
  worker.off('message', take)
  return count / ((performance.now() - began) / 1000)
}

/** Asks one thing after the other, with an id for each; gives ms for each. */
export async function timeAsks(worker: Worker, count: number): Promise<number[]> {
  const waiting = new Map<number, (reply: unknown) => void>()
  const take = ({ id, reply }: { id: number; reply: unknown }) => {
    waiting.get(id)?.(reply)
    waiting.delete(id)
  }
  worker.on('message', take)
  const times: number[] = []
  for (let id = 0; id < count; id++) {
    const began = performance.now()
    const { promise, resolve } = Promise.withResolvers<unknown>()
    waiting.set(id, resolve)
    worker.postMessage({ kind: 'ask', id, body: JSON.stringify({ n: id }) })
    const reply = (await promise) as { n: number }
    if (reply.n !== id) throw new Error(`ask ${id} got the reply of ${reply.n}`)
    times.push(performance.now() - began)
  }
  worker.off('message', take)
  return times
}

/** Seconds for so many round trips of a ball between two threads that know of each other through the host only. */
export async function timeRelay([one, other]: readonly [Worker, Worker], count: number): Promise<number> {
  const done = Promise.withResolvers<void>()
  let left = count
  const there = (ball: string) => other.postMessage(ball)
  const back = (ball: string) => {
    left -= 1
    if (left === 0) done.resolve()
    else one.postMessage(ball)
  }
  one.on('message', there)
  other.on('message', back)
  const began = performance.now()
  one.postMessage('ball')
  await done.promise
  one.off('message', there)
  other.off('message', back)
  return (performance.now() - began) / 1000
}
