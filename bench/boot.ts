import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type Figure, say } from './report.ts'

const root = join(import.meta.dirname, '..')
const market = 'simulated:42'

/** Measures the default team as a user starts it: how soon it is ready, and how much memory its whole process takes. */
export async function benchBoot(options: { readonly minutes?: string; readonly config?: string }): Promise<Figure[]> {
  const minutes = Number(options.minutes)
  const folder = await mkdtemp(join(tmpdir(), 'troupe-bench-'))
  const config = options.config ?? 'config/troupe.yaml'
  try {
    say(`${config} on ${market}: a first start`)
    const first = await start(config, folder)
    const firstMemory = await memoryOf(first.child)
    await stop(first.child)
    say(`the next start, and ${minutes} minutes of work`)
    const next = await start(config, folder)
    const ready = await memoryOf(next.child)
    await delay(minutes * 60_000)
    const last = await memoryOf(next.child)
    await stop(next.child)
    return [
      { name: 'first start, to ready', value: first.seconds, unit: 's', note: 'with an empty folder' },
      { name: 'first start, most memory', value: firstMemory.most, unit: 'MB' },
      { name: 'next start, to ready', value: next.seconds, unit: 's', aim: { max: 5 } },
      { name: 'memory when ready', value: ready.now, unit: 'MB' },
      { name: `memory after ${minutes} minutes`, value: last.now, unit: 'MB', aim: { max: 480 } },
      { name: 'most memory', value: last.most, unit: 'MB', note: 'of the whole process, since its start' },
    ]
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 3 })
  }
}

async function start(config: string, folder: string): Promise<{ child: ChildProcess; seconds: number }> {
  const port = await freePort()
  const began = performance.now()
  const env = { ...process.env, PORT: String(port), MARKET: market, LOG_LEVEL: 'warn' }
  const args = ['troupe.js', 'start', '--config', config, '--folder', folder, '--json']
  const child = spawn(process.execPath, args, { cwd: root, env, stdio: ['ignore', 'ignore', 'inherit'] })
  while (!(await isReady(port))) {
    if (child.exitCode !== null) throw new Error(`The team ended with ${child.exitCode}`)
    await delay(20)
  }
  return { child, seconds: (performance.now() - began) / 1_000 }
}

async function isReady(port: number): Promise<boolean> {
  return fetch(`http://127.0.0.1:${port}/ready`).then(
    ({ ok }) => ok,
    () => false,
  )
}

async function stop(child: ChildProcess): Promise<void> {
  child.kill('SIGTERM')
  await once(child, 'exit')
}

/** MB of the process that runs the team: troupe.js may start another one for it. */
async function memoryOf({ pid }: ChildProcess): Promise<{ now: number; most: number }> {
  const pids = [String(pid), ...(await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).trim().split(' ')].filter(Boolean)
  const found = await Promise.all(pids.map(async (one) => readFile(`/proc/${one}/status`, 'utf8')))
  const megabytes = (name: string) =>
    Math.max(...found.map((text) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(text)?.[1] ?? 0) / 1_024))
  return { now: megabytes('VmRSS'), most: megabytes('VmHWM') }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}
