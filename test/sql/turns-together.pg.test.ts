import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Database, freshDatabase } from '../postgres.ts'
import { type Host, hostOf, type Turn, type Verdict } from './host.ts'

const seed = Number(process.env.TROUPE_TEST_SEED ?? Date.now() % 2 ** 31)

let together: Database
let apart: Database
beforeAll(async () => {
  ;[together, apart] = await Promise.all([freshDatabase({ max: 1 }), freshDatabase({ max: 1 })])
  await apart.sql.unsafe(`create or replace function troupe.try_turns(p_turns jsonb, p_stamps jsonb, p_now timestamptz) returns jsonb[]
    language sql as 'select null::jsonb[]'`)
})
afterAll(() => Promise.all([together, apart].map((db) => db?.[Symbol.asyncDispose]())))

const agent = fc.constantFrom('a', 'b', 'c')
const to = fc.constantFrom('a', 'b', 'c', 'small', 'nobody', null)
const turn = fc.record({
  agent,
  handles: fc.constantFrom('message', 'message', 'message', 'job'),
  nth: fc.nat(3),
  state: fc.constantFrom<string>('none', 'next', 'next', 'wrong', 'broken'),
  tells: fc.array(fc.record({ to, body: fc.constantFrom<string>('1', '"yes"', '{"a":[1.50]}', 'no json') }), { maxLength: 2 }),
  makes: fc.array(fc.constantFrom(null, null, 'key', 'by'), { maxLength: 2 }),
  replies: fc.boolean(),
  usesSteps: fc.boolean(),
  isStale: fc.boolean(),
  outcome: fc.constantFrom<string>('done', 'done', 'done', 'done', 'retry', 'dead'),
  writes: fc.constantFrom(false, false, false, false, true),
})
// Mostly nothing is wrong: otherwise every batch would be applied one by one in both.
const mild = turn.map((one) => ({
  ...one,
  tells: one.tells.map((tell) => ({ ...tell, body: tell.body === 'no json' ? '2' : tell.body })),
  state: one.state === 'broken' || one.state === 'wrong' ? 'next' : one.state,
  isStale: false,
  outcome: 'done',
}))
type Wish = typeof turn extends fc.Arbitrary<infer Value> ? Value : never

/** The same in both databases. */
const uuid = (name: string) =>
  createHash('sha256')
    .update(name)
    .digest('hex')
    .replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*$/, '$1-$2-4$3-8$4-$5')

async function commit(host: Host, run: string, wishes: readonly Wish[]): Promise<Verdict[]> {
  const name = (short: string | null) => (short === null ? null : `${run}-${short}`)
  const id = (...parts: unknown[]) => uuid([run, ...parts].join(' '))
  const held = await host.hold(`${run}-a`, `${run}-b`, `${run}-c`)
  await host.sync([{ agent_id: `${run}-small`, agent_type: 'test', action: 'take', mailbox_limit: 3 }])
  const inbox = ['a', 'b', 'c'].flatMap((short) =>
    [0, 1, 2, 3].map((nth) => ({ id: id('in', short, nth), from_agent: 'outside', to_agent: name(short), type: 'note', body: 'null' })),
  )
  await host.send({ messages: inbox, stamps: held })
  const jobs = new Map<string, number>()
  for (const short of ['a', 'b', 'c']) {
    const made = [0, 1, 2, 3].map((nth) => ({ id: id('job', short, nth), job_type: 'work', target_agent: name(short) }))
    await host.call('create_jobs', made)
    const [claim] = await host.call<{ jobs: { job_id: string; lease_token: number }[] }[]>('claim_jobs', [
      { agent_id: name(short), limit: 4 },
    ])
    for (const { job_id, lease_token } of claim?.jobs ?? []) jobs.set(job_id, lease_token)
  }

  const versions = new Map<string, number>()
  const turns = wishes.map((wish, at): Turn => {
    const owner = `${run}-${wish.agent}`
    const version = versions.get(owner) ?? 0
    if (wish.state === 'next') versions.set(owner, version + 1)
    const job = id('job', wish.agent, wish.nth)
    const told = wish.tells.map((tell, nth) => ({ id: id('out', at, nth), to_agent: name(tell.to), type: 'note', body: tell.body }))
    const made = wish.makes.map((as, nth) => ({
      ...{ id: id('made', at, nth), job_type: run },
      ...(as === 'key' && { dedupe_key: as }),
      ...(as === 'by' && { created_by: `${run}-other` }),
    }))
    return {
      agent_id: owner,
      lease_token: (held[owner] ?? 0) - (wish.isStale ? 1 : 0),
      outcome: wish.outcome,
      ...(wish.handles === 'job'
        ? { job: { id: job, lease_token: jobs.get(job), result: { at } } }
        : { message: { id: id('in', wish.agent, wish.nth), attempts: 0, interruptions: 0 } }),
      ...(wish.state !== 'none' && {
        state: { version: wish.state === 'wrong' ? version + 5 : version, value: wish.state === 'broken' ? '{' : String(at) },
      }),
      ...(told.length > 0 && { messages: told }),
      ...(made.length > 0 && { jobs: made }),
      ...(wish.replies && wish.handles === 'message' && { reply: { id: id('reply', at), to_agent: 'outside', body: '"ok"' } }),
      ...(wish.usesSteps && { steps: true }),
      ...(wish.writes && { writes: [{ fn: 'no_such_function', args: {} }] }),
    }
  })
  return (await host.commit({ turns, stamps: held })).turns
}

/** Everything that turns write, but for clocks and for numbers that a sequence gave. */
async function written({ sql }: Database, run: string) {
  const like = `${run}-%`
  return {
    deliveries: await sql`select agent_id, message_id, status, token, attempts, finished_at is null as waits, dead_reason, error
      from public.agent_deliveries where agent_id like ${like} order by agent_id, seq`,
    states: await sql`select agent_id, version, state, token from public.agent_state where agent_id like ${like} order by agent_id`,
    messages: await sql`select id, from_agent, to_agent, subject, body, reply_to from public.agent_messages
      where from_agent like ${like} order by id`,
    jobs: await sql`select id, job_type, status, attempt, created_by, result, dead_reason from public.agent_jobs
      where created_by like ${like} or target_agent like ${like} order by id`,
  }
}

const withoutNumbers = (verdicts: readonly Verdict[]) =>
  JSON.parse(JSON.stringify(verdicts, (key, value) => (key === 'seq' ? undefined : value)))

test(`turns committed together are what they are one by one (TROUPE_TEST_SEED=${seed})`, async () => {
  let runs = 0
  let committed = 0
  await fc.assert(
    fc.asyncProperty(
      fc.oneof({ arbitrary: fc.array(mild, { minLength: 2, maxLength: 6 }), weight: 2 }, fc.array(turn, { minLength: 2, maxLength: 8 })),
      async (wishes) => {
        runs += 1
        const run = `run${runs}`
        const [one, other] = await Promise.all([together, apart].map((db) => commit(hostOf(db.sql), run, wishes)))
        expect(withoutNumbers(one ?? [])).toEqual(withoutNumbers(other ?? []))
        expect(await written(together, run)).toEqual(await written(apart, run))
        committed += (one ?? []).filter(({ verdict }) => verdict === 'ok').length
      },
    ),
    { seed, numRuns: Number(process.env.TROUPE_TEST_RUNS ?? 60), interruptAfterTimeLimit: 15_000 },
  )
  expect(committed).toBeGreaterThan(0)
})
