import { createInterface } from 'node:readline/promises'
import { type Input, type Option, UsageError } from './command.ts'

export const yesOption = { yes: { type: 'boolean', help: 'do not ask' } } as const satisfies Record<string, Option>

/** Asks on the terminal, unless --yes was given; without a terminal there must be a --yes. */
export async function isConfirmed({ options }: Pick<Input, 'options'>, command: string, question: string): Promise<boolean> {
  if (options.yes) return true
  if (!process.stdin.isTTY) throw new UsageError(`${command}: there is no terminal to ask on, pass --yes`)
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return (await terminal.question(`${question} Type yes: `)).trim().toLowerCase() === 'yes'
  } finally {
    terminal.close()
  }
}
