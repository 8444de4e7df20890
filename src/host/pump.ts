import { randomUUID } from 'node:crypto'
import { leaseDefaults } from '../core/agent.ts'
import type { Event } from '../core/events.ts'
import type { Job } from '../core/message.ts'
import type { ClaimCursor } from '../store/functions/jobs.ts'
import type { Store } from '../store/store.ts'
import { bisect } from './bisect.ts'
import { type Clock, createAlarm } from './clock.ts'
import { type Patience, timeoutsFor } from './patience.ts'
import { claimedJob } from './wire.ts'

/** An incarnation that takes jobs. */
export type Taker = {
  readonly agent: string
  readonly token: number
  readonly types: readonly string[]
  /** How many more it can hold. */
  free(): number
  give(jobs: readonly Job[]): void
}

/** Claims jobs for the agents of this process. */
export type Pump = {
  /** Claims for this incarnation too, until the function it returns is called. */
  add(taker: Taker): () => void
  /** There may be something to claim, of the type that is named or of any. */
  wake(type?: string): void
  /** The leases are in doubt: nothing is claimed. */
  doubt(isInDoubt: boolean): void
  /** Gives jobs back that were claimed and not begun; no attempt is lost. */
  release(jobs: readonly Job[]): Promise<void>
  /** Waits a little for jobs on their way back. */
  close(): Promise<void>
}

export type PumpOptions = {
  readonly store: Pick<Store, 'call'>
  readonly patience: Patience
  readonly clock: Clock
  readonly emit: (event: Event) => void
  readonly random?: () => number
  /** Ms between two looks at the queue, at random between these. */
  readonly poll?: { readonly min: number; readonly max: number }
  /** Ms that a job is held without being renewed. */
  readonly lease?: number
}

const defaultPoll = { min: 1_000, max: 5_000 } as const
const mostTogether = 500
/** Ms for giving jobs back at the end; who does not wait has them come back when their leases run out. */
const lastWords = 2_000

export function createPump({
  store,
  patience,
  clock,
  emit,
  random = Math.random,
  poll = defaultPoll,
  lease = leaseDefaults.jobs,
}: PumpOptions): Pump {
  const takers = new Map<string, Taker>()
  /** Where the last claim of an agent stopped; it goes on there. */
  const cursors = new Map<string, ClaimCursor | null | undefined>()
  /** Whose claims the store does not take, which is said once. */
  const refused = new WeakSet<Taker>()
  const closed = new AbortController()
  const { signal } = closed
  const gone = new AbortController()
  const releasing = new Set<Promise<unknown>>()
  const alarm = createAlarm(clock, () => wake())
  let phase: 'idle' | 'claiming' | 'again' = 'idle'
  let claiming: Promise<void> = Promise.resolve()
  let isInDoubt = false

  function wake(type?: string): void {
    if (signal.aborted || isInDoubt || !isTaken(type)) return
    if (phase === 'idle') claiming = claimAll()
    else phase = 'again'
  }

  function isTaken(type: string | undefined): boolean {
    return type === undefined || [...takers.values()].some(({ types }) => types.includes(type))
  }

  async function claimAll(): Promise<void> {
    do {
      phase = 'claiming'
      const all = [...takers.values()]
      for (let at = 0; at < all.length && !signal.aborted && !isInDoubt; at += mostTogether) {
        const hungry = all.slice(at, at + mostTogether).filter(({ types, free }) => types.length > 0 && free() > 0)
        if (hungry.length > 0 && (await claimFor(hungry))) phase = 'again'
      }
    } while (isAgain() && !signal.aborted && !isInDoubt)
    phase = 'idle'
    if (!signal.aborted && takers.size > 0) alarm.set(clock.now() + poll.min + random() * (poll.max - poll.min))
  }

  // A function, because the compiler does not see that wake may have been called in the meantime.
  const isAgain = () => phase === 'again'

  /** Says whether somebody got as much as was asked for, so that there may be more. */
  async function claimFor(hungry: readonly Taker[]): Promise<boolean> {
    let isFull = false
    const claims = hungry.map((taker) => ({ taker, request: requestOf(taker) }))
    await bisect(
      claims,
      async (some) => {
        const p_batch = some.map(({ request }) => request)
        const answers = await patience.insist(() => store.call('claim_jobs', { p_batch }, { signal }), signal, timeoutsFor(some))
        for (const [index, { jobs, cursor }] of (answers ?? []).entries()) {
          const { taker, request } = some[index] as (typeof claims)[number]
          cursors.set(taker.agent, cursor)
          if (jobs.length > 0) hand(taker, jobs.map(claimedJob))
          isFull ||= jobs.length === request.limit
        }
      },
      ({ taker }, error) => refuse(taker, error),
    )
    return isFull
  }

  function requestOf({ agent, token, types, free }: Taker) {
    return {
      agent_id: agent,
      lease_token: token,
      job_types: [...types],
      limit: Math.min(free(), 500),
      lease_ms: lease,
      // The same request again, after an answer that got lost, gets the same jobs.
      claim_id: randomUUID(),
      cursor: cursors.get(agent) ?? null,
    }
  }

  /** Without its cursor the next claim may be fine; else it is what the actor file says. */
  function refuse(taker: Taker, { message }: Error): void {
    if (cursors.get(taker.agent)) return void cursors.delete(taker.agent)
    if (!refused.has(taker)) emit({ name: 'claim:refused', id: taker.agent, error: message })
    refused.add(taker)
  }

  function hand(taker: Taker, jobs: readonly Job[]): void {
    if (takers.get(taker.agent) === taker) taker.give(jobs)
    else void release(jobs)
  }

  async function release(jobs: readonly Job[]): Promise<void> {
    // One that cannot be given back comes back by itself, when its lease runs out.
    const release = bisect(jobs, releaseAll, () => {})
    releasing.add(release)
    await release.finally(() => releasing.delete(release))
  }

  async function releaseAll(jobs: readonly Job[]): Promise<void> {
    const p_batch = jobs.map(({ id, token }) => ({ job_id: id, lease_token: token, outcome: 'released' as const }))
    // One that is somebody else's by now is none of ours.
    await patience.insist(() => store.call('finish_jobs', { p_batch }, { signal: gone.signal }), gone.signal, timeoutsFor(jobs))
  }

  return {
    add(taker) {
      takers.set(taker.agent, taker)
      wake()
      return () => {
        if (takers.get(taker.agent) === taker) takers.delete(taker.agent)
      }
    },
    wake,
    doubt(given) {
      isInDoubt = given
      wake()
    },
    release,
    async close() {
      takers.clear()
      alarm.clear()
      closed.abort()
      await claiming
      const cancel = clock.after(lastWords, () => gone.abort())
      await Promise.all(releasing)
      cancel()
      gone.abort()
    },
  }
}
