import { randomUUID } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import { expect, test } from 'vitest'

const migrations = join(import.meta.dirname, '../../supabase/migrations')

test('messages and turns work on the embedded database as on a server', async () => {
  await using db = await PGlite.create()
  for (const file of (await readdir(migrations)).sort()) await db.exec(await readFile(join(migrations, file), 'utf8'))
  await db.exec('set role service_role')
  const call = async (name: string, batch: unknown) => {
    const { rows } = await db.query<{ answer: unknown }>(`select public.${name}($1) as answer`, [batch])
    return rows[0]?.answer
  }
  const takeAll = {
    node_id: 'n1',
    agents: ['a', 'b'].map((agent_id) => ({ agent_id, action: 'take', agent_type: 'test', status: 'idle' })),
  }
  expect(await call('sync_node', takeAll)).toMatchObject({ agents: [{ lease_token: 1 }, { lease_token: 1 }] })

  const [ask, key] = [randomUUID(), 'm/ask/b/note/1']
  const question = { id: ask, from_agent: 'a', to_agent: 'b', type: 'note', body: '{"b":1,"a":2}', lease_token: 1, send_key: key }
  expect(await call('send_messages', { messages: [question], stamps: { b: 1 } })).toMatchObject([
    { verdict: 'ok', deliveries: [{ stamped: true }] },
  ])
  expect(await call('take_messages', [{ agent_id: 'b', lease_token: 1, have: [] }])).toMatchObject([
    { messages: [{ id: ask, body: '{"b":1,"a":2}' }] },
  ])
  const at = { agent_id: 'b', lease_token: 1, message_id: ask }
  const steps = [
    { ...at, key: 's', phase: 'start' },
    { ...at, key: 's', phase: 'finish', result: '[1]' },
  ]
  expect(await call('save_steps', steps)).toMatchObject([{ verdict: 'ok' }, { verdict: 'ok' }])
  const reserve = { ...at, key: 'f', fn: 'reserve_execution', args: { idempotency_key: 'k', market_id: 'm', side: 'YES', amount: 1 } }
  expect(await call('call_functions', [reserve, reserve])).toMatchObject([
    { verdict: 'ok' },
    { verdict: 'repeat', result: { verdict: 'ok' } },
  ])

  const turn = (more: object) => ({ agent_id: 'b', lease_token: 1, message: { id: ask, attempts: 0 }, ...more })
  const batch = {
    turns: [
      turn({ writes: [{ fn: 'none', args: {} }] }),
      turn({}),
      {
        agent_id: 'a',
        lease_token: 1,
        turn_id: randomUUID(),
        messages: [{ id: randomUUID(), type: 'all' }],
        timers: [{ name: 't', type: 't', due_in_ms: 0 }],
      },
    ],
    stamps: { b: 1 },
    refills: [{ agent_id: 'a', lease_token: 1 }],
  }
  expect(await call('commit_turns', batch)).toMatchObject({
    turns: [{ verdict: 'failed', code: 'PT403' }, { verdict: 'stale', reason: 'follows' }, { verdict: 'ok' }],
    refills: [{ messages: [{ type: 't' }], next_in_ms: null }],
  })
  const done = turn({ state: { version: 0, value: '{}' }, reply: { id: randomUUID(), to_agent: 'a', body: '3' }, steps: true })
  expect(await call('commit_turns', { turns: [done, done], awaiting: [ask] })).toMatchObject({
    turns: [{ verdict: 'ok' }, { verdict: 'repeat' }],
    replies: [{ status: 'replied', reply: '3' }],
  })
  const { rows } = await db.query(
    `select public.read_replies($1) as replies, public.broadcast_message('x', 's', 'c') is not null as told`,
    [[ask]],
  )
  expect(rows).toMatchObject([{ replies: [{ status: 'replied' }], told: true }])
  await expect(call('commit_turns', { turns: [turn({ error: '\u0000' })] })).rejects.toMatchObject({ code: '22P05' })
  for (const [fn, verdict] of [
    ['drop_messages', 'stale'],
    ['replay_messages', 'stale'],
  ] as const) {
    expect(await call(fn, [{ id: ask, agent_id: 'b' }])).toMatchObject([{ verdict }])
  }
  const release = {
    node_id: 'n1',
    agents: [
      { agent_id: 'a', action: 'release', lease_token: 1 },
      { agent_id: 'b', action: 'retire', lease_token: 1 },
    ],
  }
  expect(await call('sync_node', release)).toMatchObject({ agents: [{ verdict: 'ok' }, { verdict: 'ok' }] })
})
