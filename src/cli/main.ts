import { existsSync } from 'node:fs'
import { parseArgs } from 'node:util'
import packageJson from '../../package.json' with { type: 'json' }
import { ActorError, codes } from '../core/errors.ts'
import { nearest } from '../core/nearest.ts'
import { explained, storeTrouble, type Trouble } from '../core/troubles.ts'
import { storeFailure } from '../store/store-error.ts'
import { type Command, type ExitCode, UsageError } from './command.ts'
import { type Commands, commandHelp, groupHelp } from './help.ts'
import { styled } from './print.ts'

/** Each is loaded when it is wanted: what lists agents has no use for a database. */
const loaders: Readonly<Record<string, () => Promise<Command>>> = {
  start: async () => (await import('./start.ts')).start,
  check: async () => (await import('./check.ts')).check,
  plan: async () => (await import('./plan.ts')).plan,
  reload: async () => (await import('./reload.ts')).reload,
  ps: async () => (await import('./ps.ts')).ps,
  why: async () => (await import('./why.ts')).why,
  send: async () => (await import('./send.ts')).send,
  restart: async () => (await import('./restart.ts')).restart,
  pause: async () => (await import('./pause.ts')).pause,
  resume: async () => (await import('./resume.ts')).resume,
  'dead list': async () => (await import('./dead-list.ts')).deadList,
  'dead replay': async () => (await import('./dead-replay.ts')).deadReplay,
  'dead drop': async () => (await import('./dead-drop.ts')).deadDrop,
  'jobs list': async () => (await import('./jobs-list.ts')).jobsList,
  'jobs show': async () => (await import('./jobs-show.ts')).jobsShow,
  'jobs add': async () => (await import('./jobs-add.ts')).jobsAdd,
  'jobs retry': async () => (await import('./jobs-retry.ts')).jobsRetry,
  'jobs cancel': async () => (await import('./jobs-cancel.ts')).jobsCancel,
  'opportunities list': async () => (await import('./opportunities-list.ts')).opportunitiesList,
  'opportunities show': async () => (await import('./opportunities-show.ts')).opportunitiesShow,
  'opportunities approve': async () => (await import('./opportunities-review.ts')).opportunitiesApprove,
  'opportunities reject': async () => (await import('./opportunities-review.ts')).opportunitiesReject,
  'markets trending': async () => (await import('./markets.ts')).marketsTrending,
  'markets search': async () => (await import('./markets.ts')).marketsSearch,
  'markets show': async () => (await import('./markets.ts')).marketsShow,
  'db status': async () => (await import('./db-status.ts')).dbStatus,
  'db serve': async () => (await import('./db-serve.ts')).dbServe,
  'db query': async () => (await import('./db-query.ts')).dbQuery,
  'db migrate': async () => (await import('./db-migrate.ts')).dbMigrate,
  'db reset': async () => (await import('./db-reset.ts')).dbReset,
}

/** Runs the command that the words name. */
export async function main(argv: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<ExitCode> {
  try {
    readEnvFile('.env')
    return await dispatch(spelledOut(argv), env)
  } catch (error) {
    return report(error, { isJson: argv.includes('--json') })
  }
}

/** A container that is given a file that is not there finds a folder of its name. */
function readEnvFile(file: string): void {
  if (!existsSync(file)) return
  try {
    process.loadEnvFile(file)
  } catch (cause) {
    throw new UsageError(`Cannot read the file ${file} of the working folder: ${(cause as Error).message}`, { cause })
  }
}

/** As other programs have it: -h, -v, and help before a command. */
function spelledOut(argv: readonly string[]): readonly string[] {
  const [first, ...rest] = argv
  if (first === '-v') return ['--version']
  if (first === 'help' && rest.length > 0) return [...rest, '--help']
  return argv.map((word) => (word === '-h' ? '--help' : word))
}

async function dispatch(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<ExitCode> {
  const [first, second] = argv
  if (first === '--version') return print(packageJson.version)
  if (first === undefined || first === '--help' || first === 'help') return print(groupHelp(await loadAll()))
  const group = Object.keys(loaders).some((name) => name.startsWith(`${first} `)) ? first : undefined
  if (group && (second === undefined || second === '--help')) return print(groupHelp(await loadAll(), group))
  const name = group ? `${first} ${second}` : first
  const load = Object.hasOwn(loaders, name) ? loaders[name] : undefined
  if (!load) throw unknownCommand(name)
  const command = await load()
  if (argv.includes('--help')) return print(commandHelp(name, command))
  const { values, positionals } = parse(name, command, argv.slice(group ? 2 : 1))
  return await command.run({ options: values, words: positionals, env })
}

async function loadAll(): Promise<Commands> {
  const entries = Object.entries(loaders).map(async ([name, load]) => [name, await load()] as const)
  return Object.fromEntries(await Promise.all(entries))
}

function parse(name: string, { options, words = 0 }: Command, args: readonly string[]) {
  try {
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true })
    const extra = positionals[words]
    if (extra !== undefined) throw new UsageError(`${name}: ${JSON.stringify(extra)} is one word too many`)
    const empty = Object.keys(values).find((key) => values[key] === '')
    if (empty) throw new UsageError(`${name}: --${empty}: expected ${options[empty]?.value}, found "" (is a variable of the shell unset?)`)
    return { values: values as Record<string, string | boolean | undefined>, positionals }
  } catch (error) {
    if (error instanceof TypeError) throw new UsageError(`${name}: ${error.message}. See troupe ${name} --help`)
    throw error
  }
}

function unknownCommand(name: string): UsageError {
  const suggestion = nearest(name, Object.keys(loaders))
  return new UsageError(`Unknown command "${name}"${suggestion ? `: did you mean "troupe ${suggestion}"?` : '.'} See troupe --help`)
}

function print(text: string): ExitCode {
  console.log(text)
  return 0
}

/** Says what went wrong, without a stack: what people can act on is in the message. */
function report(error: unknown, { isJson }: { readonly isJson: boolean }): ExitCode {
  const isKnown = error instanceof ActorError || error instanceof UsageError
  const { code, details } = error instanceof ActorError ? error : { code: isKnown ? 'USAGE' : 'UNEXPECTED', details: {} }
  const { message, ...known } = explained(troubleIn(error), isKnown ? error.message : String((error as Error)?.stack ?? error))
  const { detail, hint } = { ...known, ...(details as { detail?: string; hint?: string }) }
  if (isJson) console.error(JSON.stringify({ error: { code, message, details } }))
  else console.error([`${styled('red', 'error', process.stderr)} ${message}`, detail, hint && `hint: ${hint}`].filter(Boolean).join('\n'))
  return error instanceof UsageError || isOperators(code) ? 2 : 1
}

/** What the first failure of a hosted store is called. */
function troubleIn(error: unknown): Trouble | undefined {
  const { kind, store = '' } = storeFailure(error) ?? {}
  if (kind !== 'unavailable' && kind !== 'denied' && kind !== 'schema') return undefined
  return storeTrouble(store, kind === 'schema' ? 'unfit' : 'away')
}

/** What the operator has to mend: the config or an actor file. */
function isOperators(code: string): boolean {
  return codes.operator.some((one) => one === code)
}
