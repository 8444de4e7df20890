import type { ParseArgsOptionsConfig } from 'node:util'

/** One subcommand: what it is for, what it takes, what it does. */
export interface Command {
  readonly summary: string
  /** What follows the name, as in the help. */
  readonly usage: string
  readonly examples: readonly string[]
  /** What people should know, a sentence or two. */
  readonly notes?: readonly string[]
  readonly options: Readonly<Record<string, Option>>
  /** How many words may follow; more are refused. */
  readonly words?: number
  run(input: Input): Promise<ExitCode>
}

/** An option of parseArgs with a line for the help. */
export type Option = ParseArgsOptionsConfig[string] & { readonly help: string; readonly value?: string }

export interface Input {
  readonly options: Readonly<Record<string, string | boolean | undefined>>
  readonly words: readonly string[]
  readonly env: NodeJS.ProcessEnv
}

/** 0 done, 1 failed, 2 the command or the configuration is wrong. */
export type ExitCode = 0 | 1 | 2

/** The command line cannot be understood; ends with exit code 2 and a pointer to the help. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}
