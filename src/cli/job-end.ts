import { setTimeout as wait } from 'node:timers/promises'
import type { Store } from '../store/store.ts'
import type { Job, JobStatus } from './jobs.ts'

const over: ReadonlySet<string> = new Set(['completed', 'failed', 'cancelled'] satisfies JobStatus[])
/** Ms between two looks: short work is told of at once, long work costs the store little. */
const pace = { first: 100, growth: 1.5, most: 2_000 } as const
/** After so many ms of waiting for its turn, people want to know why. */
const patience = 2_000

export interface Waiting {
  /** Ms for which it is worth it. */
  readonly limit: number
  /** Called once, when it has not begun for a while. */
  readonly onSlow: (job: Job) => Promise<void>
}

/** Waits until a job has ended, or for `limit` ms; gives it as it is then, undefined when it is no more. */
export async function waitForEnd(store: Store, id: string, { limit, onSlow }: Waiting): Promise<Job | undefined> {
  const began = performance.now()
  const left = () => limit - (performance.now() - began)
  let pause: number = pace.first
  let isTold = false
  for (;;) {
    const [job] = await store.read('agent_jobs', { id })
    if (job === undefined || over.has(job.status) || left() <= 0) return job
    if (!isTold && job.status === 'pending' && limit - left() > patience) {
      isTold = true
      await onSlow(job)
    }
    await wait(Math.max(0, Math.min(left(), pause * (0.75 + Math.random() / 2))))
    pause = Math.min(pace.most, pause * pace.growth)
  }
}
