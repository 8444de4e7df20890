-- Upkeep: small bounded sweeps that any process may run at any time, as often as it likes. No leader, no cron.

-- Ends what has run out: job leases, opportunities, messages. p_args: {limit?: 500 of each}. Gives the counts.
create or replace function public.sweep_rows(p_args jsonb default '{}') returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_now timestamptz := troupe.now();
  v_limit integer := least(greatest(coalesce((p_args ->> 'limit')::integer, 500), 1), 10000);
  v_jobs integer := troupe.reap_jobs(v_limit, v_now);
  v_messages integer;
begin
  with due as (
    select d.message_id, d.agent_id from public.agent_deliveries d
    where d.status in ('scheduled', 'ready') and d.expires_at <= v_now and d.token is null -- what is in a mailbox is its holder's to end
    order by d.expires_at limit v_limit for update skip locked
  )
  update public.agent_deliveries d set status = 'dead', finished_at = v_now,
    dead_reason = case when d.is_unknown then 'unknown_address' else 'expired' end
    from due where d.message_id = due.message_id and d.agent_id = due.agent_id;
  get diagnostics v_messages = row_count;
  return jsonb_build_object('jobs', v_jobs, 'messages', v_messages)
    || public.expire_opportunities(jsonb_build_object('limit', v_limit));
end $$;

-- Deletes what has ended long ago, at most p_args.limit rows of each kind. p_args: {limit?: 1000, done_days?: 7 (completed and
-- cancelled jobs, handled messages, replies), dead_days?: 30 (dead jobs, dead letters, messages to agents outside Troupe, steps of what
-- cannot run again, old opportunities)}. Trades and performance are never deleted. Gives the counts; call again while one of them
-- equals the limit.
create or replace function public.prune_rows(p_args jsonb default '{}') returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_limit integer := least(greatest(coalesce((p_args ->> 'limit')::integer, 1000), 1), 10000);
  v_done timestamptz := troupe.now() - make_interval(days => greatest(coalesce((p_args ->> 'done_days')::integer, 7), 0));
  v_dead timestamptz := troupe.now() - make_interval(days => greatest(coalesce((p_args ->> 'dead_days')::integer, 30), 0));
  v_counts jsonb := '{}';
  v_count integer;
begin
  delete from public.agent_jobs j where j.id = any (array(
    (select c.id from public.agent_jobs c where c.status = 'completed' and c.completed_at < v_done order by c.completed_at limit v_limit)
    union all
    (select c.id from public.agent_jobs c where c.status = 'cancelled' and c.completed_at < v_done order by c.completed_at limit v_limit)
    union all
    (select c.id from public.agent_jobs c where c.status = 'failed' and c.completed_at < v_dead order by c.completed_at limit v_limit)
    limit v_limit));
  get diagnostics v_count = row_count;
  v_counts := v_counts || jsonb_build_object('jobs', v_count);

  -- A message without a delivery is for agents outside Troupe, and nobody knows whether they have read it. The others go once
  -- their last delivery has ended long ago, however old they are: the row is what makes a repeated commit a repeat.
  delete from public.agent_messages m where m.id = any (array(
    select o.id from public.agent_messages o
    where o.created_at < v_done
      and (o.created_at < v_dead or o.reply_to is not null or exists (select from public.agent_deliveries d where d.message_id = o.id))
      and not exists (select from public.agent_deliveries d where d.message_id = o.id
        and (d.status in ('scheduled', 'ready') or d.finished_at >= case d.status when 'dead' then v_dead else v_done end))
    order by o.created_at limit v_limit));
  get diagnostics v_count = row_count;
  v_counts := v_counts || jsonb_build_object('messages', v_count);

  delete from public.agent_claims c where c.claim_id = any (array(
    select o.claim_id from public.agent_claims o where o.created_at < troupe.now() - interval '1 day' order by o.created_at limit v_limit));
  get diagnostics v_count = row_count;
  v_counts := v_counts || jsonb_build_object('claims', v_count);

  delete from public.agent_steps s using (
    select o.agent_id, o.message_id, o.key from public.agent_steps o
    where o.started_at < v_dead -- and its turn cannot be repeated: a step must not be forgotten while it could run twice
      and not exists (select from public.agent_deliveries d where d.message_id = o.message_id and d.agent_id = o.agent_id
        and d.status <> 'done')
      and not exists (select from public.agent_jobs j where j.id = o.message_id and j.status <> 'completed')
    order by o.started_at limit v_limit) old
    where s.agent_id = old.agent_id and s.message_id = old.message_id and s.key = old.key;
  get diagnostics v_count = row_count;
  v_counts := v_counts || jsonb_build_object('steps', v_count);

  delete from public.trade_opportunities o where o.id = any (array(
    select t.id from public.trade_opportunities t where t.status in ('rejected', 'expired') and t.discovered_at < v_dead
      and not exists (select from public.trade_executions e where e.opportunity_id = t.id)
    order by t.discovered_at limit v_limit));
  get diagnostics v_count = row_count;
  return v_counts || jsonb_build_object('opportunities', v_count);
end $$;

insert into troupe.callable_functions (name) values ('sweep_rows'), ('prune_rows') on conflict do nothing;
do $$ begin perform
  troupe.seal_functions('public', array['sweep_rows', 'prune_rows']),
  troupe.pin_plans(array['public.sweep_rows', 'public.prune_rows']::regproc[]); end $$;
