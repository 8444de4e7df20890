import type { Manifest } from '../core/agent.ts'
import type { ExitRecord } from '../core/ending.ts'
import type { Event } from '../core/events.ts'
import type { Priority } from '../core/message.ts'
import type { Status } from '../core/status.ts'
import type { ConfigInput } from '../sources/schema.ts'
import type { Store } from '../store/store.ts'
import type { ChildStats } from './child.ts'
import type { Log } from './log.ts'

export interface TroupeOptions {
  /** The config file, or what one would say. */
  readonly config: string | ConfigInput
  readonly env?: Readonly<Record<string, string | undefined>>
  /** The project: actor files may import relatively what lies in it. The working folder, when absent. */
  readonly root?: string
  /** The folder of actor files; `actors` in the project, when absent. */
  readonly actors?: string
  /** Where the embedded store and the copies of code lie; the config's `store.folder`, when absent. */
  readonly folder?: string
  /** A store that is open already, which stays the caller's to close. */
  readonly store?: Store
  /** Where events and the lines of actors go; nowhere, when absent. */
  readonly log?: Log
  readonly onEvent?: (event: Event) => void
  /** Whether files are watched, so that a change of one is a reload; true, when absent. */
  readonly watches?: boolean
  /** Ms between two looks at the table for new messages and jobs, at random between these; 1 s to 5 s, when absent. */
  readonly poll?: { readonly min: number; readonly max: number }
  /** The agents' lease in ms, renewed every third of it. */
  readonly lease?: number
  /** Ms between two looks for agents that another process has; 5 s, or the lease where that is shorter, when absent. */
  readonly retake?: number
}

/** A team of agents in this process. `start` and `stop` are safe twice and in either order. */
export interface Troupe extends AsyncDisposable {
  /** Resolves when every team is up, or has given up; throws CONFIG_INVALID, MODULE_INVALID or STORE_FAILED before anything runs. */
  start(): Promise<void>
  /** Drains and stops: no new turns, what runs is finished within `grace` ms (20 s), then committed, and leases are given back. */
  stop(options?: { readonly grace?: number }): Promise<void>
  /** Ends every thread at once; nothing that is committed is lost. */
  kill(): void
  /** Reads config and actor files again and restarts only what changed. A faulty change leaves everything as it is, and throws. */
  reload(): Promise<Changes>
  /** What a reload would do. */
  plan(): Promise<Changes>
  /** Looks for what others have written to the store now, and not only with the next look. */
  wake(): void
  /** Sends a message from outside; it is durable once this resolves. */
  send(to: string | null, type: string, body?: unknown, options?: SendOptions): Promise<Sent>
  /** Sends a message from outside and waits for the reply, 30 s unless told. */
  ask(to: string, type: string, body?: unknown, options?: SendOptions & { readonly timeout?: number }): Promise<unknown>
  /** Starts an agent again, with what is configured now or with the version that ran before it. */
  restart(id: string, options?: { readonly lastGood?: boolean }): Promise<void>
  /** Gives an agent no more work; what it has in hand is finished. */
  pause(id: string): Promise<void>
  resume(id: string): Promise<void>
  list(): readonly AgentView[]
  /** Everything there is to say about one agent. */
  why(id: string): Why
  status(): TroupeStatus
  /** The store's tables and views. */
  readonly read: Store['read']
  /** Hands events to a listener until the function it returns is called. */
  listen(listener: (event: Event) => void): () => void
  /** Resolves when it has ended: 1 when every team gave up, 0 after a stop. */
  readonly ended: Promise<0 | 1>
}

export interface SendOptions {
  /** Who says it; `outside`, when absent. */
  readonly from?: string
  readonly priority?: Priority
  readonly expiresIn?: number
  readonly delay?: number
  /** The same id again is the same message. */
  readonly id?: string
}

/** A message that is durable. `unknown`: nobody by that name is registered (yet). */
export interface Sent {
  readonly id: string
  readonly deliveries: ReadonlyArray<{ readonly agent: string; readonly status: string; readonly unknown: boolean }>
}

/** What a reload stops and starts, by team; an agent in both is one that changed. */
export interface Changes {
  readonly teams: ReadonlyArray<{
    readonly team: string
    readonly stop: readonly string[]
    readonly start: readonly string[]
  }>
  /** Sections of the config that are not what this process started with: they take effect at its next start. */
  readonly later?: readonly string[] | undefined
  /** Absent where no database of documents is configured. */
  readonly documents?: DocumentChanges | undefined
}

/** How far the documents of MongoDB could be read (`cut`: only `limit` of them), and those that brought no agent. */
export interface DocumentChanges {
  readonly kind: 'read' | 'cut' | 'failed'
  readonly limit?: number | undefined
  readonly error?: string | undefined
  /** `runsOn`: the agent that it stood for before runs on as it was. */
  readonly skipped: ReadonlyArray<{ readonly id: string; readonly reason: string; readonly runsOn: boolean }>
}

/** `standby`: another process has its lease. */
export type AgentStatus = Status | 'standby' | 'paused'

/** One agent, as a table of them shows it. */
export interface AgentView {
  readonly team: string
  readonly id: string
  readonly type: string
  readonly status: AgentStatus
  readonly incarnation: number
  readonly version: string
  readonly mailbox: number
  readonly memory: number | undefined
  /** What it says of itself. */
  readonly says: string | undefined
}

/** One agent with its past, as far as this process knows it. Times are ms since 1970. */
export interface Why extends AgentView {
  /** The copy of the actor file that it runs. */
  readonly file: string
  readonly manifest: Manifest | undefined
  /** When it came to its status. */
  readonly since: number | undefined
  /** Of its team; `quarantined`: the team gave up. */
  readonly teamStatus: Status | undefined
  /** Exits in a row, and until when it waits or is in quarantine: null until a command. */
  readonly exits: number
  readonly until: number | null | undefined
  /** Its latest exit. */
  readonly exit: ExitRecord | undefined
  /** Why this process stands by for it, and who has it; `invalid`: nobody can, and the store says why. */
  readonly standby: 'busy' | 'older' | 'invalid' | undefined
  readonly holder: string | undefined
  /** With AGENT_MODE: the instance of the same entry that this process runs, so that it does not ask for this one. */
  readonly instead: string | undefined
  /** What the store says; with no `standby` it is why nobody could be asked for the agent so far. */
  readonly refusal: string | undefined
  /** The version that the config asks for; what runs is `version`. */
  readonly wanted: string
  /** What there is to go back to. */
  readonly lastGood: string | undefined
  readonly thread: ChildStats | undefined
}

export interface TroupeStatus {
  readonly phase: 'idle' | 'starting' | 'running' | 'stopping' | 'stopped'
  readonly node: string
  readonly isReady: boolean
  /** Why it is not ready, in words. */
  readonly reasons: readonly string[]
  /** It is ready and runs nothing, because other processes have all of its agents: it takes over when they end. */
  readonly isStandby: boolean
  readonly store: { readonly kind: string; readonly where: string; readonly isAway: boolean }
  readonly agents: Readonly<Record<AgentStatus, number>>
  /** Threads that cannot be ended; with one, only SIGKILL ends the process. */
  readonly zombies: number
}
