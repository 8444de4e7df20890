/** What a long life leaves behind: ended jobs, handled messages, settled trades. */
export interface History {
  jobs: number
  messages: number
  executions: number
}

// Ids are spread over the whole range, as random ones are, but ascend: so a million of them fill an index in seconds.
const id = (kind: number) => `(lpad(to_hex(i::bigint * 4000), 8, '0') || '-000${kind}-4000-8000-' || lpad(to_hex(i), 12, '0'))::uuid`

/** Statements over sets that fill an empty database; they need no trigger and, in this order, break no foreign key. */
export function historyStatements({ jobs, messages, executions }: History): string[] {
  return [
    `insert into public.agent_jobs (id, job_type, payload, status, priority, created_by, assigned_to, created_at, run_at,
      assigned_at, started_at, completed_at, result, attempt, lease_token, dead_reason, error_message)
    select ${id(1)}, 'work', jsonb_build_object('n', i), ending.status, 1 + i % 10, 'history', 'agent-' || i % 8, life.at, life.at,
      life.at, life.at, life.at, '{"ok": true}', 1, 1, case ending.status when 'failed' then 'fatal' end, case ending.status when 'failed' then 'gone' end
    from generate_series(1, ${jobs}) i
    cross join lateral (select now() - interval '2 days' + i * interval '100 us' as at) life
    cross join lateral (select case i % 1000 when 0 then 'failed' when 1 then 'cancelled' else 'completed' end as status) ending`,
    `insert into public.agent_messages (id, from_agent, to_agent, subject, headers, body, read, created_at, send_key)
    select ${id(2)}, 'agent-' || i % 7, case when i % 100 = 0 then null else 'agent-' || i % 8 end, 'note', '{}', '{"n":1}', i % 100 <> 0,
      now() - interval '2 days' + i * interval '1 ms', case when i % 2 = 0 then i::text end
    from generate_series(1, ${messages}) i`,
    `insert into public.agent_deliveries (message_id, agent_id, from_agent, status, token, finished_at, dead_reason)
    select ${id(2)}, 'agent-' || i % 8, 'agent-' || i % 7, case when i % 1000 = 0 then 'dead' else 'done' end, 1,
      now() - interval '2 days' + i * interval '1 ms', case when i % 1000 = 0 then 'failed' end
    from generate_series(1, ${messages}) i`,
    `insert into public.trade_executions (id, market_id, side, amount, entry_price, status, stage, executed_by, created_at,
      executed_at, settled_at, idempotency_key, pnl)
    select ${id(3)}, 'market-' || i % 500, 'YES', 1, 0.5, 'settled', 'closed', 'agent-1', life.at, life.at, life.at, 'key-' || i, 0.1
    from generate_series(1, ${executions}) i
    cross join lateral (select now() - interval '30 days' + i * interval '1 s' as at) life`,
    // Statistics, and the map of what everybody may see: without it the first readers pay for a million rows.
    ...['agent_jobs', 'agent_messages', 'agent_deliveries', 'trade_executions'].map((table) => `vacuum (analyze) public.${table}`),
  ]
}

/** A statement that adds pending jobs, each due a moment after the one before. */
export function pendingStatement(count: number, type = 'work'): string {
  return `insert into public.agent_jobs (job_type, payload, created_by, run_at)
    select '${type}', jsonb_build_object('market', '0x' || md5(i::text), 'side', 'YES', 'amount', 2.5), 'bench',
      clock_timestamp() - interval '1 second' + i * interval '1 us'
    from generate_series(1, ${count}) i`
}
