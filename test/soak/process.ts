import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const entry = join(import.meta.dirname, '../../troupe.js')
const cache = join(import.meta.dirname, '../../node_modules/.cache/troupe-test')
// The store of the machine that runs the tests is not ours to use.
const cleared = { SUPABASE_URL: '', SUPABASE_SERVICE_KEY: '', DATABASE_URL: '', ENABLE_SUPABASE: '', AGENT_MODE: '', LOG_LEVEL: '' }

/** A line of a process's log; `at` is when it was read here, in monotonic ms. */
export type Line = Readonly<Record<string, unknown>> & { readonly at: number; readonly event?: string; readonly agent?: string }

/** A process that runs the bank with the command that users have. */
export type Process = AsyncDisposable & {
  readonly pid: number
  readonly lines: readonly Line[]
  /** Resolves with the first line that fits, also one of the past; rejects when the process has ended or the limit is over. */
  line(what: string, fits: (line: Line) => boolean, limit?: number): Promise<Line>
  kill(signal: NodeJS.Signals): void
  /** Resolves with the exit code, or the signal. */
  readonly exited: Promise<number | NodeJS.Signals>
  /** What it said last, for people. */
  tail(): string
}

export type ProcessOptions = { readonly project: string; readonly env: Readonly<Record<string, string>>; readonly folder?: string }

export function startProcess({ project, env, folder = '.troupe' }: ProcessOptions): Process {
  const child = spawn(process.execPath, [entry, 'start', '--config', 'bank.yaml', '--folder', folder, '--json'], {
    cwd: project,
    env: { ...process.env, ...cleared, NODE_COMPILE_CACHE: cache, PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const lines: Line[] = []
  const others: string[] = []
  const looking = new Set<() => void>()
  const look = () => {
    for (const one of looking) one()
  }
  createInterface({ input: child.stdout }).on('line', (text) => {
    const line = parse(text)
    if (line) lines.push(line)
    else others.push(text)
    look()
  })
  createInterface({ input: child.stderr }).on('line', (text) => others.push(text))
  let end: number | NodeJS.Signals | undefined
  // Not `exit`: what it wrote last is to be read first.
  const exited = once(child, 'close').then(([code, signal]) => {
    end = signal ?? code
    look()
    return end as number | NodeJS.Signals
  })
  const tail = () => {
    const said = lines.filter(({ event }) => event !== 'turn:failed').slice(-10)
    return [...said.map(({ msg, detail }) => [msg, detail].join(' ')), ...others.slice(-10)].join('\n')
  }

  async function line(what: string, fits: (line: Line) => boolean, limit = 60_000): Promise<Line> {
    const { promise, resolve, reject } = Promise.withResolvers<Line>()
    const check = () => {
      const found = lines.find(fits)
      if (found) resolve(found)
      else if (end !== undefined) reject(new Error(`The process ended (${end}) before ${what}:\n${tail()}`))
    }
    const timer = setTimeout(() => reject(new Error(`No ${what} within ${limit} ms:\n${tail()}`)), limit)
    looking.add(check)
    check()
    try {
      return await promise
    } finally {
      clearTimeout(timer)
      looking.delete(check)
    }
  }

  return {
    pid: child.pid ?? 0,
    lines,
    line,
    kill: (signal) => void child.kill(signal),
    exited,
    tail,
    async [Symbol.asyncDispose]() {
      child.kill('SIGCONT')
      child.kill('SIGKILL')
      await exited
    },
  }
}

function parse(text: string): Line | undefined {
  if (!text.startsWith('{')) return undefined
  return { ...JSON.parse(text), at: performance.now() }
}
