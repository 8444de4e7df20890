-- What must be true of a database that agents use: `supabase test db`, or `pg_prove -d "$DATABASE_URL" supabase/tests/*.sql`.
begin;
create extension if not exists pgtap;
select no_plan();

-- The tables that agents of the original system know.
select has_table('public', name, name || ' is there')
from unnest(array['agent_jobs', 'agent_messages', 'agent_status', 'trade_opportunities', 'trade_executions', 'agent_performance',
  'system_config']) name;
select has_view('public', name, name || ' is there')
from unnest(array['v_active_jobs', 'v_agent_dashboard', 'v_opportunity_pipeline', 'v_daily_performance']) name;
select set_eq('select key from public.system_config',
  array['trading_enabled', 'max_daily_exposure', 'max_position_size', 'min_edge_threshold', 'risk_mode', 'scanner_interval_minutes',
    'coordinator_agent'], 'the seven settings are there');

-- The calls that they make.
select has_function('public', 'claim_next_job', array['text']);
select has_function('public', 'complete_job', array['uuid', 'boolean', 'jsonb', 'text', 'bigint']);
select has_function('public', 'update_agent_heartbeat', array['text', 'text', 'uuid']);
select has_function('public', 'broadcast_message', array['text', 'text', 'text', 'jsonb', 'text']);
select has_function('public', name, array['jsonb'], name || ' takes one jsonb')
from unnest(array['claim_jobs', 'finish_jobs', 'renew_jobs', 'create_jobs', 'cancel_jobs', 'redrive_jobs', 'send_messages', 'take_messages',
  'replay_messages', 'drop_messages', 'commit_turns', 'save_steps', 'call_functions', 'sync_node', 'publish_opportunity',
  'review_opportunity', 'reserve_execution', 'record_execution', 'settle_execution', 'release_execution', 'expire_opportunities',
  'record_performance', 'sweep_rows', 'prune_rows']) name;

-- Who may do what.
select ok(c.relrowsecurity, c.relname || ' has row level security')
from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' order by c.relname;
select policies_are('public', name, array['service_role_all', 'dashboard_read'])
from unnest(array['agent_jobs', 'agent_messages', 'agent_status', 'trade_opportunities', 'trade_executions', 'agent_performance',
  'system_config']) name;
select policies_are('public', name, array['service_role_all'])
from unnest(array['agent_claims', 'agent_deliveries', 'agent_leases', 'agent_state', 'agent_steps', 'agent_timers']) name;
select table_privs_are('public', c.relname, 'anon', '{}', 'anon may do nothing with ' || c.relname)
from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'v')
  and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')
order by c.relname;
select ok(not has_function_privilege(role, p.oid, 'execute'), format('%s may not call %s', role, p.proname))
from pg_proc p cross join unnest(array['anon', 'authenticated']) role
where p.pronamespace in ('public'::regnamespace, 'troupe'::regnamespace)
  and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e');
select ok(has_function_privilege('service_role', p.oid, 'execute'), 'service_role may call ' || p.proname)
from pg_proc p where p.pronamespace = 'public'::regnamespace
  and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e');

-- No status is free text, none may be missing.
select col_not_null('public', c.relname, a.attname, format('%s.%s is never null', c.relname, a.attname))
from pg_attribute a join pg_class c on c.oid = a.attrelid
where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and a.attname in ('status', 'stage');
select throws_ok($$insert into public.agent_jobs (job_type, status) values ('x', 'done')$$, '23514');
select throws_ok($$insert into public.trade_opportunities (market_id, side, current_price) values ('m', 'YES', -5)$$, '23514');
select throws_ok($$insert into public.trade_executions (market_id, side, amount) values ('m', 'YES', 0)$$, '23514');

-- A job and a trade, from the first call to the last.
select lives_ok($$select public.create_jobs('[{"job_type": "report"}]')$$);
select isnt_empty($$select * from public.claim_next_job('reporter-1')$$, 'a job is claimed');
select lives_ok($$select public.complete_job(id, true) from public.agent_jobs where assigned_to = 'reporter-1'$$);
select is((select status from public.agent_jobs where assigned_to = 'reporter-1'), 'completed', 'and completed');
select is(public.reserve_execution('{"idempotency_key": "k", "market_id": "m", "side": "YES", "amount": 1}') ->> 'verdict', 'ok');
select is(public.reserve_execution('{"idempotency_key": "k", "market_id": "m", "side": "YES", "amount": 1}') ->> 'verdict', 'repeat');

select * from finish();
rollback;
