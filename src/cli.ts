import { existsSync } from 'node:fs'
import { parseArgs } from 'node:util'
import packageJson from '../package.json' with { type: 'json' }
import { type Command, type ExitCode, UsageError } from './cli/command.ts'
import { dbMigrate } from './cli/db-migrate.ts'
import { dbQuery } from './cli/db-query.ts'
import { dbReset } from './cli/db-reset.ts'
import { dbServe } from './cli/db-serve.ts'
import { dbStatus } from './cli/db-status.ts'
import { type Commands, commandHelp, groupHelp, nearest } from './cli/help.ts'
import { styled } from './cli/print.ts'
import { start } from './cli/start.ts'
import { ActorError } from './core/errors.ts'

const commands: Commands = {
  start,
  'db status': dbStatus,
  'db serve': dbServe,
  'db query': dbQuery,
  'db migrate': dbMigrate,
  'db reset': dbReset,
}

process.exitCode = await main(process.argv.slice(2))

/** Runs the command that the words name. */
async function main(argv: readonly string[]): Promise<ExitCode> {
  try {
    if (existsSync('.env')) process.loadEnvFile('.env')
    return await dispatch(argv)
  } catch (error) {
    return report(error, argv.includes('--json'))
  }
}

async function dispatch(argv: readonly string[]): Promise<ExitCode> {
  const [first, second] = argv
  if (first === '--version') return print(packageJson.version)
  if (first === undefined || first === '--help' || first === 'help') return print(groupHelp(commands))
  const group = Object.keys(commands).some((name) => name.startsWith(`${first} `)) ? first : undefined
  if (group && (second === undefined || second === '--help')) return print(groupHelp(commands, group))
  const name = group ? `${first} ${second}` : first
  const command = commands[name]
  if (!command) throw unknownCommand(name)
  if (argv.includes('--help')) return print(commandHelp(name, command))
  const { values, positionals } = parse(name, command, argv.slice(group ? 2 : 1))
  return await command.run({ options: values, words: positionals, env: process.env })
}

function parse(name: string, { options, words = 0 }: Command, args: readonly string[]) {
  try {
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true })
    const extra = positionals[words]
    if (extra !== undefined) throw new UsageError(`${name}: ${JSON.stringify(extra)} is one word too many`)
    return { values: values as Record<string, string | boolean | undefined>, positionals }
  } catch (error) {
    if (error instanceof TypeError) throw new UsageError(`${name}: ${error.message}. See troupe ${name} --help`)
    throw error
  }
}

function unknownCommand(name: string): UsageError {
  const suggestion = nearest(name, Object.keys(commands))
  return new UsageError(`Unknown command "${name}"${suggestion ? `: did you mean "troupe ${suggestion}"?` : ''} See troupe --help`)
}

function print(text: string): ExitCode {
  console.log(text)
  return 0
}

/** Says what went wrong, without a stack: what people can act on is in the message. */
function report(error: unknown, isJson: boolean): ExitCode {
  const isKnown = error instanceof ActorError || error instanceof UsageError
  const { code, details } = error instanceof ActorError ? error : { code: isKnown ? 'USAGE' : 'UNEXPECTED', details: {} }
  const message = isKnown ? error.message : String((error as Error)?.stack ?? error)
  const { detail, hint } = details as { detail?: string; hint?: string }
  if (isJson) console.error(JSON.stringify({ error: { code, message, details } }))
  else console.error([`${styled('red', 'error', process.stderr)} ${message}`, detail, hint && `hint: ${hint}`].filter(Boolean).join('\n'))
  return error instanceof UsageError || code === 'CONFIG_INVALID' ? 2 : 1
}
