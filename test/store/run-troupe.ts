import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, vi } from 'vitest'
import { main } from '../../src/cli/main.ts'
import { tempFolder } from '../helpers.ts'

const entry = join(import.meta.dirname, '../../troupe.js')
// The store of the machine that runs the tests is not ours to use.
const cleared = { SUPABASE_URL: '', SUPABASE_SERVICE_KEY: '', DATABASE_URL: '', ENABLE_SUPABASE: '' }

export interface RunOptions {
  readonly cwd: string
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string
  /** Ms after which it is killed; then it has no exit code. */
  readonly limit?: number
}

export type Ran = { readonly code: number | null; readonly out: string; readonly err: string }

/** Starts the troupe command in a folder. */
export function startTroupe(args: readonly string[], { cwd, env = {}, limit }: RunOptions): ChildProcess {
  const cache = join(import.meta.dirname, '../../node_modules/.cache/troupe-test')
  return spawn(process.execPath, [entry, ...args], {
    cwd,
    env: { ...process.env, NODE_COMPILE_CACHE: cache, ...cleared, ...env },
    timeout: limit,
    killSignal: 'SIGKILL',
  })
}

/** Runs the troupe command to its end. */
export async function runTroupe(args: readonly string[], options: RunOptions): Promise<Ran> {
  const child = startTroupe(args, options)
  child.stdin?.end(options.input ?? '')
  const [[code], out, err] = await Promise.all([once(child, 'exit'), read(child.stdout), read(child.stderr)])
  return { code, out, err }
}

/** Runs a command in this process, which takes a tenth of the time of one of its own. One at a time. */
export async function runHere(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ran> {
  const printed: Record<'log' | 'error', string> = { log: '', error: '' }
  const spies = (['log', 'error'] as const).map((name) =>
    vi.spyOn(console, name).mockImplementation((text) => {
      printed[name] += `${text}\n`
    }),
  )
  try {
    const code = await main(args, env)
    return { code, out: printed.log, err: printed.error }
  } finally {
    for (const spy of spies) spy.mockRestore()
  }
}

/** Resolves with the first line that a process prints. */
export async function firstLine(child: ChildProcess): Promise<string> {
  if (!child.stdout) throw new Error('The process has no output')
  const lines = createInterface(child.stdout)
  const [line] = await Promise.race([once(lines, 'line'), once(child, 'exit').then(([code]) => [`exit ${code}: ${child.stderr?.read()}`])])
  return String(line)
}

function read(stream: NodeJS.ReadableStream | null): Promise<string> {
  return stream ? text(stream) : Promise.resolve('')
}

/** Lets the tests of a file run in a folder of their own, which is the process's and which commands are run in. */
export function inOwnFolder(): { readonly path: string } {
  let folder: Awaited<ReturnType<typeof tempFolder>> | undefined
  const before = process.cwd()
  beforeAll(async () => {
    folder = await tempFolder()
    process.chdir(folder.path)
  })
  afterAll(async () => {
    process.chdir(before)
    await folder?.[Symbol.asyncDispose]()
  })
  return {
    get path() {
      return folder?.path ?? before
    },
  }
}
