import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { Event } from '../../src/core/events.ts'
import { tempFolder } from '../helpers.ts'
import { freshDatabase } from '../postgres.ts'

const root = join(import.meta.dirname, '../..')
const lease = 1_500

type Node = { readonly process: ChildProcess; event(name: Event['name']): Promise<void>; kill(): Promise<void> }

/** Starts a process with the team. */
function startProcess(url: string, given: object): Node {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'node-process.ts'), JSON.stringify({ ...given, lease })], {
    cwd: root,
    env: { ...process.env, DATABASE_URL: url, SUPABASE_URL: '', AGENT_MODE: '' },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const seen: string[] = []
  const lines = createInterface(child.stdout)
  lines.on('line', (line) => seen.push((JSON.parse(line) as Event).name))
  return {
    process: child,
    /** Resolves with the next event of that name, or one that nobody has waited for yet. */
    async event(name) {
      while (!seen.includes(name)) await once(lines, 'line', { signal: AbortSignal.timeout(30_000) })
      seen.splice(seen.indexOf(name), 1)
    },
    async kill() {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}

/** Who wrote the lines of a file, each entry once for as long as nobody else wrote. */
async function blocksOf(file: string): Promise<string[]> {
  const writers = (await readFile(file, 'utf8')).trimEnd().split('\n')
  return writers.filter((writer, index) => writer !== writers[index - 1])
}

test.each([
  ['while it waits for its restart', 0],
  ['in its init', 420],
])(
  '95 one incarnation lives at a time when the process is killed in the middle of a restart: %s',
  async (_, delay) => {
    await using db = await freshDatabase()
    await using folder = await tempFolder()
    const file = join(folder.path, 'writers')
    const agents = [{ id: 'restless', type: 'restless', args: { file }, backoff: { first: 200, jitter: 0 } }]
    const open = (name: string) => startProcess(db.url, { agents, folder: join(folder.path, name) })
    const first = open('first')
    const others: Node[] = []
    try {
      await first.event('child:started')
      others.push(open('second'))
      await others[0]?.event('lease:refused')
      await first.event('turn:committed')
      first.process.stdin?.write(`${JSON.stringify({ to: 'restless', type: 'crash' })}\n`)
      await first.event('child:delayed')
      await setTimeout(delay) // the moment is the test
      await first.kill()
      others.push(open('third'))
      await Promise.race(others.map((node) => node.event('child:started')))
      await Promise.race(others.map((node) => node.event('turn:committed')))
      // The other one goes on asking for the agent, and goes on being refused.
      await setTimeout(lease)
      const blocks = await blocksOf(file)
      const [counts] = await db.sql`select (state::jsonb ->> 'ticks')::integer as ticks, (
        select count(*)::integer from agent_deliveries d join agent_messages m on m.id = d.message_id
        where d.agent_id = s.agent_id and m.subject = 'tick' and d.status = 'done') as done
      from agent_state s where agent_id = 'restless'`
      const pids = blocks.map((writer) => writer.split('/')[0])
      const killed = String(first.process.pid)
      expect({
        writers: new Set(blocks).size,
        processes: new Set(pids).size,
        hasTicked: counts?.ticks > 0,
        isKilledFirst: pids.lastIndexOf(killed) < pids.findIndex((pid) => pid !== killed),
        done: counts?.done,
      }).toEqual({ writers: blocks.length, processes: 2, hasTicked: true, isKilledFirst: true, done: counts?.ticks })
    } finally {
      await Promise.all([first, ...others].map((node) => node.kill()))
    }
  },
  60_000,
)
