import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { freshDatabase } from '../postgres.ts'
import { type Host, hostOf, message } from './host.ts'

const big = ['agent_deliveries', 'agent_messages', 'agent_steps', 'agent_jobs']

/** One of everything that a host calls all the time. */
async function work(host: Host): Promise<void> {
  const { a = 0, b = 0, once = 0 } = await host.hold('a', 'b', 'once')
  const [note, question] = [message('a', 'b'), message('a', 'b', 1, { lease_token: a, send_key: randomUUID() })]
  await host.send({
    messages: [question, { ...question, id: randomUUID() }, message('s', null), message('s', 'b', 1, { delay_ms: 1 })],
    stamps: { b },
  })
  const turn = { agent_id: 'a', lease_token: a, turn_id: randomUUID(), messages: [note] }
  const batch = { turns: [turn], stamps: { b }, refills: [{ agent_id: 'b', lease_token: b, have: [question.id] }], awaiting: [question.id] }
  await host.commit(batch)
  await host.commit(batch)
  const at = { agent_id: 'b', lease_token: b, message_id: question.id, key: 'k' }
  await host.steps({ ...at, phase: 'start' }, { ...at, phase: 'finish', result: '1' })
  const done = { agent_id: 'b', lease_token: b, message: { id: question.id, attempts: 0 }, steps: true }
  await host.commit({ turns: [{ ...done, reply: { id: randomUUID(), to_agent: 'a', body: '1' } }] })
  await host.replies(question.id, note.id)
  await host.sync([
    { agent_id: 'a', lease_token: a, status: 'idle' },
    { agent_id: 'once', action: 'retire', lease_token: once },
  ])
  await host.call('sweep_rows', {})
}

test('67: among very many finished rows nothing that a host calls reads a table from end to end', async () => {
  await using db = await freshDatabase()
  const session = db.connect({ max: 1 })
  const host = hostOf(session)
  await db.sql`insert into public.agent_messages (from_agent, to_agent, headers, body, send_key, read)
    select 's' || n % 50, 'b', '{}', '1', n::text, true from generate_series(1, 40000) n`
  await db.sql`insert into public.agent_deliveries (message_id, agent_id, from_agent, status, token, finished_at)
    select id, 'b', from_agent, 'done', 1, now() from public.agent_messages`
  await db.sql`insert into public.agent_jobs (job_type, status, completed_at) select 'report', 'completed', now() from generate_series(1, 5000)`
  await db.sql`insert into public.agent_steps (agent_id, message_id, key, token) select 'b', gen_random_uuid(), 'k', 1 from generate_series(1, 5000)`
  await db.sql`analyze`
  for (const mode of ['force_custom_plan', 'force_generic_plan', 'auto']) {
    await session`select set_config('plan_cache_mode', ${mode}, false)`
    await session`begin`
    for (let n = 0; n < 6; n++) await work(host) // under auto, plans become generic with the sixth run
    const read =
      await session`select relname as name, seq_scan::int as scans from pg_stat_xact_user_tables where relname in ${session(big)}`
    await session`commit`
    expect([mode, ...read.filter(({ scans }) => scans > 0)]).toEqual([mode])
    expect(read).toHaveLength(big.length)
  }
})
