import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type Ran, runHere, runTroupe, startTroupe } from '../store/run-troupe.ts'

const root = join(import.meta.dirname, '../..')
const cleared = { PORT: '0', TROUPE_CONFIG: '', AGENT_MODE: '' }

/** Somebody's project in a folder of its own: actors, a config, and Troupe as its packages bring it. It is the working folder. */
export interface Project extends AsyncDisposable {
  readonly path: string
  configure(yaml: string): Promise<void>
  write(file: string, text: string): Promise<void>
  /** Runs a command in this process, which takes a tenth of the time of one of its own. One at a time. */
  run(...args: readonly string[]): Promise<Ran>
  /** Runs a command with --json that has to succeed, and reads what it prints. */
  ask<Answer>(...args: readonly string[]): Promise<Answer>
  /** Runs a command as people do. */
  spawn(args: readonly string[], input?: string): Promise<Ran>
  start(env?: Readonly<Record<string, string>>): Team
}

export async function openProject(): Promise<Project> {
  const path = await mkdtemp(join(tmpdir(), 'troupe-cli-'))
  await mkdir(join(path, 'config'))
  await cp(join(root, 'package.json'), join(path, 'package.json'))
  await cp(join(import.meta.dirname, 'actors'), join(path, 'actors'), { recursive: true })
  for (const name of ['src', 'node_modules']) await symlink(join(root, name), join(path, name))
  const before = process.cwd()
  process.chdir(path)
  const teams = new Set<Team>()
  return {
    path,
    configure: (yaml) => writeFile(join(path, 'config/troupe.yaml'), yaml),
    write: (file, text) => writeFile(join(path, file), text),
    run: (...args) => runHere(args),
    async ask(...args) {
      const { code, out, err } = await runHere([...args, '--json'])
      if (code !== 0) throw new Error(`troupe ${args.join(' ')} ended with ${code}: ${err}`)
      return JSON.parse(out)
    },
    spawn: (args, input = '') => runTroupe(args, { cwd: path, env: cleared, input }),
    start(env = {}) {
      const team = followTeam(startTroupe(['start'], { cwd: path, env: { ...cleared, ...env } }))
      teams.add(team)
      return team
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...teams].map((team) => team.end('SIGKILL')))
      process.chdir(before)
      await rm(path, { recursive: true, force: true, maxRetries: 3 })
    },
  }
}

type Fields = Readonly<Record<string, unknown>>

/** A `troupe start` process, with the events that it logs. */
export interface Team {
  readonly pid: number
  /** Resolves with the first event of that name, also one of the past, that has these fields. */
  event(name: string, fields: Fields): Promise<Fields>
  /** Ends it; resolves with its exit code. */
  end(signal: 'SIGTERM' | 'SIGHUP' | 'SIGKILL'): Promise<number | null>
}

const patience = 60_000

function followTeam(child: ChildProcess): Team {
  const seen: string[] = []
  const looks = new Set<() => void>()
  const exited = once(child, 'exit') as Promise<[number | null]>
  if (!child.stdout) throw new Error('The process has no output')
  createInterface(child.stdout).on('line', (line) => {
    seen.push(line)
    for (const look of looks) look()
  })
  child.stderr?.on('data', (text) => seen.push(String(text)))

  function find(wanted: Fields): Fields | undefined {
    const events = seen.flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as Fields] : []))
    return events.find((one) => Object.entries(wanted).every(([key, value]) => one[key] === value))
  }

  return {
    pid: child.pid ?? 0,
    async event(event, fields) {
      const { promise, resolve, reject } = Promise.withResolvers<Fields>()
      const fail = (why: string) => reject(new Error(`No ${event} ${JSON.stringify(fields)}: ${why}\n${seen.join('\n')}`))
      const timer = setTimeout(() => fail(`none within ${patience} ms`), patience)
      const look = () => {
        const found = find({ event, ...fields })
        if (found) resolve(found)
      }
      looks.add(look)
      look()
      void exited.then(([code]) => fail(`the process ended with ${code}`))
      return await promise.finally(() => {
        clearTimeout(timer)
        looks.delete(look)
      })
    },
    async end(signal) {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal)
      return (await exited)[0]
    },
  }
}
