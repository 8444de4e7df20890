import { setTimeout } from 'node:timers/promises'
import type { Event } from '../src/index.ts'
import { openBackend } from '../src/store/open.ts'
import type { SqlAccess } from '../src/store/store.ts'
import { callOver, openTeam, rateOf, repeat } from './load.ts'
import { type Figure, say } from './report.ts'
import type { Sizes } from './runtime.ts'
import { openSession } from './server.ts'
import { openDatabase, openStage } from './stage.ts'
import { median, spread } from './statistics.ts'

const members = 32
/** Notes that each has waiting, all the time. */
const waiting = 20
/** Seconds that are not counted: every thread compiles for itself what it runs often, and is as fast as it gets after some hundred turns. */
const warmUp = 10

/** Turns that take a message from a full mailbox, save a state and send a message on; what is counted is in the table. */
export async function measureTurns(sizes: Sizes): Promise<Figure[]> {
  await using database = await openDatabase()
  const server = await runTeam(sizes, 'PostgreSQL', database.url)
  const floor = await floorOf(database.url, sizes)
  const embedded = await runTeam(sizes, 'embedded store')
  return [
    figure('durable turns, PostgreSQL', server, { min: 5_000 }),
    {
      name: 'turns committed by plain SQL on the same server, 64 at a time',
      value: floor,
      unit: 'turns/s',
      note: 'one call at a time, nothing else',
    },
    { name: 'durable turns against plain SQL', value: median(server.rates) / floor, unit: 'times' },
    figure('durable turns, embedded store', embedded),
  ]
}

type Measured = { readonly rates: readonly number[]; readonly note: string }

function figure(name: string, { rates, note }: Measured, aim?: Figure['aim']): Figure {
  return { name, value: median(rates), unit: 'turns/s', note: `${spread(rates)}; ${note}`, ...(aim && { aim }) }
}

/** Keeps a team busy for a while, and compares what it announced with what is in the table. */
async function runTeam({ seconds, rounds }: Sizes, where: string, databaseUrl?: string): Promise<Measured> {
  say(`turns: ${members} agents, ${waiting} notes each, ${where}`)
  let committed = 0
  const onEvent = ({ name }: Event) => {
    if (name === 'turn:committed') committed += 1
  }
  const names = Array.from({ length: members }, (_, nth) => `member-${nth}`)
  const agents = names.map((id, nth) => ({ id, type: 'member', args: { next: names[(nth + 1) % members] as string } }))
  const stage = await openStage(agents, { databaseUrl, onEvent })
  const rates: number[] = []
  let first = Number.NaN
  try {
    const note = { market: '0x1234567890abcdef', side: 'YES', price: 0.53 }
    await Promise.all(names.flatMap((id) => Array.from({ length: waiting }, () => stage.troupe.send(id, 'note', note))))
    const rateWithin = async (time: number) => {
      const [before, began] = [committed, performance.now()]
      await setTimeout(time * 1000)
      return (committed - before) / ((performance.now() - began) / 1000)
    }
    first = await rateWithin(warmUp)
    for (let round = 0; round < rounds; round++) rates.push(await rateWithin(seconds))
    await stage.troupe.stop()
    await verify(committed, stage.folder, databaseUrl)
  } finally {
    await stage[Symbol.asyncDispose]()
  }
  const note = `${members} agents, ${waiting} messages each; ${Math.round(first)} in the first ${warmUp} s, which do not count`
  return { rates, note: `${note}; ${committed} in the table` }
}

/** Every turn that was announced is a receipt in the table and one more in a saved state. */
async function verify(committed: number, folder: string, databaseUrl: string | undefined): Promise<void> {
  const backend = await openBackend({ env: databaseUrl === undefined ? {} : { DATABASE_URL: databaseUrl }, folder })
  try {
    const done = await count(backend, `select count(*)::integer from agent_deliveries where agent_id like 'member-%' and status = 'done'`)
    const seen = await count(
      backend,
      `select sum((state::jsonb ->> 'seen')::integer)::integer from agent_state where agent_id like 'member-%'`,
    )
    if (done !== committed || seen !== committed)
      throw new Error(`${committed} turns were announced, ${done} are done, ${seen} are in states`)
  } finally {
    await backend.close()
  }
}

async function count(backend: SqlAccess, sql: string): Promise<number> {
  return Number((await backend.query(sql)).rows[0]?.[0])
}

/** What the server does when nobody stands between. */
async function floorOf(url: string, { seconds }: Sizes): Promise<number> {
  const sql = openSession(url)
  const commit = await openTeam(callOver(sql), 512)
  const done = await repeat(seconds, () => commit(64))
  await sql.end()
  return rateOf(done)
}
