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
}

/** One event as a value. */
export type Event = { [Name in keyof Events]: { readonly name: Name } & Events[Name] }[keyof Events]
