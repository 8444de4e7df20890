import type { Path } from './config.ts'
import type { Config } from './schema.ts'

/** What a source says should run. */
export interface Wanted {
  readonly config: Config
  /** Where a setting stands, for people: file, line and column, or its path. */
  where(path: Path): string
  /** When it was last changed, in ms since 1970. */
  readonly changedAt: number
}

/** Where specs come from. */
export interface Source {
  /** Throws CONFIG_INVALID or SOURCE_FAILED. */
  read(): Promise<Wanted>
  /** Files whose change makes it worth reading again. */
  readonly files: readonly string[]
}
