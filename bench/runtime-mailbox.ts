import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openParts, type Parts } from '../src/host/parts.ts'
import { createProbe } from '../src/host/probe.ts'
import { valueSource } from '../src/sources/file.ts'
import { createEars } from './ears.ts'
import { startRaw, timeNotes } from './raw.ts'
import { type Figure, say } from './report.ts'
import type { Sizes } from './runtime.ts'
import { actors, configOf, project } from './stage.ts'
import { median, spread } from './statistics.ts'

const burst = 64
/** So many may be unacknowledged, of ours and of the bare thread's. */
const atOnce = 1_024

/** From the host into the memory of an actor with durability: async, and every message acknowledged. The receiver counts. */
export async function measureMailbox({ seconds, rounds }: Sizes): Promise<Figure[]> {
  const count = Math.round((seconds / 5) * 1_000_000)
  say(`mailbox: ${count.toLocaleString('en-US')} messages in bursts of ${burst}, beside one postMessage for each`)
  const ears = createEars()
  const folder = await mkdtemp(join(tmpdir(), 'troupe-bench-'))
  const parts = await openTeam(folder, ears.log)
  const worker = await startRaw()
  const ours: number[] = []
  const raw: number[] = []
  for (let round = 0; round < rounds; round++) {
    raw.push(await timeNotes(worker, { count: Math.ceil(count / 5), burst, atOnce }))
    ours.push(await timeBursts(parts, ears, count))
  }
  await worker.terminate()
  await parts.close({ grace: 20_000 })
  await rm(folder, { recursive: true, force: true, maxRetries: 3 })
  return [
    {
      name: 'mailbox, host to actor, async, bursts of 64',
      value: median(ours),
      unit: 'messages/s',
      aim: { min: 1_000_000 },
      note: spread(ours),
    },
    {
      name: 'bare thread, a postMessage and an acknowledgement for each, bursts of 64',
      value: median(raw),
      unit: 'messages/s',
      note: spread(raw),
    },
    { name: 'mailbox against bare thread', value: median(ours) / median(raw), unit: 'times', aim: { min: 5 } },
  ]
}

/** What createTroupe opens; it has no way in that does not begin with a row in the store. */
async function openTeam(folder: string, log: ReturnType<typeof createEars>['log']): Promise<Parts> {
  const config = configOf([{ id: 'sink', type: 'sink', durability: 'async', mailbox: 100_000 }], false)
  const parts = await openParts({
    root: project,
    actors,
    folder,
    env: {},
    log,
    node: 'bench',
    probe: createProbe(),
    wanted: await valueSource(config).read(),
    emit() {},
    onGiveUp() {},
  })
  await parts.start()
  return parts
}

async function timeBursts({ engine, launcher, outside }: Parts, ears: ReturnType<typeof createEars>, count: number): Promise<number> {
  const { router } = engine.office
  const expecting = ears.heard('expecting')
  await outside.send('sink', 'expect', { count })
  await expecting
  const counted = ears.heard('counted')
  const message = { to_agent: 'sink', type: 'note', body: '{"n":1}' }
  const open = () => launcher.life('sink')?.desk()?.report().mailbox ?? 0
  const began = performance.now()
  for (let sent = 0; sent < count; ) {
    for (let nth = 0; nth < burst && sent < count; nth++, sent++) {
      if (!router.burst(message, 'bench')) throw new Error(`The mailbox took no more after ${sent} messages`)
    }
    do await new Promise(setImmediate)
    while (open() > atOnce - burst)
  }
  await counted
  while (open() > 0) await new Promise(setImmediate)
  return count / ((performance.now() - began) / 1000)
}
