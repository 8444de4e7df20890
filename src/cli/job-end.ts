import { setTimeout as wait } from 'node:timers/promises'
import { isServed } from '../store/embedded.ts'
import type { Store } from '../store/store.ts'
import type { Input } from './command.ts'
import { type Job, type JobStatus, readJob } from './jobs.ts'
import { storeSettings } from './team-input.ts'
import { withStore } from './team-store.ts'

const over: ReadonlySet<string> = new Set(['completed', 'failed', 'cancelled'] satisfies JobStatus[])
/** Ms between two looks: short work is told of at once, long work costs the store little. */
const pace = { first: 100, growth: 1.5, most: 2_000 } as const
/** After so many ms of waiting for its turn, people want to know why. */
const patience = 2_000

export interface Waiting {
  /** Ms for which it is worth it. */
  readonly limit: number
  /** Called once, when it has not begun for a while; without a store while nobody serves it. */
  readonly onSlow: (job: Job, store: Store | undefined) => Promise<void>
}

/** Gives the job as it is now to `use`, with the store that has it, where that is open. */
type Look = <Result>(use: (job: Job | undefined, store: Store | undefined) => Promise<Result>) => Promise<Result>

/** Waits until a job has ended, or for `limit` ms; gives it as it is then, undefined when it is no more. */
export async function waitForEnd(input: Input, kind: Store['kind'], job: Job, waiting: Waiting): Promise<Job | undefined> {
  const { folder } = await storeSettings(input)
  const lookIn =
    (store: Store): Look =>
    async (use) =>
      use(await readJob(store, job.id), store)
  if (kind !== 'embedded') return await withStore(input, (store) => untilEnd(lookIn(store), waiting))
  // Opened for each look only, and not while nobody serves it: a team that starts has to find it free, or it would depend on this process.
  const look: Look = async (use) =>
    (await isServed(folder)) ? await withStore(input, (store) => lookIn(store)(use)) : await use(job, undefined)
  return await untilEnd(look, waiting)
}

async function untilEnd(look: Look, { limit, onSlow }: Waiting): Promise<Job | undefined> {
  const began = performance.now()
  const past = () => performance.now() - began
  let pause: number = pace.first
  let isTold = false
  for (;;) {
    const job = await look(async (found, store) => {
      if (isTold || found?.status !== 'pending' || past() <= patience) return found
      isTold = true
      await onSlow(found, store)
      return found
    })
    if (job === undefined || over.has(job.status) || past() >= limit) return job
    await wait(Math.max(0, Math.min(limit - past(), pause * (0.75 + Math.random() / 2))))
    pause = Math.min(pace.most, pause * pace.growth)
  }
}
