import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'

const entry = join(import.meta.dirname, '../../troupe.js')
// The store of the machine that runs the tests is not ours to use.
const cleared = { SUPABASE_URL: '', SUPABASE_SERVICE_KEY: '', DATABASE_URL: '', ENABLE_SUPABASE: '' }

export interface RunOptions {
  readonly cwd: string
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string
}

/** Starts the troupe command in a folder. */
export function startTroupe(args: readonly string[], { cwd, env = {} }: RunOptions): ChildProcess {
  const cache = join(import.meta.dirname, '../../node_modules/.cache/troupe-test')
  return spawn(process.execPath, [entry, ...args], { cwd, env: { ...process.env, NODE_COMPILE_CACHE: cache, ...cleared, ...env } })
}

/** Runs the troupe command to its end. */
export async function runTroupe(args: readonly string[], options: RunOptions): Promise<{ code: number | null; out: string; err: string }> {
  const child = startTroupe(args, options)
  child.stdin?.end(options.input ?? '')
  const [[code], out, err] = await Promise.all([once(child, 'exit'), read(child.stdout), read(child.stderr)])
  return { code, out, err }
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
