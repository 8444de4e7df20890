import { createInterface } from 'node:readline/promises'
import { type Input, type Option, UsageError } from './command.ts'

export const yesOption = { yes: { type: 'boolean', help: 'do not ask' } } as const satisfies Record<string, Option>

type Terminal = { readonly input: NodeJS.ReadableStream & { readonly isTTY?: boolean }; readonly output: NodeJS.WritableStream }

/** Asks on the terminal, unless --yes was given; without a terminal there must be a --yes. */
export async function isConfirmed(
  { options }: Pick<Input, 'options'>,
  command: string,
  question: string,
  { input, output }: Terminal = { input: process.stdin, output: process.stderr },
): Promise<boolean> {
  if (options.yes) return true
  if (!input.isTTY) throw new UsageError(`${command}: there is no terminal to ask on, pass --yes`)
  const terminal = createInterface({ input, output })
  try {
    return (await terminal.question(`${question} Type yes: `)).trim().toLowerCase() === 'yes'
  } catch (error) {
    // Ctrl-C or Ctrl-D is a no as well; what comes next stands on a line of its own.
    if ((error as Error).name !== 'AbortError') throw error
    output.write('\n')
    return false
  } finally {
    terminal.close()
  }
}
