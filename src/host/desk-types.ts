import type { MessagePort } from 'node:worker_threads'
import type { AgentSpec } from '../core/agent.ts'
import type { Event } from '../core/events.ts'
import type { Job, JsonText } from '../core/message.ts'
import type { Services } from '../services/service.ts'
import type { Asks } from './asks.ts'
import type { Child } from './child.ts'
import type { Clock } from './clock.ts'
import type { Outbox } from './outbox.ts'
import type { Requests } from './requests.ts'
import type { Router } from './router.ts'

/** What a desk needs of a thread. */
export type DeskChild = Pick<Child, 'incarnation' | 'load' | 'post' | 'move' | 'onFrame' | 'kill'> & {
  readonly exited: Promise<{ readonly exit: string; readonly detail: string }>
}

/** What all desks of a process share. */
export type Office = {
  readonly outbox: Outbox
  readonly router: Router
  readonly asks: Asks
  readonly requests: Requests
  readonly services: Services
  readonly clock: Clock
  readonly emit: (event: Event) => void
  readonly random: () => number
}

export type DeskOptions = {
  readonly spec: AgentSpec
  readonly child: DeskChild
  /** What the lease gave: the token, and the state that this incarnation starts from. */
  readonly token: number
  readonly state: { readonly version: number; readonly value: JsonText } | null
  /** Functions and relations that the actor may use. */
  readonly sql: readonly string[]
  /** To the pool. */
  readonly http?: MessagePort | undefined
  readonly office: Office
  /** It has to start again from the store; the desk is done with it. */
  readonly onRestart: (reason: string) => void
  /** Jobs were given to it and will not be handled here: they are to be released. */
  readonly onJobsLeft: (jobs: readonly Job[]) => void
  /** It is ready, has ended a job, so that there is room for another, or has made one: claiming may be worth it. */
  readonly onWorthClaiming?: () => void
}

/** One incarnation's place in this process: it gives its thread one delivery after the other and sees to what comes of each. */
export type Desk = {
  readonly agent: string
  readonly token: number
  /** Loads the actor; resolves when its init is committed and rejects when the start is refused. */
  start(): Promise<void>
  /** The lease is in doubt, or is not any more. */
  doubt(isInDoubt: boolean): void
  /** The agent is another process's now. */
  lose(): void
  /** Another has the job now; what has been claimed again since has another token. */
  loseJob(id: string, token: number): void
  give(jobs: readonly Job[]): void
  /** Takes no more. What still runs after `abortAfter` ms is told to end. */
  drain(options: { readonly abortAfter: number }): void
  /** Resolves when nothing runs and everything that ended is committed: only then may the lease go to the next incarnation. */
  readonly settled: Promise<void>
  /** Jobs that it holds, whose leases have to be renewed. */
  jobs(): readonly { readonly id: string; readonly token: number; readonly isStarted: boolean }[]
  /** How many more jobs may be given to it. */
  free(): number
  report(): DeskReport
}

export type DeskReport = {
  readonly status: 'idle' | 'working' | 'blocked'
  readonly reason: string | undefined
  readonly job: string | undefined
  readonly load: number
  readonly mailbox: number
}
