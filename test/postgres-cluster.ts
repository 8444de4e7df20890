import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chown, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { buildTemplate, databaseUrl, withClient } from './postgres-setup.ts'

/** A PostgreSQL server that one test file has for itself: it may be stopped and started, which the shared one may not. */
export type Cluster = AsyncDisposable & {
  /** A database with the schema in it. */
  url: string
  /** Stops the server, `fast` as an operator does or `immediate` as a crash does, and starts it again. */
  restart: (how: 'fast' | 'immediate') => Promise<void>
  stop: (how: 'fast' | 'immediate') => Promise<void>
  start: () => Promise<void>
  /** Stops the clock for all of the server's processes, which then neither answer nor hang up, or lets them go on. */
  freeze: () => Promise<void>
  thaw: () => Promise<void>
}

const run = promisify(execFile)
const installations = '/usr/lib/postgresql'
const signals = { fast: 'SIGINT', immediate: 'SIGQUIT' } as const

export async function startCluster({ connections = 20 } = {}): Promise<Cluster> {
  const bin = await newestBinaries()
  const owner = await findOwner()
  const folder = await mkdtemp(join(tmpdir(), 'troupe-cluster-'))
  if (owner.uid !== undefined && owner.gid !== undefined) await chown(folder, owner.uid, owner.gid)
  const data = join(folder, 'data')
  const port = await freePort()
  const settings = { port, max_connections: connections, listen_addresses: '127.0.0.1', unix_socket_directories: folder, fsync: 'off' }
  const start = () =>
    startServer(join(bin, 'postgres'), ['-D', data, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])], {
      cwd: folder,
      ...owner,
    })

  await run(join(bin, 'initdb'), ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C.UTF-8', '--no-sync'], {
    cwd: folder,
    ...owner,
  })
  let server = await start()
  const admin = `postgres://postgres@127.0.0.1:${port}/postgres`
  await withClient(admin, (sql) => buildTemplate(sql, admin, 'troupe'))
  const stop = (how: keyof typeof signals) => stopServer(server, signals[how])
  const again = async () => {
    server = await start()
  }
  return {
    url: databaseUrl(admin, 'troupe'),
    restart: async (how) => {
      await stop(how)
      await again()
    },
    stop,
    start: again,
    freeze: () => signalAll(server, 'SIGSTOP'),
    thaw: () => signalAll(server, 'SIGCONT'),
    [Symbol.asyncDispose]: async () => {
      await signalAll(server, 'SIGCONT')
      await stopServer(server, signals.immediate)
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function newestBinaries(): Promise<string> {
  const versions = await readdir(installations).catch(() => [])
  const newest = versions.sort((a, b) => Number(b) - Number(a))[0]
  if (!newest) throw new Error(`No PostgreSQL below ${installations}: .ci/postgres start installs it`)
  return join(installations, newest, 'bin')
}

/** PostgreSQL refuses to run as root, so root runs it as the user that its package made. */
async function findOwner(): Promise<{ uid?: number; gid?: number }> {
  if (process.getuid?.() !== 0) return {}
  const [uid, gid] = await Promise.all(['-u', '-g'].map(async (which) => Number((await run('id', [which, 'postgres'])).stdout)))
  return uid === undefined || gid === undefined ? {} : { uid, gid }
}

/** Below the ports that outgoing connections take: one of those might have it when the server comes back. */
async function freePort(): Promise<number> {
  const port = 20_000 + Math.floor(Math.random() * 10_000)
  const probe = createServer()
  const isFree = await new Promise<boolean>((resolve) => {
    probe.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true))
  })
  await new Promise((resolve) => probe.close(resolve))
  return isFree ? port : freePort()
}

async function startServer(command: string, args: string[], options: { cwd: string; uid?: number; gid?: number }): Promise<ChildProcess> {
  const server = spawn(command, args, { ...options, stdio: ['ignore', 'ignore', 'pipe'] })
  const lines: string[] = []
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).once('exit', () => reject(new Error(`PostgreSQL did not start:\n${lines.join('\n')}`)))
    createInterface({ input: server.stderr }).on('line', (line) => {
      lines.push(line)
      if (line.includes('ready to accept connections')) resolve()
    })
  })
  return server
}

async function stopServer(server: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return
  const exited = once(server, 'exit')
  server.kill(signal)
  await exited
}

/** The server first: it starts no process while it is frozen. Each backend has a session of its own, so there is no group to signal. */
async function signalAll({ pid, exitCode, signalCode }: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (pid === undefined || exitCode !== null || signalCode !== null) return
  process.kill(pid, signal)
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')
  for (const child of children.split(' ').filter((word) => word !== '')) {
    try {
      process.kill(Number(child), signal)
    } catch {
      // It has ended in the meantime.
    }
  }
}
