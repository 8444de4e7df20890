import { type ExitCode, type Input, UsageError } from './command.ts'
import { isConfirmed } from './confirm.ts'
import { printJson } from './print.ts'

/** What became of one thing that a command treated; further fields go to programs. */
export type Outcome = { readonly id: string; readonly verdict: string; readonly why?: string }

/** A kind of thing that commands treat by their ids, or all of them. */
export interface Kind {
  /** As in "1 job". */
  readonly one: string
  readonly many: string
  readonly none: string
  /** Why one was not treated, by its verdict. */
  readonly reasons: Readonly<Record<string, string>>
}

/** Refuses ids beside --all, and neither of them; `list` is the command that shows ids. */
export function requireChoice({ options }: Pick<Input, 'options'>, ids: readonly string[], command: string, list: string): void {
  if (options.all ? ids.length === 0 : ids.length > 0) return
  throw new UsageError(`${command}: expected ids (${list} shows them) or --all, not both`)
}

/** Whether to go on with so many: --all asks first. */
export async function isMeant(
  input: Input,
  { command, verb }: { command: string; verb: string },
  kind: Kind,
  count: number,
): Promise<boolean> {
  if (!input.options.all || count === 0) return true
  if (await isConfirmed(input, command, `${verb} ${counted(kind, count)}?`)) return true
  console.error('Nothing was done.')
  return false
}

/** Says what became of each; `note` is for people, when something was done. */
export function report<One extends Outcome>(
  { options }: Pick<Input, 'options'>,
  { done: past, note }: { done: string; note: (done: readonly One[]) => string | undefined },
  kind: Kind,
  outcomes: readonly One[],
): ExitCode {
  const done = outcomes.filter(({ verdict }) => verdict === 'ok' || verdict === 'repeat')
  const failed = outcomes.filter((one) => !done.includes(one))
  if (options.json) printJson({ results: outcomes })
  else {
    const text = note(done)
    console.log(outcomes.length === 0 ? kind.none : `${counted(kind, done.length)} ${past}.`)
    if (text && done.length > 0) console.log(text)
    for (const { id, verdict, why } of failed) console.error(`${id}: ${why ?? kind.reasons[verdict] ?? verdict}`)
  }
  return failed.length === 0 ? 0 : 1
}

function counted({ one, many }: Kind, count: number): string {
  return count === 1 ? `1 ${one}` : `${count} ${many}`
}
