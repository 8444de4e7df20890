import type { Path } from './config.ts'
import type { Config } from './schema.ts'

/** What a source says should run. */
export interface Wanted {
  readonly config: Config
  /** Where a setting stands, for people: file, line and column, its path, or a document. */
  where(path: Path): string
  /** When it was last changed, in ms since 1970. */
  readonly changedAt: number
  /** Absent where no database of documents is configured. */
  readonly documents?: Documents
}

/** What a database of documents adds to a config, in which its agents are already. */
export interface Documents {
  readonly state: DocumentsState
  /** Agents that a document wants: what is wrong with one of them is nobody else's affair. */
  readonly ids: ReadonlySet<string>
  readonly skipped: readonly Skipped[]
}

/** How far documents could be read. */
export type DocumentsState =
  | { readonly kind: 'read' }
  /** There are more than `limit` of them; those behind it were not read. */
  | { readonly kind: 'cut'; readonly limit: number }
  | { readonly kind: 'failed'; readonly error: string }

/** A document whose agent is not in the desired set. */
export interface Skipped {
  readonly id: string
  /** Which document, and what is wrong with it. */
  readonly reason: string
  /** Whether an agent that it stood for before may run on as it was, because nobody said that it should not. */
  readonly mayStay: boolean
}

/** Where specs come from. */
export interface Source {
  /** Throws CONFIG_INVALID. */
  read(): Promise<Wanted>
  /** Files whose change makes it worth reading again. */
  readonly files: readonly string[]
  /** Ends its connections, and what is being read over them. */
  close(): Promise<void>
}
