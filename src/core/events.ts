import type { Exit } from './exit.ts'

/** Which child an event is about. */
type OfChild = { readonly team: string; readonly id: string; readonly incarnation: number }

/** Everything that is announced, by name; people and tests read it, control flow never does. */
export type Events = {
  'team:started': { readonly team: string }
  /** The team is over its budget: `id` ended once more than it allows. */
  'team:gaveUp': { readonly team: string; readonly id: string; readonly exit: Exit }
  /** The last child has ended. */
  'team:stopped': { readonly team: string; readonly exit: Exit }
  'child:started': OfChild
  /** Its start found nothing to do: it is kept without a thread. */
  'child:ignored': OfChild
  /** `intended`: the supervisor had asked for it, so nothing counts it. */
  'child:exited': OfChild & { readonly exit: Exit; readonly intended: boolean; readonly detail: string | undefined }
  /** It will be restarted at `until`, after this many exits in a row. */
  'child:delayed': OfChild & { readonly exits: number; readonly until: number }
  /** Its own budget is used up; null means that only a command or a new version tries it again. */
  'child:quarantined': OfChild & { readonly exits: number; readonly until: number | null }
  /** It was healthy long enough for its exits to be forgotten. */
  'child:recovered': OfChild
  /** It left its team: it was temporary and ended, or was removed. */
  'child:dropped': OfChild
  /** A reload that would not do: what runs stays as it is. */
  'plan:refused': { readonly message: string }
  /** These sections of the config have changed, and are used from the next start of the process on. */
  'config:deferred': { readonly sections: readonly string[] }
  /** A document that brings no agent; `runsOn`: the agent that it stood for before runs on as it was. */
  'document:skipped': { readonly id: string; readonly reason: string; readonly runsOn: boolean }
  /** A source beside the config cannot be read: what runs because of it runs on. */
  'source:failed': { readonly source: 'mongodb'; readonly error: string }
  'source:back': { readonly source: 'mongodb' }
  /** There is more in it than `limit`, which is not read. */
  'source:cut': { readonly source: 'mongodb'; readonly limit: number }
  'plan:applied': { readonly team: string; readonly stop: readonly string[]; readonly start: readonly string[] }
  /** A thread runs on although it was terminated; its child is reported as ended and is replaced. `zombies`: how many there are. */
  'thread:zombie': OfChild & { readonly thread: number; readonly zombies: number }
  /** A zombie has ended after all. */
  'thread:reaped': { readonly thread: number; readonly zombies: number }
  /** A task's thread ended before the task was done: for its time, its memory, or by itself. `id`: the agent that asked for it. */
  'task:killed': OfTask & { readonly reason: string; readonly error: string }
  /** A task's thread runs on although it was terminated; `zombies`: how many of tasks' threads do. */
  'task:stuck': OfTask & { readonly thread: number; readonly zombies: number }
  /** A thread that stood by has ended before anybody needed it. */
  'standby:lost': { readonly error: string | undefined }
  /** An attempt at a message or job failed; `retryIn` null: it is dead, or a job whose own backoff decides. */
  'turn:failed': OfChild & Handled & { readonly attempt: number; readonly error: string; readonly retryIn: number | null }
  /** A message or job is done, and everything its turn did exists. */
  'turn:committed': OfChild & Handled
  /** The operator or a budget keeps it from its work; that is tried again at `until`. */
  'agent:blocked': OfChild & { readonly reason: string; readonly until: number }
  'agent:unblocked': OfChild
  /** What the actor has in memory is not what the store has, so it starts again from there. */
  'turn:rejected': OfChild & { readonly reason: string }
  /** It will not be tried again. */
  'message:dead': OfChild & Handled & { readonly reason: string; readonly error: string | undefined }
  'job:claimed': { readonly id: string; readonly job: string; readonly type: string; readonly attempt: number }
  /** The store does not answer; what was handled is kept and committed when it does. */
  'store:failed': { readonly error: string }
  'store:back': { readonly after: number }
  /** Nothing is taken up: the store was not there when it was needed first (`away`), or its schema is not (`unfit`). */
  'store:unusable': { readonly kind: string; readonly status: 'away' | 'unfit'; readonly reason: string }
  'store:usable': { readonly kind: string }
  /** For too long nobody confirmed this process's leases: nothing starts until somebody does. */
  'lease:doubted': { readonly silent: number }
  'lease:confirmed': { readonly silent: number }
  /** The store does not take what is reported of the agents: their leases are renewed without it. */
  'report:refused': { readonly error: string }
  /** The store does not take what an agent claims jobs with: it gets none. */
  'claim:refused': { readonly id: string; readonly error: string }
  /** Another process has the agent, or a newer config: this one stands by. `invalid`: the store takes nobody's lease of it. */
  'lease:refused': {
    readonly team: string
    readonly id: string
    readonly why: 'busy' | 'older' | 'invalid'
    readonly holder: string | undefined
    readonly error?: string | undefined
  }
  /** An actor wanted to connect where neither its file nor its config lets it. */
  'http:denied': { readonly team: string; readonly id: string; readonly origin: string }
  /** What an agent and an origin had to do with each other since the last report; bytes of bodies, `slowest` in ms. Those beyond a thousand are `other origins`. */
  'http:traffic': {
    readonly team: string
    readonly id: string
    readonly origin: string
    readonly requests: number
    readonly failed: number
    readonly aborted: number
    readonly retried: number
    readonly denied: number
    readonly sent: number
    readonly received: number
    readonly slowest: number
  }
  /** What a turn's call to a model used; `usd` null: it has no price. `isEstimated`: not, or not only, what the endpoint counted. */
  'llm:used': { readonly team: string; readonly id: string } & Handled & {
      readonly model: string
      readonly inputTokens: number
      readonly outputTokens: number
      readonly usd: number | null
      readonly requests: number
      readonly isEstimated: boolean
      readonly ms: number
    }
  /** Another process has the agent now. */
  'lease:lost': { readonly id: string }
}

/** CPU work of an agent. */
type OfTask = { readonly team: string; readonly id: string; readonly task: string }

/** What a turn handles. */
type Handled = { readonly source: 'message' | 'job'; readonly handled: string; readonly type: string }

/** One event as a value. */
export type Event = { [Name in keyof Events]: { readonly name: Name } & Events[Name] }[keyof Events]
