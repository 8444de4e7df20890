import { startRaw, timeRelay } from './raw.ts'
import { type Figure, say } from './report.ts'
import type { Sizes } from './runtime.ts'
import { openDatabase, openStage, type Stage } from './stage.ts'
import { median, spread } from './statistics.ts'

const pings = 40_000
const counts = 1_000_000

/** Two of the Savina benchmarks with its parameters: with mailboxes in memory, and as far as time allows with a commit for each message. */
export async function measureSavina({ seconds, rounds }: Sizes): Promise<Figure[]> {
  const share = Math.min(1, seconds / 5)
  const [balls, notes] = [Math.ceil(pings * share), Math.ceil(counts * share)]
  say(`savina: ping-pong with ${balls.toLocaleString('en-US')} pings, counting to ${notes.toLocaleString('en-US')}`)
  const times: Record<'bare' | 'pingPong' | 'counting' | 'embedded' | 'server', number[]> = {
    bare: [],
    pingPong: [],
    counting: [],
    embedded: [],
    server: [],
  }
  const workers = await Promise.all([startRaw(), startRaw()])
  {
    const memory = { durability: 'async', mailbox: 100_000 } as const
    const agents = [
      ...players.map((player) => ({ ...player, ...memory })),
      { id: 'sink', type: 'sink', ...memory },
      { id: 'source', type: 'source', ...memory },
    ]
    await using stage = await openStage(agents)
    for (let round = 0; round < rounds; round++) {
      times.bare.push(await timeRelay(workers, balls))
      times.pingPong.push(await timePingPong(stage, balls))
      times.counting.push(await timeCounting(stage, notes))
    }
  }
  await Promise.all(workers.map((worker) => worker.terminate()))
  const durable = Math.ceil(20 * seconds)
  {
    await using stage = await openStage(players)
    for (let round = 0; round < rounds; round++) times.embedded.push(durable / (await timePingPong(stage, durable)))
  }
  {
    await using database = await openDatabase()
    await using stage = await openStage(players, { databaseUrl: database.url })
    for (let round = 0; round < rounds; round++) times.server.push(durable / (await timePingPong(stage, durable)))
  }
  const size = (count: number) => count.toLocaleString('en-US')
  return [
    { name: `savina ping-pong, ${size(balls)}, async`, value: median(times.pingPong), unit: 's', note: spread(times.pingPong) },
    { name: 'the same, bare threads with the host between them', value: median(times.bare), unit: 's', note: spread(times.bare) },
    { name: 'savina ping-pong against bare threads', value: median(times.pingPong) / median(times.bare), unit: 'times' },
    { name: 'savina ping-pong, durable, embedded store', value: median(times.embedded), unit: 'pings/s', note: spread(times.embedded) },
    { name: 'savina ping-pong, durable, PostgreSQL', value: median(times.server), unit: 'pings/s', note: spread(times.server) },
    {
      name: `savina counting, ${size(notes)}, async, actor to actor, written down behind`,
      value: median(times.counting),
      unit: 's',
      note: `${size(Math.round(notes / median(times.counting)))} messages/s; ${spread(times.counting)}`,
    },
  ]
}

const players = [
  { id: 'ping', type: 'player' },
  { id: 'pong', type: 'player' },
]

/** Seconds for so many pings, each with its pong. */
async function timePingPong({ troupe, heard }: Stage, count: number): Promise<number> {
  const marks = Promise.all([heard('began'), heard('over')])
  await troupe.send('ping', 'serve', { to: 'pong', left: 2 * count - 1 })
  const [began, over] = await marks
  return (over.at - began.at) / 1000
}

async function timeCounting({ troupe, heard }: Stage, count: number): Promise<number> {
  const expecting = heard('expecting')
  await troupe.send('sink', 'expect', { count })
  await expecting
  const marks = Promise.all([heard('began'), heard('counted')])
  await troupe.send('source', 'send', { to: 'sink', count, burst: 64 })
  const [began, counted] = await marks
  return (counted.at - began.at) / 1000
}
