import { randomUUID } from 'node:crypto'
import postgres from 'postgres'
import { expect, test } from 'vitest'
import { historyStatements, pendingStatement } from '../../bench/history.ts'
import { freshDatabase } from '../postgres.ts'
import type { Client } from '../postgres-setup.ts'
import { type Executed, offencesOf, readPlans, reportPlans } from './plans.ts'

/** What is meant, each up to `limit` rows; a sort of what the call itself brought or took is no sort of a table. */
const excuses = [
  { name: 'jobs are created in the order of their keys', kind: 'sort', of: /pg_advisory_xact_lock\(wanted.key\)/ },
  { name: 'a claim of several types merges their heads by age', kind: 'sort', of: /unnest\(v_types\) as kind/ },
  { name: 'a claim gives its jobs in order', kind: 'sort', of: /from given g order by/ },
  { name: 'a repeated claim gives its jobs in order', kind: 'sort', of: /from unnest\(p_ids, p_tokens\) as given/ },
  {
    name: 'jobs are locked in the order of their ids',
    kind: 'sort',
    of: /jsonb_to_recordset\(p_batch\) as i\(job_id uuid.* order by job_id/,
  },
  { name: 'agents are counted in the order of their names', kind: 'sort', of: /group by ended.agent order by ended.agent/ },
  { name: 'agents are synchronized in the order of their names', kind: 'sort', of: /p_batch -> 'agents'.* order by a ->> 'agent_id'/ },
  { name: 'messages are delivered and answered in the order they were given', kind: 'sort', of: /order by told.place|order by place/ },
  { name: 'of full mailboxes the first is named', kind: 'sort', of: /where l.mailbox_limit is not null/ },
  { name: 'a broadcast reads who is registered', kind: 'seq scan', of: /insert into public.agent_deliveries as d/ },
] as const
const limit = 100

/** The middle of much work, which the planner does not know of: its statistics are of the time before. */
async function addWork(sql: Client): Promise<void> {
  for (const [type, count] of Object.entries({ work: 15_000, scan: 3_000, deep: 2_000 })) await sql.unsafe(pendingStatement(count, type))
  await sql`update public.agent_jobs set priority = 1 + seq % 10 where status = 'pending'`
  await sql`update public.agent_jobs set run_at = now() + interval '1 day' where status = 'pending' and seq % 20 = 0`
  await sql`update public.agent_jobs set target_agent = 'a', assigned_to = 'a' where status = 'pending' and seq % 10 = 3`
  await sql`update public.agent_jobs set status = 'assigned', assigned_to = 'gone', attempt = 1, lease_token = 1, assigned_at = now(),
    lease_expires_at = now() + case when seq % 20 = 7 then interval '-1 s' else interval '1 h' end,
    reap_at = now() + case when seq % 20 = 7 then interval '-1 s' else interval '1 h' end where status = 'pending' and seq % 10 = 7`
  await sql`with told as (
      insert into public.agent_messages (id, from_agent, to_agent, subject, headers, body, read)
      select gen_random_uuid(), 's' || i % 5, case when i % 2 = 0 then 'a' else 'b' end, 'note', '{}', '1', true from generate_series(1, 10000) i
      returning id, from_agent, to_agent
    )
    insert into public.agent_deliveries (message_id, agent_id, from_agent, status, token, due_at, expires_at)
    select id, to_agent, from_agent, case when n % 5 = 0 then 'scheduled' else 'ready' end, case when n % 20 = 1 then 1 end,
      case when n % 5 = 0 then now() + case when n % 50 = 0 then interval '-1 s' else interval '1 day' end end,
      case when n % 7 = 0 then now() + case when n % 3 = 0 then interval '-1 s' else interval '1 day' end end
    from (select *, row_number() over () as n from told) numbered`
  await sql`insert into public.agent_messages (from_agent, to_agent, subject, content, read)
    select 'py', case when i % 3 = 0 then 'py-1' when i % 3 = 1 then 'py-2' end, 'note', 'text', false from generate_series(1, 3000) i`
  await sql`insert into public.trade_opportunities (market_id, side, expires_at)
    select 'm' || i, 'YES', now() + case when i % 20 = 0 then interval '-1 s' else interval '1 day' end from generate_series(1, 2000) i`
}

type Call = <Answer>(name: string, args: unknown) => Promise<Answer>
type Job = { job_id: string; lease_token: number }
type Holder = { agent_id: string; lease_token: number }

/** Everything that hosts and agents call all the time, once. */
async function callAll(sql: Client, round: number): Promise<void> {
  const call: Call = async (name, args) => {
    const [row] = await sql.unsafe(`select public.${name}($1::text::jsonb) as answer`, [JSON.stringify(args)])
    return row?.answer
  }
  const { agents } = await call<{ agents: (Holder & { state: { version: number } | null })[] }>('sync_node', {
    node_id: 'n',
    agents: ['a', 'b'].map((agent_id) => ({ agent_id, action: 'take' })),
  })
  const [a, b] = agents.map(({ agent_id, lease_token }) => ({ agent_id, lease_token }))
  const version = agents[0]?.state?.version ?? 0
  if (!a || !b) throw new Error('sync_node gave no leases')
  const running = await callJobs(call, a, round)
  await callAsOriginal(sql)
  await callTurns(sql, call, { a, b, version, running, round })
  await call('sweep_rows', { limit: 50 })
  await call('prune_rows', {})
  await sql`select * from public.v_dead_letters order by died_at desc limit 50`
  await sql`select * from public.v_dropped_letters order by died_at desc limit 50`
  await sql`select * from public.v_dead_jobs order by died_at desc limit 50`
  await sql`select id from public.v_active_jobs limit 50`
}

async function callJobs(call: Call, a: Holder, round: number): Promise<Job> {
  const claim = async (more: object) => {
    const [answer] = await call<{ jobs: Job[]; cursor: unknown }[]>('claim_jobs', [{ agent_id: 'worker', limit: 20, ...more }])
    if (!answer?.jobs.length) throw new Error(`nothing to claim: ${JSON.stringify(more)}`)
    return { cursor: answer.cursor, jobs: answer.jobs.map(({ job_id, lease_token }) => ({ job_id, lease_token })) }
  }
  const finish = (jobs: Job[], end: object) =>
    call(
      'finish_jobs',
      jobs.map((job) => ({ ...job, ...end })),
    )
  const kinds = ['work', 'scan', 'deep']

  const one = await claim({ job_types: ['work'] })
  const next = await claim({ job_types: ['work'], cursor: one.cursor })
  const several = await claim({ job_types: kinds })
  await claim({ job_types: kinds, cursor: several.cursor })
  const any = await claim({ limit: 10 })
  const addressed = await claim({ ...a, job_types: kinds, limit: 5 })
  const request = { claim_id: randomUUID(), job_types: ['work'] }
  await claim(request)
  await claim(request)
  await call('renew_jobs', one.jobs.map((job) => ({ ...job, started: true }))) // biome-ignore format: one call
  await call('sync_node', {
    node_id: 'n',
    agents: [{ ...a, action: 'hold', status: 'working', current_job: one.jobs[0]?.job_id }],
    jobs: one.jobs,
  })
  await finish(next.jobs, { outcome: 'completed', result: { ok: true } })
  await finish(next.jobs, { outcome: 'completed', result: { ok: true } })
  await finish(several.jobs, { outcome: 'failed', error: 'no', retry_in_ms: 0 })
  await finish(any.jobs, { outcome: 'released' })
  await finish(addressed.jobs, { outcome: 'failed', error: 'no', retryable: false })
  await call('redrive_jobs', addressed.jobs)
  const keyed = { job_type: 'work', dedupe_key: `key-${round % 3}` }
  await call('cancel_jobs', await call('create_jobs', [{ job_type: 'work' }, keyed, keyed]))
  return one.jobs[0] as Job
}

async function callAsOriginal(sql: Client): Promise<void> {
  const [job] = await sql`select job_id from public.claim_next_job('py-1')`
  await sql`select public.update_agent_heartbeat('py-1', 'working', ${job?.job_id})`
  await sql`select public.complete_job(${job?.job_id}, true, '{"ok": true}', null)`
  await sql`insert into public.agent_messages (message_type, from_agent, to_agent, subject, content) values ('status', 'py-1', 'a', 'done', 'text')`
  await sql`select public.broadcast_message('py-1', 'hello', 'text')`
  const unread = await sql`select * from public.agent_messages where read = false and (to_agent = 'py-1' or to_agent is null)
    order by created_at desc limit 20`
  await sql`update public.agent_messages set read = true, read_at = now() where id = ${unread[0]?.id}`
}

type Turns = { a: Holder; b: Holder; version: number; running: Job; round: number }
async function callTurns(sql: Client, call: Call, { a, b, version, running, round }: Turns): Promise<void> {
  const stamps = { b: b.lease_token }
  const note = (to_agent: string | null, more = {}) => ({ id: randomUUID(), from_agent: 's', to_agent, type: 'note', body: '1', ...more })
  const [ask, keyed] = [note('b'), note('b', { send_key: `ask-${round}` })]
  await call('send_messages', { messages: [ask, keyed, note(null), note('b', { delay_ms: 60_000 })], stamps })
  await call('send_messages', { messages: [{ ...keyed, id: randomUUID() }], stamps })
  const [taken] = await call<{ messages: { id: string; attempts: number }[] }[]>('take_messages', [{ ...a, limit: 20 }])
  const messages = taken?.messages ?? []
  const ids = messages.map(({ id }) => id)
  await call('take_messages', [{ ...a, limit: 20, have: ids }])
  const step = { ...a, message_id: ids[0], key: 'k' }
  await call('save_steps', [
    { ...step, phase: 'start' },
    { ...step, phase: 'finish', result: '1' },
  ])
  await call('call_functions', [{ ...step, key: 'f', fn: 'expire_opportunities', args: { limit: 1 } }])

  const trade = { idempotency_key: `trade-${round}` }
  const message = (nth: number) => ({ ...a, message: { id: ids[nth], attempts: messages[nth]?.attempts } })
  const batch = {
    turns: [
      {
        ...message(0),
        steps: true,
        state: { version, value: '{"n":1}' },
        messages: [note('b'), note('py-1')],
        jobs: [{ job_type: 'work' }],
        timers: [{ name: 'tick', type: 'tick', every_ms: 1 }],
        writes: [{ fn: 'reserve_execution', args: { ...trade, market_id: 'market-7', side: 'YES', amount: 0.01 } }],
      },
      { ...message(1), reply: { id: randomUUID(), to_agent: 's', body: '1' } },
      { ...message(2), outcome: 'retry', error: 'no' },
      { ...message(3), outcome: 'dead', reason: 'poison', error: 'no' },
      { ...a, job: { id: running.job_id, lease_token: running.lease_token, result: {} } },
    ],
    stamps,
    refills: [{ ...a, limit: 20 }],
    awaiting: [ask.id, ids[1]],
  }
  const { turns } = await call<{ turns: { verdict: string }[] }>('commit_turns', batch)
  expect(turns.map(({ verdict }) => verdict)).toEqual(batch.turns.map(() => 'ok'))
  await call('commit_turns', batch)
  await sql`select public.read_replies(${[ask.id, ids[1] ?? '']})`
  for (const name of ['replay_messages', 'drop_messages']) await call(name, [{ id: ids[3], agent_id: 'a' }])
  for (const stage of ['ordered', 'filled']) await call('record_execution', { ...trade, stage })
  await call('settle_execution', { ...trade, pnl: 0 })
}

test('67: among a million ended jobs no hot statement scans, sorts or throws rows away', { timeout: 300_000 }, async () => {
  await using db = await freshDatabase({ max: 1 })
  // A replica does not ask for each row whether what it names is there.
  await db.sql`set session_replication_role = replica`
  for (const statement of historyStatements({ jobs: 1_000_000, messages: 100_000, executions: 50_000 })) await db.sql.unsafe(statement)
  await db.sql`set session_replication_role = origin`
  await addWork(db.sql)

  const notices: string[] = []
  const session = postgres(db.url, { max: 1, onnotice: ({ message = '' }) => notices.push(message) })
  const executed: Executed[] = []
  try {
    await reportPlans(session)
    for (let round = 0; round < 7; round += 1) {
      await callAll(session, round) // what is not pinned may be planned otherwise from the sixth call on
      executed.push(...readPlans(notices.splice(0)))
    }
  } finally {
    await session.end()
  }

  const excused = new Set<string>()
  const offences = executed.flatMap((statement) =>
    offencesOf(statement).flatMap(({ kind, what, amount }) => {
      const excuse = excuses.find((meant) => meant.kind === kind && amount <= limit && meant.of.test(statement.query))
      if (excuse) excused.add(excuse.name)
      return excuse ? [] : [`${kind}: ${what}, ${amount}, in ${statement.query.slice(0, 300)}`]
    }),
  )
  expect([...new Set(offences)]).toEqual([])
  expect([...excused].sort()).toEqual(excuses.map(({ name }) => name).sort())
  expect(executed.length).toBeGreaterThan(7 * 100)
})
