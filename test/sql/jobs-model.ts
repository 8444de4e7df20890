import type { Ending, Verdict } from './job-queue.ts'

/** What the queue has to remember of a job. Times are seconds of the test's clock. */
export type ModelJob = {
  id: string
  type: string
  priority: number
  target: string | null
  key: string | null
  maxAttempts: number
  timeout: number | null
  seq: number
  status: 'pending' | 'assigned' | 'in_progress' | 'completed' | 'failed' | 'cancelled'
  runAt: number
  attempt: number
  token: number
  holder: string | null
  lease: number
  assignedAt: number
  deadReason: string | null
  history: Array<{ attempt: number; token: number; outcome: string }>
}
export type Wish = Pick<ModelJob, 'id' | 'type' | 'priority' | 'target' | 'key' | 'maxAttempts' | 'timeout'> & { delay: number }
export type Held = { id: string; token: number }

const isRunning = ({ status }: ModelJob) => status === 'assigned' || status === 'in_progress'
const isLive = (job: ModelJob) => isRunning(job) || job.status === 'pending'

/** The job queue as one would write it without a database: the rules of the SQL functions over a plain map. */
export class QueueModel {
  readonly jobs = new Map<string, ModelJob>()
  now = 0

  create({ delay, ...wish }: Wish): { verdict: Verdict; id: string } {
    if (this.jobs.has(wish.id)) return { verdict: 'repeat', id: wish.id }
    const twin = this.#liveTwin(wish)
    if (twin) return { verdict: 'duplicate', id: twin.id }
    this.jobs.set(wish.id, {
      ...wish,
      ...{ seq: this.jobs.size, status: 'pending', runAt: this.now + delay, attempt: 0, token: 0, holder: wish.target },
      ...{ lease: 0, assignedAt: 0, deadReason: null, history: [] },
    })
    return { verdict: 'ok', id: wish.id }
  }

  claim(agent: string, types: readonly string[] | null, limit: number, lease: number): Held[] {
    this.reap()
    const ready = [...this.jobs.values()].filter(
      (job) => job.status === 'pending' && job.runAt <= this.now && (types === null || types.includes(job.type)),
    )
    const order = (a: ModelJob, b: ModelJob) => a.priority - b.priority || a.runAt - b.runAt || a.seq - b.seq
    const mine = ready.filter((job) => job.target === agent).sort(order)
    const open = ready.filter((job) => job.target === null).sort(order)
    const given = [...mine, ...open].slice(0, limit)
    for (const job of given) {
      Object.assign(job, { status: 'assigned', holder: agent, attempt: job.attempt + 1, token: job.token + 1, assignedAt: this.now })
      job.lease = this.now + Math.min(lease, job.timeout ?? lease)
    }
    return given.sort(order).map(({ id, token }) => ({ id, token }))
  }

  finish({ id, token }: Held, { outcome, retryable, retry_in_ms = 0 }: Ending): Verdict {
    const job = this.jobs.get(id)
    if (!job) return 'not_found'
    if (job.token !== token || !isRunning(job)) return this.#isRepeat(job, token, outcome) ? 'repeat' : 'stale'
    if (outcome === 'completed') this.#move(job, { status: 'completed' })
    else if (outcome === 'released')
      this.#move(job, { status: 'pending', attempt: job.attempt - 1, runAt: this.now + retry_in_ms / 1000, holder: job.target })
    else this.#fail(job, 'failed', retryable === false ? 'fatal' : 'attempts_exhausted', retryable === false, retry_in_ms / 1000)
    return 'ok'
  }

  renew({ id, token }: Held, lease: number, started: boolean): Verdict {
    const job = this.jobs.get(id)
    if (!job) return 'not_found'
    const end = job.timeout === null ? Number.POSITIVE_INFINITY : job.assignedAt + job.timeout
    if (job.token !== token || !isRunning(job) || end <= this.now) return 'stale'
    job.lease = Math.min(this.now + lease, end)
    if (started) job.status = 'in_progress'
    return 'ok'
  }

  cancel(id: string): Verdict {
    const job = this.jobs.get(id)
    if (!job) return 'not_found'
    if (job.status === 'cancelled') return 'repeat'
    if (!isLive(job)) return 'stale'
    this.#move(job, { status: 'cancelled', token: job.token + 1 })
    return 'ok'
  }

  redrive(id: string): Verdict {
    const job = this.jobs.get(id)
    if (!job) return 'not_found'
    if (job.status !== 'failed' && job.status !== 'cancelled')
      return isLive(job) && job.history.at(-1)?.outcome === 'redriven' ? 'repeat' : 'stale'
    if (this.#liveTwin(job)) return 'duplicate'
    this.#remember(job, 'redriven')
    this.#move(job, { status: 'pending', attempt: 0, token: job.token + 1, runAt: this.now, holder: job.target, deadReason: null })
    return 'ok'
  }

  /** Ends the leases that have run out; gives how many. */
  reap(): number {
    const expired = [...this.jobs.values()].filter((job) => isRunning(job) && job.lease <= this.now)
    for (const job of expired) {
      this.#fail(job, 'lease_expired', 'lease_expired', false, 0)
      Object.assign(job, { token: job.token + 1, holder: job.target })
    }
    return expired.length
  }

  #fail(job: ModelJob, outcome: string, reason: string, isFinal: boolean, delay: number): void {
    this.#remember(job, outcome)
    if (isFinal || job.attempt >= job.maxAttempts) this.#move(job, { status: 'failed', deadReason: reason, runAt: this.now + delay })
    else this.#move(job, { status: 'pending', runAt: this.now + delay, holder: job.target })
  }

  #move(job: ModelJob, changes: Partial<ModelJob>): void {
    Object.assign(job, changes)
  }

  #remember(job: ModelJob, outcome: string): void {
    job.history = [...job.history, { attempt: job.attempt, token: job.token, outcome }].slice(-10)
  }

  #isRepeat(job: ModelJob, token: number, outcome: Ending['outcome']): boolean {
    if (outcome === 'failed') return job.history.some((end) => end.token === token && end.outcome === 'failed')
    if (job.token !== token) return false
    return outcome === 'completed' ? job.status === 'completed' : job.status === 'pending' && job.history.at(-1)?.token !== token
  }

  #liveTwin({ id, type, key }: Pick<ModelJob, 'id' | 'type' | 'key'>): ModelJob | undefined {
    if (key === null) return undefined
    return [...this.jobs.values()].find((job) => job.id !== id && job.type === type && job.key === key && isLive(job))
  }
}
