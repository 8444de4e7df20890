import { writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Event } from '../../src/core/events.ts'
import { endProcess } from '../../src/host/threads.ts'
import { createTroupe } from '../../src/host/troupe.ts'

// A process of its own, with all that belongs to it: what it hosts cannot be ended. Its folder is its argument.
const seen = new Set<string>()
const arrivals = new Set<() => void>()
const backoff = { first: 1, max: 1 }
const troupe = createTroupe({
  config: { teams: [{ id: 'team', agents: [{ id: 'a', type: 'wild', hangAfter: 400, maxAttempts: 1, backoff }] }] },
  root: join(import.meta.dirname, '../..'),
  actors: join(import.meta.dirname, 'actors'),
  env: {},
  folder: process.argv[2] ?? '',
  watches: false,
  onEvent(event: Event) {
    seen.add('incarnation' in event ? `${event.name} ${event.incarnation}` : event.name)
    for (const look of arrivals) look()
  },
})

async function until(entry: string): Promise<void> {
  while (!seen.has(entry)) await new Promise<void>((resolve) => arrivals.add(resolve))
}

await troupe.start()
const before = troupe.status()
await troupe.send('a', 'zombie')
await until('thread:zombie 1')
await until('child:started 2')
const reply = await troupe.ask('a', 'echo', 'again')
const { isReady, reasons, zombies } = troupe.status()
writeSync(1, JSON.stringify({ wasReady: before.isReady, reply, isReady, reasons, zombies }))
await troupe.stop()
endProcess(0, troupe.status().zombies)
