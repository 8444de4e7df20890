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
  'plan:applied': { readonly team: string; readonly stop: readonly string[]; readonly start: readonly string[] }
  /** A thread runs on although it was terminated; its child is reported as ended and is replaced. `zombies`: how many there are. */
  'thread:zombie': OfChild & { readonly thread: number; readonly zombies: number }
  /** A zombie has ended after all. */
  'thread:reaped': { readonly thread: number; readonly zombies: number }
  /** A thread that stood by has ended before anybody needed it. */
  'standby:lost': { readonly error: string | undefined }
  /** An attempt at a message or job failed; `retryIn` null: it is dead, or a job whose own backoff decides. */
  'turn:failed': OfChild & Handled & { readonly attempt: number; readonly error: string; readonly retryIn: number | null }
  /** A message or job is done, and everything its turn did exists. */
  'turn:committed': OfChild & Handled
  /** What the actor has in memory is not what the store has, so it starts again from there. */
  'turn:rejected': OfChild & { readonly reason: string }
  /** It will not be tried again. */
  'message:dead': OfChild & Handled & { readonly reason: string; readonly error: string | undefined }
  'job:claimed': { readonly id: string; readonly job: string; readonly type: string; readonly attempt: number }
  /** The store does not answer; what was handled is kept and committed when it does. */
  'store:failed': { readonly error: string }
  'store:back': { readonly after: number }
  /** For too long nobody confirmed this process's leases: nothing starts until somebody does. */
  'lease:doubted': { readonly silent: number }
  'lease:confirmed': { readonly silent: number }
  /** Another process has the agent, or a newer config: this one stands by. */
  'lease:refused': { readonly team: string; readonly id: string; readonly why: 'busy' | 'older'; readonly holder: string | undefined }
  /** Another process has the agent now. */
  'lease:lost': { readonly id: string }
}

/** What a turn handles. */
type Handled = { readonly source: 'message' | 'job'; readonly handled: string; readonly type: string }

/** One event as a value. */
export type Event = { [Name in keyof Events]: { readonly name: Name } & Events[Name] }[keyof Events]
