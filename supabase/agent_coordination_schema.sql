-- The whole schema of Troupe (20261130000100) in one go: paste it into the SQL editor of Supabase, or
--   psql "$DATABASE_URL" -v ON_ERROR_STOP=1 -f supabase/agent_coordination_schema.sql
-- Running it again changes nothing, an installation of the original Python system keeps its rows, a failure changes nothing.
-- Generated from supabase/migrations by `npm run schema`: change those, not this.

begin;

do $$ begin
  set local lock_timeout = '60s';
  perform pg_advisory_xact_lock(128034845061221); -- as `troupe db migrate` does, so that one waits for the other
  if to_regprocedure('public.schema_version()') is not null then
    if public.schema_version() > '20261130000100' then
      raise exception 'This database has schema %, this file would take it back to 20261130000100', public.schema_version()
        using hint = 'Take the file of the newer Troupe.';
    end if;
  end if;
end $$;

-- 20261120000100_foundation ======================================================================================

-- What everything else stands on: the API roles, the private schema and the tools that later migrations use.
-- Every migration is idempotent, because supabase/agent_coordination_schema.sql is their concatenation.

-- Hosted Supabase has these roles. Plain PostgreSQL and the embedded database may not, and roles belong to the whole
-- server, so two databases being loaded at once may both try: losing that race is fine.
do $$
declare
  v_role text;
begin
  foreach v_role in array array['anon', 'authenticated', 'service_role'] loop
    if not exists (select from pg_catalog.pg_roles where rolname = v_role) then
      begin
        execute format('create role %I nologin %s', v_role, case v_role when 'service_role' then 'bypassrls' else '' end);
      exception when duplicate_object or unique_violation then
        null;
      end;
    end if;
  end loop;
end $$;

-- Never exposed through the API: helpers live here, so that the public schema shows only what agents may call.
create schema if not exists troupe;
revoke all on schema troupe from public;
grant usage on schema troupe to service_role;
grant usage on schema public to service_role, authenticated;

-- The server's clock, the only one that decides. Tests move it by `set troupe.clock_offset = '1 hour'`; a role that
-- comes through the API cannot set it.
-- In plpgsql, as all small functions that are called from others: an SQL function is parsed and planned again by every statement.
create or replace function troupe.now() returns timestamptz
language plpgsql volatile set search_path = '' as $$
begin
  return clock_timestamp() + coalesce(nullif(current_setting('troupe.clock_offset', true), '')::interval, interval '0');
end $$;

create or replace function troupe.ms(p_ms numeric) returns interval
language plpgsql immutable set search_path = '' as $$
begin
  return make_interval(secs => p_ms / 1000.0);
end $$;

-- Exponential backoff: base * 2^(attempt - 1), at most p_max_ms, with 20 % jitter so that a herd spreads out.
create or replace function troupe.backoff(p_attempt integer, p_base_ms integer, p_max_ms integer) returns interval
language sql volatile set search_path = '' as $$
  select troupe.ms((least(p_max_ms, p_base_ms * power(2, least(greatest(p_attempt, 1) - 1, 30))) * (0.8 + 0.4 * random()))::numeric)
$$;

-- Refuses a call with an HTTP status that PostgREST understands (PT404 is 404) and a hint for whoever reads it.
create or replace function troupe.refuse(p_code text, p_message text, p_hint text default null) returns void
language plpgsql set search_path = '' as $$
begin
  raise exception using errcode = p_code, message = p_message, hint = coalesce(p_hint, '');
end $$;

-- Adds a constraint once. The seven coordination tables may exist already, from the original Python system.
create or replace function troupe.constrain(p_table text, p_name text, p_definition text) returns void
language plpgsql set search_path = '' as $$
begin
  if not exists (
    select from pg_catalog.pg_constraint c
    where c.conrelid = format('public.%I', p_table)::regclass and c.conname = p_name
  ) then
    execute format('alter table public.%I add constraint %I %s', p_table, p_name, p_definition);
  end if;
exception when check_violation then -- PostgreSQL only says that some row is in the way
  perform troupe.name_offender(p_table, p_name, 'not ' || substr(p_definition, length('check ') + 1));
  raise;
end $$;

-- Fails with the first row of an existing installation that stands in the way, so that a person can mend it.
create or replace function troupe.name_offender(p_table text, p_rule text, p_condition text) returns void
language plpgsql set search_path = '' as $$
declare
  v_row jsonb;
begin
  execute format('select to_jsonb(t) from public.%I t where %s limit 1', p_table, p_condition) into v_row;
  if v_row is not null then
    raise exception using errcode = 'check_violation', detail = left(v_row::text, 1000),
      message = format('%s: row %s breaks %s', p_table, coalesce(v_row ->> 'id', v_row ->> 'agent_id', v_row ->> 'key'), p_rule),
      hint = 'Nothing was changed. Mend or delete this row, then load the schema again.';
  end if;
end $$;

-- Closes tables to everybody but the service role. Supabase projects created before the change of defaults grant every
-- new public table to anon and authenticated, so the revoke is needed as much as the grant.
create or replace function troupe.seal_tables(p_tables text[]) returns void
language plpgsql set search_path = '' as $$
declare
  v_table text;
begin
  foreach v_table in array p_tables loop
    execute format('alter table public.%I enable row level security', v_table);
    execute format('revoke all on public.%I from public, anon, authenticated', v_table);
    execute format('grant select, insert, update, delete on public.%I to service_role', v_table);
    execute format('drop policy if exists service_role_all on public.%I', v_table);
    execute format('create policy service_role_all on public.%I for all to service_role using (true) with check (true)', v_table);
  end loop;
end $$;

-- Makes every function of a schema, named or all, executable by the service role alone.
create or replace function troupe.seal_functions(p_schema text, p_names text[] default null) returns void
language plpgsql set search_path = '' as $$
declare
  v_function regprocedure;
begin
  for v_function in
    select p.oid::regprocedure
    from pg_catalog.pg_proc p
    where p.pronamespace = p_schema::regnamespace and (p_names is null or p.proname = any (p_names))
  loop
    execute format('revoke all on function %s from public, anon, authenticated', v_function);
    execute format('grant execute on function %s to service_role', v_function);
  end loop;
end $$;

-- Fixes how functions that are called all the time reach their rows: planned once a session, and through an index in its order.
-- Left alone, the planner plans some of their statements anew at each call, which takes longer than running them; and it scans
-- or sorts a table while that is small, or thought to be, which a session then still does when it has grown: the embedded
-- database gathers no statistics that would make it think again.
create or replace function troupe.pin_plans(p_functions regproc[]) returns void
language plpgsql set search_path = '' as $$
declare
  v_function regprocedure;
begin
  foreach v_function in array p_functions::oid[]::regprocedure[] loop
    execute format('alter function %s set plan_cache_mode = force_generic_plan', v_function);
    execute format('alter function %s set enable_seqscan = off', v_function);
    execute format('alter function %s set enable_bitmapscan = off', v_function);
    execute format('alter function %s set jit = off', v_function); -- a scan that cannot be avoided has a cost that would start it
  end loop;
end $$;

-- 20261120000200_tables ==========================================================================================

-- The tables. Columns of the original system keep their names and meaning: they are wire API for agents that already
-- run. Each table is created bare and then filled column by column, so that this file also upgrades an existing one.

-- An installation of the original system, met for the first time: what stands in the way of ours goes, its rows stay.
-- Its views and functions have other columns and results (a second complete_job would make every call ambiguous), its
-- checks know fewer words, its NOT NULLs and types are narrower, its foreign keys block pruning, its policies let everybody in.
do $$
declare
  v_tables oid[] := array(
    select c.oid from pg_catalog.pg_class c
    where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and c.relname in ('agent_jobs', 'agent_messages',
      'agent_status', 'trade_opportunities', 'trade_executions', 'agent_performance', 'system_config'));
  v_statement text;
begin
  if to_regclass('public.agent_leases') is not null then
    return; -- what is there now is ours, or was added by people since
  end if;
  for v_statement in
    select statement from (
      select 1, format('drop view %s', c.oid::regclass) from pg_catalog.pg_class c
        where c.relnamespace = 'public'::regnamespace and c.relkind = 'v'
          and c.relname in ('v_active_jobs', 'v_agent_dashboard', 'v_opportunity_pipeline', 'v_daily_performance')
      union all
      select 2, format('drop function %s', p.oid::regprocedure) from pg_catalog.pg_proc p
        where p.pronamespace = 'public'::regnamespace
          and p.proname in ('claim_next_job', 'complete_job', 'update_agent_heartbeat', 'broadcast_message')
      union all
      select 3, format('drop policy %I on %s', p.polname, p.polrelid::regclass) from pg_catalog.pg_policy p
        where p.polrelid = any (v_tables) and p.polcmd = '*' and coalesce(pg_get_expr(p.polqual, p.polrelid), 'true') = 'true'
      union all
      select 4, format('alter table %s drop constraint %I', c.conrelid::regclass, c.conname) from pg_catalog.pg_constraint c
        where c.conrelid = any (v_tables) and c.contype in ('c', 'f')
      union all
      select 5, format('alter table %s alter column %I drop not null', a.attrelid::regclass, a.attname) from pg_catalog.pg_attribute a
        where a.attrelid = any (v_tables) and a.attnum > 0 and a.attnotnull and not exists (
          select from pg_catalog.pg_index i where i.indrelid = a.attrelid and i.indisprimary and a.attnum = any (i.indkey))
      union all
      select 6, format('alter table %s alter column %I type %s', a.attrelid::regclass, a.attname,
          case a.atttypid when 'numeric'::regtype then 'numeric' else 'text' end) from pg_catalog.pg_attribute a
        where a.attrelid = any (v_tables) and a.attnum > 0 and not a.attisdropped
          and (a.atttypid = 'numeric'::regtype and a.atttypmod <> -1 or a.atttypid = 'varchar'::regtype)
    ) as found(place, statement) order by place
  loop
    execute v_statement;
  end loop;
  if to_regclass('public.agent_jobs') is not null then
    perform troupe.name_offender('agent_jobs', 'NOT NULL', 'job_type is null');
  end if;
  if to_regclass('public.trade_opportunities') is not null then
    perform troupe.name_offender('trade_opportunities', 'NOT NULL', 'market_id is null or side is null');
  end if;
  if to_regclass('public.trade_executions') is not null then
    perform troupe.name_offender('trade_executions', 'NOT NULL', 'market_id is null or side is null or amount is null');
  end if;
  if to_regclass('public.system_config') is not null then
    perform troupe.name_offender('system_config', 'NOT NULL', 'value is null');
  end if;
end $$;

-- agent_jobs: a queue of typed work, held by lease --------------------------------------------------------------------

create table if not exists public.agent_jobs (id uuid primary key default gen_random_uuid());
alter table public.agent_jobs
  add column if not exists job_type text,
  add column if not exists payload jsonb default '{}',
  add column if not exists status text default 'pending',
  add column if not exists priority integer default 5,
  add column if not exists created_by text,
  add column if not exists assigned_to text,
  add column if not exists created_at timestamptz default now(),
  add column if not exists assigned_at timestamptz,
  add column if not exists started_at timestamptz,
  add column if not exists completed_at timestamptz,
  add column if not exists result jsonb,
  add column if not exists error_message text,
  add column if not exists seq bigint generated always as identity,
  add column if not exists run_at timestamptz default now(),
  add column if not exists target_agent text,
  add column if not exists dedupe_key text,
  add column if not exists attempt integer default 0,
  add column if not exists max_attempts integer default 3,
  add column if not exists backoff_ms integer default 1000,
  add column if not exists backoff_max_ms integer default 600000,
  add column if not exists timeout_ms integer,
  add column if not exists lease_token bigint default 0,
  add column if not exists lease_expires_at timestamptz,
  add column if not exists reap_at timestamptz,
  add column if not exists legacy_claim boolean default false,
  add column if not exists dead_reason text,
  add column if not exists history jsonb default '[]';

-- Rows of an existing installation: what was assigned there had no lease, so it goes back to being pending work.
update public.agent_jobs set status = 'pending', target_agent = assigned_to
  where (status is null or status in ('assigned', 'in_progress')) and lease_expires_at is null;
update public.agent_jobs set completed_at = coalesce(started_at, created_at, now())
  where status in ('completed', 'failed', 'cancelled') and completed_at is null;
update public.agent_jobs set dead_reason = 'failed' where status = 'failed' and dead_reason is null;
update public.agent_jobs set payload = '{}' where payload is null;
update public.agent_jobs set created_at = now() where created_at is null;
update public.agent_jobs set priority = 5 where priority is null;

alter table public.agent_jobs
  alter column job_type set not null,
  alter column payload set not null, alter column payload set default '{}',
  alter column status set not null, alter column status set default 'pending',
  alter column priority set not null, alter column priority set default 5,
  alter column created_at set not null, alter column created_at set default now(),
  alter column seq set not null,
  alter column run_at set not null,
  alter column attempt set not null,
  alter column max_attempts set not null,
  alter column backoff_ms set not null,
  alter column backoff_max_ms set not null,
  alter column lease_token set not null,
  alter column legacy_claim set not null,
  alter column history set not null,
  set (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);

alter table public.agent_jobs drop constraint if exists agent_jobs_status_check; -- the original's had no 'cancelled'
do $$ begin perform
  troupe.constrain('agent_jobs', 'agent_jobs_status_word',
    'check (status in (''pending'', ''assigned'', ''in_progress'', ''completed'', ''failed'', ''cancelled''))'),
  troupe.constrain('agent_jobs', 'agent_jobs_job_type_length', 'check (length(job_type) between 1 and 200)'),
  troupe.constrain('agent_jobs', 'agent_jobs_priority_range', 'check (priority between 1 and 10)'),
  troupe.constrain('agent_jobs', 'agent_jobs_attempt_range', 'check (attempt >= 0 and attempt <= max_attempts)'),
  -- a claim counts the attempt, so one such row would fail every claim
  troupe.constrain('agent_jobs', 'agent_jobs_pending_has_attempt', 'check (status <> ''pending'' or attempt < max_attempts)'),
  troupe.constrain('agent_jobs', 'agent_jobs_max_attempts_range', 'check (max_attempts between 1 and 100)'),
  troupe.constrain('agent_jobs', 'agent_jobs_backoff_range', 'check (backoff_ms between 0 and backoff_max_ms)'),
  troupe.constrain('agent_jobs', 'agent_jobs_timeout_range', 'check (timeout_ms > 0)'),
  troupe.constrain('agent_jobs', 'agent_jobs_running_has_lease',
    'check ((status in (''assigned'', ''in_progress'')) = (lease_expires_at is not null and reap_at is not null and assigned_to is not null))'),
  troupe.constrain('agent_jobs', 'agent_jobs_finished_has_end',
    'check ((status in (''completed'', ''failed'', ''cancelled'')) = (completed_at is not null))'),
  troupe.constrain('agent_jobs', 'agent_jobs_dead_has_reason', 'check ((status = ''failed'') = (dead_reason is not null))'),
  troupe.constrain('agent_jobs', 'agent_jobs_history_bounded',
    'check (jsonb_typeof(history) = ''array'' and jsonb_array_length(history) <= 10)'),
  troupe.constrain('agent_jobs', 'agent_jobs_payload_size', 'check (pg_column_size(payload) <= 2097152)'),
  troupe.constrain('agent_jobs', 'agent_jobs_result_size', 'check (pg_column_size(result) <= 2097152)'); end $$;

-- Each index holds only the rows it serves, in the order its query asks for: a million finished rows cost a claim nothing.
create index if not exists agent_jobs_pending on public.agent_jobs (job_type, priority, run_at, seq)
  where status = 'pending' and target_agent is null;
create index if not exists agent_jobs_addressed on public.agent_jobs (target_agent, priority, run_at, seq)
  where status = 'pending' and target_agent is not null;
-- reap_at, not lease_expires_at: renewals would otherwise touch the index every time (no heap-only updates).
create index if not exists agent_jobs_running on public.agent_jobs (reap_at) where status in ('assigned', 'in_progress');
create index if not exists agent_jobs_finished on public.agent_jobs (status, completed_at)
  where status in ('completed', 'failed', 'cancelled');
create unique index if not exists agent_jobs_live_key on public.agent_jobs (job_type, dedupe_key)
  where dedupe_key is not null and status in ('pending', 'assigned', 'in_progress');

-- agent_claims: which jobs a claim request got, so that repeating the request gives the same jobs ----------------------

create table if not exists public.agent_claims (
  claim_id uuid primary key,
  agent_id text not null,
  job_ids uuid[] not null,
  lease_tokens bigint[] not null, -- one for each job
  created_at timestamptz not null default now()
);
create index if not exists agent_claims_created on public.agent_claims (created_at);

-- agent_messages: what was said ----------------------------------------------------------------------------------------

create table if not exists public.agent_messages (id uuid primary key default gen_random_uuid());
alter table public.agent_messages
  add column if not exists message_type text default 'status',
  add column if not exists from_agent text,
  add column if not exists to_agent text, -- null: a broadcast
  add column if not exists subject text,
  add column if not exists content text,
  add column if not exists payload jsonb default '{}',
  add column if not exists priority text default 'normal',
  add column if not exists read boolean default false, -- the legacy agents' flag; ours keep receipts in agent_deliveries
  add column if not exists created_at timestamptz default now(),
  add column if not exists read_at timestamptz,
  add column if not exists body text, -- the exact JSON text of a Troupe message; jsonb would reorder its keys
  add column if not exists headers jsonb,
  add column if not exists reply_to uuid,
  add column if not exists correlation_id uuid,
  add column if not exists send_key text, -- what makes a repeated ask or now-send the same message
  add column if not exists expires_at timestamptz;

update public.agent_messages set message_type = 'status' where message_type is null;
update public.agent_messages set from_agent = 'unknown' where from_agent is null;
update public.agent_messages set priority = 'normal' where priority is null;
update public.agent_messages set read = false where read is null;
update public.agent_messages set created_at = now() where created_at is null;

alter table public.agent_messages
  alter column message_type set not null, alter column message_type set default 'status',
  alter column from_agent set not null,
  alter column payload set default '{}',
  alter column priority set not null, alter column priority set default 'normal',
  alter column read set not null, alter column read set default false,
  alter column created_at set not null, alter column created_at set default now(),
  set (autovacuum_vacuum_scale_factor = 0.05);
do $$ begin perform
  troupe.constrain('agent_messages', 'agent_messages_type_word',
    'check (message_type in (''command'', ''alert'', ''status'', ''result''))'),
  troupe.constrain('agent_messages', 'agent_messages_priority_word', 'check (priority in (''low'', ''normal'', ''high'', ''urgent''))'),
  -- 1 MiB of JSON text takes up to six times as much as jsonb.
  troupe.constrain('agent_messages', 'agent_messages_payload_size', 'check (pg_column_size(payload) <= 8388608)'),
  troupe.constrain('agent_messages', 'agent_messages_body_size', 'check (octet_length(body) <= 1048576)'); end $$;

-- The legacy agents ask for the newest unread ones that are for them or for all.
create index if not exists agent_messages_unread on public.agent_messages (created_at) where read = false;
create index if not exists agent_messages_created on public.agent_messages (created_at);
create unique index if not exists agent_messages_reply on public.agent_messages (reply_to) where reply_to is not null;
create unique index if not exists agent_messages_send_key on public.agent_messages (from_agent, send_key) where send_key is not null;

-- agent_deliveries: one row per message and agent that Troupe runs: its place in that agent's mailbox, and the receipt ---

create sequence if not exists troupe.delivery_seq;
create table if not exists public.agent_deliveries (
  message_id uuid not null references public.agent_messages (id) on delete cascade,
  agent_id text not null,
  from_agent text not null, -- order is kept per sender
  seq bigint not null default nextval('troupe.delivery_seq'),
  rank smallint not null default 1, -- 0 express (urgent and high), 1 ordinary
  status text not null default 'ready',
  token bigint, -- lease token of the incarnation that has it in its mailbox; null: waits in the table
  attempts integer not null default 0, -- throws, and deaths of the thread while it ran this alone
  interruptions integer not null default 0, -- deaths of the process, lost leases
  due_at timestamptz,
  retry_at timestamptz,
  expires_at timestamptz,
  finished_at timestamptz,
  dead_reason text,
  error text,
  is_unknown boolean not null default false, -- nobody by that name is registered yet
  primary key (message_id, agent_id),
  constraint agent_deliveries_status_word check (status in ('scheduled', 'ready', 'done', 'dead', 'dropped')),
  constraint agent_deliveries_rank_range check (rank in (0, 1)),
  constraint agent_deliveries_scheduled_has_due check (status <> 'scheduled' or due_at is not null),
  constraint agent_deliveries_dead_has_reason check (status <> 'dead' or dead_reason is not null),
  constraint agent_deliveries_finished_has_end check ((status in ('done', 'dead', 'dropped')) = (finished_at is not null)),
  constraint agent_deliveries_counts check (attempts >= 0 and interruptions >= 0)
) with (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02);

create index if not exists agent_deliveries_ready on public.agent_deliveries (agent_id, token, rank, seq) where status = 'ready';
create index if not exists agent_deliveries_scheduled on public.agent_deliveries (agent_id, due_at, seq) where status = 'scheduled';
create index if not exists agent_deliveries_unknown on public.agent_deliveries (agent_id)
  where is_unknown and status in ('scheduled', 'ready');
create index if not exists agent_deliveries_dead on public.agent_deliveries (finished_at) where status = 'dead';
create index if not exists agent_deliveries_expiring on public.agent_deliveries (expires_at)
  where status in ('scheduled', 'ready') and expires_at is not null;

-- agent_leases: which agents Troupe runs, and which process holds each -------------------------------------------------

create table if not exists public.agent_leases (
  agent_id text primary key,
  agent_type text not null,
  node_id text, -- null: released
  lease_token bigint not null default 1, -- grows with every incarnation, never reset: the fence of everything it writes
  lease_expires_at timestamptz,
  is_clean boolean not null default true, -- the last holder said goodbye
  spec_version text,
  spec_stamp bigint not null default 0, -- age of the config the holder runs; an older one never takes over
  mailbox_limit integer,
  supervision jsonb not null default '{}', -- restart history, quarantine: survives the process
  registered_at timestamptz not null default now(),
  retired_at timestamptz, -- no longer in any config: gets no broadcasts
  constraint agent_leases_held check ((node_id is null) = (lease_expires_at is null)),
  constraint agent_leases_mailbox_range check (mailbox_limit > 0)
) with (fillfactor = 50);

-- agent_state, agent_steps, agent_timers: what an actor keeps ----------------------------------------------------------

create table if not exists public.agent_state (
  agent_id text primary key,
  version bigint not null,
  state text not null,
  token bigint not null,
  updated_at timestamptz not null default now(),
  constraint agent_state_size check (octet_length(state) <= 1048576)
) with (fillfactor = 70);

create table if not exists public.agent_steps (
  agent_id text not null, -- empty for a job's: another agent that claims the job goes on where the first one stopped
  message_id uuid not null, -- the message or job whose turn this is
  key text not null,
  status text not null default 'started',
  result text,
  token bigint not null,
  run text, -- which run of the handler started it
  started_at timestamptz not null default now(),
  finished_at timestamptz,
  primary key (agent_id, message_id, key),
  constraint agent_steps_status_word check (status in ('started', 'finished')),
  constraint agent_steps_finished_has_end check ((status = 'finished') = (finished_at is not null)),
  constraint agent_steps_size check (octet_length(result) <= 1048576)
);
create index if not exists agent_steps_started on public.agent_steps (started_at);

create table if not exists public.agent_timers (
  agent_id text not null,
  name text not null,
  type text not null,
  body text not null default 'null',
  every_ms bigint, -- null: once
  due_at timestamptz not null,
  fired bigint not null default 0,
  message_id uuid, -- what it sent last
  primary key (agent_id, name),
  -- What cannot be sent must not be set: it would fail at every poll of the mailbox.
  constraint agent_timers_every_range check (every_ms between 1 and 315360000000),
  constraint agent_timers_body_size check (octet_length(body) <= 1048576)
);
create index if not exists agent_timers_due on public.agent_timers (agent_id, due_at);

-- agent_status: what people and other agents see ------------------------------------------------------------------------

create table if not exists public.agent_status (agent_id text primary key);
alter table public.agent_status
  add column if not exists agent_name text,
  add column if not exists agent_type text,
  add column if not exists status text default 'idle',
  add column if not exists current_job uuid,
  add column if not exists last_heartbeat timestamptz default now(),
  add column if not exists last_activity timestamptz default now(),
  add column if not exists capabilities jsonb default '[]',
  add column if not exists current_load integer default 0,
  add column if not exists max_load integer default 5,
  add column if not exists jobs_completed integer default 0,
  add column if not exists jobs_failed integer default 0,
  add column if not exists total_profit numeric default 0,
  add column if not exists blocked_reason text,
  add column if not exists blocked_since timestamptz,
  add column if not exists config jsonb default '{}',
  add column if not exists version text;
update public.agent_status set agent_name = coalesce(agent_name, agent_id), agent_type = coalesce(agent_type, 'unknown'),
  status = coalesce(status, 'offline'), last_heartbeat = coalesce(last_heartbeat, now()), last_activity = coalesce(last_activity, now()),
  capabilities = coalesce(capabilities, '[]'), current_load = coalesce(current_load, 0), max_load = coalesce(max_load, 5),
  jobs_completed = coalesce(jobs_completed, 0), jobs_failed = coalesce(jobs_failed, 0), total_profit = coalesce(total_profit, 0)
  where agent_name is null or agent_type is null or status is null or last_heartbeat is null or last_activity is null or capabilities is null
    or current_load is null or max_load is null or jobs_completed is null or jobs_failed is null or total_profit is null;
alter table public.agent_status
  alter column agent_name set not null,
  alter column agent_type set not null, alter column agent_type set default 'unknown',
  alter column status set not null, alter column status set default 'idle',
  alter column last_heartbeat set not null, alter column last_heartbeat set default now(),
  alter column last_activity set not null, alter column last_activity set default now(),
  alter column capabilities set not null, alter column capabilities set default '[]',
  alter column current_load set not null, alter column current_load set default 0,
  alter column max_load set not null, alter column max_load set default 5,
  alter column jobs_completed set not null, alter column jobs_completed set default 0,
  alter column jobs_failed set not null, alter column jobs_failed set default 0,
  alter column total_profit set not null, alter column total_profit set default 0,
  set (fillfactor = 50);
update public.agent_status s set current_job = null
  where s.current_job is not null and not exists (select from public.agent_jobs j where j.id = s.current_job);
do $$ begin perform
  troupe.constrain('agent_status', 'agent_status_status_word',
    'check (status in (''idle'', ''working'', ''blocked'', ''error'', ''offline''))'),
  troupe.constrain('agent_status', 'agent_status_load_range', 'check (current_load >= 0 and max_load >= 0)'),
  troupe.constrain('agent_status', 'agent_status_capabilities_array', 'check (jsonb_typeof(capabilities) = ''array'')'),
  troupe.constrain('agent_status', 'agent_status_current_job_ref',
    'foreign key (current_job) references public.agent_jobs (id) on delete set null'); end $$;
create index if not exists agent_status_current_job on public.agent_status (current_job);

-- trade_opportunities, trade_executions ----------------------------------------------------------------------------------

create table if not exists public.trade_opportunities (id uuid primary key default gen_random_uuid());
alter table public.trade_opportunities
  add column if not exists market_id text,
  add column if not exists market_question text,
  add column if not exists platform text default 'polymarket',
  add column if not exists side text,
  add column if not exists current_price numeric,
  add column if not exists target_price numeric,
  add column if not exists suggested_position numeric,
  add column if not exists confidence numeric,
  add column if not exists edge numeric,
  add column if not exists research_summary text,
  add column if not exists discovered_by text,
  add column if not exists discovery_method text,
  add column if not exists status text default 'pending',
  add column if not exists discovered_at timestamptz default now(),
  add column if not exists expires_at timestamptz,
  add column if not exists reviewed_by text,
  add column if not exists reviewed_at timestamptz,
  add column if not exists review_reason text,
  add column if not exists dedupe_key text,
  add column if not exists event_id text,
  add column if not exists details jsonb default '{}';
update public.trade_opportunities set status = 'expired' where status is null;
update public.trade_opportunities set platform = 'polymarket' where platform is null;
update public.trade_opportunities set discovered_at = now() where discovered_at is null;
alter table public.trade_opportunities
  alter column market_id set not null,
  alter column side set not null,
  alter column platform set not null, alter column platform set default 'polymarket',
  alter column status set not null, alter column status set default 'pending',
  alter column discovered_at set not null, alter column discovered_at set default now(),
  alter column details set not null;
do $$ begin perform
  troupe.constrain('trade_opportunities', 'trade_opportunities_status_word',
    'check (status in (''pending'', ''approved'', ''rejected'', ''expired''))'),
  troupe.constrain('trade_opportunities', 'trade_opportunities_side_word', 'check (side in (''YES'', ''NO''))'),
  troupe.constrain('trade_opportunities', 'trade_opportunities_price_range',
    'check (current_price between 0 and 1 and target_price between 0 and 1)'),
  troupe.constrain('trade_opportunities', 'trade_opportunities_confidence_range', 'check (confidence between 0 and 1)'),
  troupe.constrain('trade_opportunities', 'trade_opportunities_edge_range', 'check (edge between -1 and 1)'),
  troupe.constrain('trade_opportunities', 'trade_opportunities_position_range', 'check (suggested_position > 0 and suggested_position < 1e12)'),
  troupe.constrain('trade_opportunities', 'trade_opportunities_details_size',
    'check (jsonb_typeof(details) = ''object'' and pg_column_size(details) <= 1048576)'); end $$;
create index if not exists trade_opportunities_pending on public.trade_opportunities (expires_at) where status = 'pending';
create index if not exists trade_opportunities_discovered on public.trade_opportunities (discovered_at) where status in ('rejected', 'expired');
create unique index if not exists trade_opportunities_live_key on public.trade_opportunities (dedupe_key)
  where dedupe_key is not null and status in ('pending', 'approved');

create table if not exists public.trade_executions (id uuid primary key default gen_random_uuid());
alter table public.trade_executions
  add column if not exists opportunity_id uuid,
  add column if not exists job_id uuid,
  add column if not exists market_id text,
  add column if not exists side text,
  add column if not exists amount numeric,
  add column if not exists entry_price numeric,
  add column if not exists status text default 'pending',
  add column if not exists tx_hash text,
  add column if not exists exit_price numeric,
  add column if not exists pnl numeric,
  add column if not exists executed_by text,
  add column if not exists created_at timestamptz default now(),
  add column if not exists executed_at timestamptz,
  add column if not exists settled_at timestamptz,
  add column if not exists idempotency_key text,
  add column if not exists stage text default 'reserved',
  add column if not exists shares numeric,
  add column if not exists fees numeric default 0,
  add column if not exists event_id text,
  add column if not exists error_message text,
  add column if not exists exit_reason text,
  add column if not exists details jsonb default '{}';
update public.trade_executions set status = 'failed' where status is null;
update public.trade_executions set created_at = now() where created_at is null;
update public.trade_executions set stage = case status when 'executed' then 'filled' when 'pending' then 'ordered' else 'closed' end
  where idempotency_key is null and stage = 'reserved';
update public.trade_executions set settled_at = coalesce(executed_at, created_at) where status = 'settled' and settled_at is null;
alter table public.trade_executions
  alter column market_id set not null,
  alter column side set not null,
  alter column amount set not null,
  alter column status set not null, alter column status set default 'pending',
  alter column created_at set not null, alter column created_at set default now(),
  alter column stage set not null,
  alter column fees set not null,
  alter column details set not null;
do $$ begin perform
  troupe.constrain('trade_executions', 'trade_executions_status_word',
    'check (status in (''pending'', ''executed'', ''failed'', ''settled''))'),
  troupe.constrain('trade_executions', 'trade_executions_stage_word',
    'check (stage in (''reserved'', ''ordered'', ''unknown'', ''unsold_leg'', ''filled'', ''closed''))'),
  troupe.constrain('trade_executions', 'trade_executions_side_word', 'check (side in (''YES'', ''NO''))'),
  troupe.constrain('trade_executions', 'trade_executions_amount_range', 'check (amount > 0 and amount < 1e12 and shares between 0 and 1e12 and fees between 0 and 1e12 and pnl between -1e12 and 1e12)'),
  troupe.constrain('trade_executions', 'trade_executions_price_range',
    'check (entry_price between 0 and 1 and exit_price between 0 and 1)'),
  troupe.constrain('trade_executions', 'trade_executions_stage_fits_status',
    'check (case status when ''pending'' then stage in (''reserved'', ''ordered'', ''unknown'')
       when ''executed'' then stage in (''unsold_leg'', ''filled'') else stage = ''closed'' end)'),
  troupe.constrain('trade_executions', 'trade_executions_details_size',
    'check (jsonb_typeof(details) = ''object'' and pg_column_size(details) <= 1048576)'),
  troupe.constrain('trade_executions', 'trade_executions_settled_has_end', 'check ((status = ''settled'') = (settled_at is not null))'),
  troupe.constrain('trade_executions', 'trade_executions_opportunity_ref',
    'foreign key (opportunity_id) references public.trade_opportunities (id) on delete set null'),
  troupe.constrain('trade_executions', 'trade_executions_job_ref',
    'foreign key (job_id) references public.agent_jobs (id) on delete set null'); end $$;
create unique index if not exists trade_executions_key on public.trade_executions (idempotency_key) where idempotency_key is not null;
create index if not exists trade_executions_opportunity on public.trade_executions (opportunity_id);
create index if not exists trade_executions_job on public.trade_executions (job_id);
create index if not exists trade_executions_created on public.trade_executions (created_at);
create index if not exists trade_executions_open on public.trade_executions (market_id) where status in ('pending', 'executed');
create index if not exists trade_executions_settled on public.trade_executions (settled_at) where status = 'settled';

-- agent_performance, system_config ---------------------------------------------------------------------------------------

create table if not exists public.agent_performance (id uuid primary key default gen_random_uuid());
alter table public.agent_performance
  add column if not exists agent_id text,
  add column if not exists period text,
  add column if not exists period_start date,
  add column if not exists jobs_completed integer default 0,
  add column if not exists jobs_failed integer default 0,
  add column if not exists trades_executed integer default 0,
  add column if not exists trades_profitable integer default 0,
  add column if not exists total_pnl numeric default 0,
  add column if not exists avg_trade_size numeric,
  add column if not exists avg_confidence numeric,
  add column if not exists avg_job_duration interval,
  add column if not exists uptime_minutes integer default 0,
  add column if not exists created_at timestamptz default now();
delete from public.agent_performance where agent_id is null or period is null or period_start is null;
update public.agent_performance set created_at = now() where created_at is null;
-- The newest roll-up of a period is the complete one.
delete from public.agent_performance p where exists (
  select from public.agent_performance newer
  where newer.agent_id = p.agent_id and newer.period = p.period and newer.period_start = p.period_start
    and (newer.created_at, newer.id) > (p.created_at, p.id));
alter table public.agent_performance
  alter column agent_id set not null,
  alter column period set not null,
  alter column period_start set not null,
  alter column created_at set default now();
do $$ begin perform
  troupe.constrain('agent_performance', 'agent_performance_period_word', 'check (period in (''daily'', ''weekly'', ''monthly''))'),
  troupe.constrain('agent_performance', 'agent_performance_once', 'unique (agent_id, period, period_start)'); end $$;

create table if not exists public.system_config (key text primary key);
alter table public.system_config
  add column if not exists value jsonb,
  add column if not exists description text,
  add column if not exists updated_at timestamptz default now(),
  add column if not exists updated_by text;
alter table public.system_config
  alter column value set not null,
  alter column updated_at set default now();
-- A limit that is not a number would otherwise be noticed in the middle of a trade.
do $$ begin perform
  troupe.constrain('system_config', 'system_config_numbers',
    'check (case when key in (''max_daily_exposure'', ''max_position_size'', ''min_edge_threshold'', ''scanner_interval_minutes'')
       then jsonb_typeof(value) = ''number'' and (value #>> ''{}'')::numeric >= 0 else true end)'),
  troupe.constrain('system_config', 'system_config_words',
    'check (case key when ''trading_enabled'' then jsonb_typeof(value) = ''boolean''
       when ''risk_mode'' then value in (''"conservative"'', ''"normal"'', ''"aggressive"'')
       when ''coordinator_agent'' then jsonb_typeof(value) = ''string'' else true end)'); end $$;

insert into public.system_config (key, value, description) values
  ('trading_enabled', 'true', 'false stops new trades at once'),
  ('max_daily_exposure', '20', 'USD that may be committed to trades in one UTC day'),
  ('max_position_size', '5', 'USD that may be open in one market'),
  ('min_edge_threshold', '0.10', 'smallest edge after costs that is traded'),
  ('risk_mode', '"normal"', 'conservative, normal or aggressive'),
  ('scanner_interval_minutes', '240', 'minutes between scans'),
  ('coordinator_agent', '"coordinator-main"', 'agent that escalations are addressed to')
on conflict (key) do nothing;

do $$ begin perform troupe.seal_tables(array[
  'agent_jobs', 'agent_claims', 'agent_messages', 'agent_deliveries', 'agent_leases', 'agent_state', 'agent_steps', 'agent_timers',
  'agent_status', 'trade_opportunities', 'trade_executions', 'agent_performance', 'system_config'
]); end $$;
revoke all on sequence troupe.delivery_seq from public, anon, authenticated;
grant usage on sequence troupe.delivery_seq to service_role;
-- the identity sequence of agent_jobs.seq needs no grant for inserts, but old default grants give it away
revoke all on sequence public.agent_jobs_seq_seq from public, anon, authenticated;

-- 20261120000300_jobs ============================================================================================

-- The job queue. A job is held by a lease whose token only grows; every change of a running job names the token, and the
-- answer is one verdict per job:
--   ok         done as asked
--   repeat     this very change was made before (its answer got lost), nothing happens twice
--   stale      somebody else holds the job now, or it has ended otherwise
--   not_found  no such job

-- A running job is one with a lease (a constraint says so). Statements that know the id ask for the lease and not for the status: the
-- status would let the planner walk agent_jobs_running, which it takes for empty, instead of looking the id up.

-- Work addressed to an agent is pending work with a target. The original agents insert it as 'assigned'.
create or replace function troupe.address_job() returns trigger
language plpgsql set search_path = '' as $$
begin
  new.status := 'pending';
  new.target_agent := coalesce(new.target_agent, new.assigned_to);
  new.assigned_at := null;
  return new;
end $$;
drop trigger if exists address_job on public.agent_jobs;
create trigger address_job before insert on public.agent_jobs
  for each row when (new.lease_expires_at is null and new.status in ('pending', 'assigned', 'in_progress')
    and (new.assigned_to is not null or new.status <> 'pending'))
  execute function troupe.address_job();

-- Keeps the last ten endings of a job's attempts. The token tells which holder's ending it was.
create or replace function troupe.remember(p_history jsonb, p_attempt integer, p_token bigint, p_outcome text, p_agent text, p_error text,
  p_now timestamptz) returns jsonb
language sql stable set search_path = '' as $$
  select case when jsonb_array_length(p_history) >= 10 then p_history - 0 else p_history end
    || jsonb_build_array(jsonb_strip_nulls(jsonb_build_object(
      'attempt', p_attempt, 'token', p_token, 'outcome', p_outcome, 'agent', p_agent, 'error', left(p_error, 500), 'at', p_now)))
$$;

-- Ends expired leases: the job becomes pending again, or dead when its attempts are used up. The token grows here too,
-- so that the former holder is refused even before somebody else has claimed the job. At most p_limit rows.
create or replace function troupe.reap_jobs(p_limit integer, p_now timestamptz) returns integer
language plpgsql set search_path = '' as $$
declare
  v_ids uuid[];
  v_count integer;
begin
  v_ids := array(
    select j.id from public.agent_jobs j
    where j.status in ('assigned', 'in_progress') and j.reap_at <= p_now
    order by j.reap_at limit p_limit for update skip locked);
  if v_ids = '{}' then
    return 0;
  end if;
  update public.agent_jobs j set reap_at = j.lease_expires_at -- it was renewed since: look again then
    where j.id = any (v_ids) and j.lease_expires_at > p_now;
  update public.agent_jobs j set
    status = case when j.attempt >= j.max_attempts then 'failed' else 'pending' end,
    completed_at = case when j.attempt >= j.max_attempts then p_now end,
    dead_reason = case when j.attempt >= j.max_attempts then 'lease_expired' end,
    error_message = format('The lease of %s expired', j.assigned_to),
    history = troupe.remember(j.history, j.attempt, j.lease_token, 'lease_expired', j.assigned_to, null, p_now),
    run_at = p_now, assigned_to = j.target_agent, lease_token = j.lease_token + 1,
    lease_expires_at = null, reap_at = null, legacy_claim = false
    where j.id = any (v_ids) and j.lease_expires_at <= p_now;
  get diagnostics v_count = row_count;
  return v_count;
end $$;

-- Whether the agent's lease still carries this token; the row stays locked against a takeover until the transaction ends.
-- Reading it without the lock is no fence: a takeover may commit between the check and the writes.
create or replace function troupe.holds_lease(p_agent text, p_token bigint) returns boolean
language plpgsql set search_path = '' as $$
begin
  perform from public.agent_leases l where l.agent_id = p_agent and l.lease_token = p_token for share;
  return found;
end $$;

-- All job types that have pending work addressed to nobody: one index probe per type.
create or replace function troupe.pending_job_types() returns text[]
language sql stable set search_path = '' as $$
  with recursive kind(job_type) as (
    (select j.job_type from public.agent_jobs j
     where j.status = 'pending' and j.target_agent is null order by j.job_type limit 1)
    union all
    select (select j.job_type from public.agent_jobs j
            where j.status = 'pending' and j.target_agent is null and j.job_type > kind.job_type order by j.job_type limit 1)
    from kind where kind.job_type is not null
  )
  select coalesce(array_agg(job_type), '{}') from kind where job_type is not null
$$;

-- What a repeated claim request answers: those of its jobs that are still held under the same token.
create or replace function troupe.reclaimed_jobs(p_ids uuid[], p_tokens bigint[]) returns json
language sql stable set search_path = '' as $$
  select coalesce(json_agg(job), '[]') from (
    select j.id as job_id, j.job_type, j.payload, j.priority, j.attempt, j.max_attempts, j.lease_token, j.created_by, j.created_at, j.timeout_ms
    from unnest(p_ids, p_tokens) as given(job_id, lease_token)
    join public.agent_jobs j on j.id = given.job_id and j.lease_token = given.lease_token and j.lease_expires_at is not null
    order by j.priority, j.run_at, j.seq
  ) job
$$;

-- Picks and locks up to p_limit pending jobs that are addressed to nobody, by priority, due time and age, and gives where they lie: a
-- locked row stays there, and need not be looked up by its id. p_types null means any type.
-- p_floor_at, p_floor_seq: for each priority the place before which nothing is pending any more; starting there spares the
-- walk over index entries of jobs that are gone but cannot be vacuumed while somebody's transaction is old.
create or replace function troupe.pick_jobs(p_types text[], p_limit integer, p_floor_at timestamptz[], p_floor_seq bigint[], p_now timestamptz)
returns tid[]
language plpgsql set search_path = '' as $$
declare
  v_types text[] := coalesce(p_types, troupe.pending_job_types());
begin
  if cardinality(v_types) = 1 then
    return array(
      select job.place from unnest(p_floor_at, p_floor_seq) with ordinality as floor(run_at, seq, priority)
      cross join lateral (
        select j.ctid as place from public.agent_jobs j
        where j.status = 'pending' and j.target_agent is null and j.job_type = v_types[1] and j.priority = floor.priority
          and j.run_at <= p_now and (j.run_at, j.seq) >= (floor.run_at, floor.seq)
        order by j.run_at, j.seq limit p_limit for update skip locked
      ) job limit p_limit);
  end if;
  -- Several types: within a priority their heads are merged by age, a sort of at most limit * types rows.
  return array(
    select job.place from unnest(p_floor_at, p_floor_seq) with ordinality as floor(run_at, seq, priority)
    cross join lateral (
      select head.place from unnest(v_types) as kind(job_type)
      cross join lateral (
        select j.ctid as place, j.run_at, j.seq from public.agent_jobs j
        where j.status = 'pending' and j.target_agent is null and j.job_type = kind.job_type and j.priority = floor.priority
          and j.run_at <= p_now and (j.run_at, j.seq) >= (floor.run_at, floor.seq)
        order by j.run_at, j.seq limit p_limit for update skip locked
      ) head order by head.run_at, head.seq limit p_limit
    ) job limit p_limit);
end $$;

-- One claim: the jobs addressed to the agent first, then others. FOR UPDATE SKIP LOCKED sits in an array because a plain join makes the
-- planner expect a tenth of the table. p_cursor comes from the agent's last answer: {"at", "seq": the floors of pick_jobs, "full_at": when
-- to look everywhere again}. A server clock that was set back makes it void: new jobs would lie below the floors, and full_at too far away.
create or replace function troupe.claim(p_agent text, p_types text[], p_limit integer, p_lease_ms integer, p_claim_id uuid,
  p_cursor jsonb, p_legacy boolean, p_now timestamptz) returns json
language plpgsql set search_path = '' as $$
declare
  v_floor_at timestamptz[] := p_cursor ->> 'at';
  v_floor_seq bigint[] := p_cursor ->> 'seq';
  v_full_at timestamptz := p_cursor ->> 'full_at';
  v_full boolean := coalesce(v_full_at <= p_now or v_full_at > p_now + interval '1 minute' or p_now < any (v_floor_at)
    or cardinality(v_floor_at) <> 10 or cardinality(v_floor_seq) <> 10, true);
  v_began timestamptz;
  v_claim public.agent_claims;
  v_places tid[];
  v_picked tid[];
  v_left integer;
  v_last record;
  v_below integer := 11; -- priorities before this one are exhausted
  v_jobs json;
  v_ids uuid[];
  v_tokens bigint[];
begin
  if p_claim_id is not null then
    -- The first request may still be under way when its repetition arrives.
    perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended(p_claim_id::text, 1));
    select * into v_claim from public.agent_claims c where c.claim_id = p_claim_id;
    if found then
      return json_build_object('agent_id', p_agent, 'verdict', 'repeat', 'cursor', p_cursor, 'jobs',
        case when v_claim.agent_id = p_agent then troupe.reclaimed_jobs(v_claim.job_ids, v_claim.lease_tokens) else '[]' end);
    end if;
  end if;

  if v_full then
    v_began := clock_timestamp();
    perform troupe.reap_jobs(greatest(p_limit, 10), p_now);
    v_floor_at := array_fill('-infinity'::timestamptz, array[10]);
    v_floor_seq := array_fill(0::bigint, array[10]);
  end if;
  v_places := array(
    select j.ctid from public.agent_jobs j
    where j.status = 'pending' and j.target_agent = p_agent and j.run_at <= p_now
      and (p_legacy or p_types is null or j.job_type = any (p_types))
    order by j.priority, j.run_at, j.seq limit p_limit for update skip locked);
  v_left := p_limit - cardinality(v_places);
  if v_left > 0 then
    v_picked := troupe.pick_jobs(p_types, v_left, v_floor_at, v_floor_seq, p_now);
    v_places := v_places || v_picked;
    if cardinality(v_picked) = v_left then
      select j.priority, j.run_at, j.seq into v_last from public.agent_jobs j where j.ctid = v_picked[v_left];
      v_below := v_last.priority;
      v_floor_at[v_below] := v_last.run_at;
      v_floor_seq[v_below] := v_last.seq;
    end if;
    -- Where nothing was left, there is only what is being inserted now: five seconds for slow transactions.
    for v_priority in 1 .. v_below - 1 loop
      if v_floor_at[v_priority] < p_now - interval '5 seconds' then
        v_floor_at[v_priority] := p_now - interval '5 seconds';
        v_floor_seq[v_priority] := 0;
      end if;
    end loop;
  end if;
  if v_full then
    -- Looking everywhere takes at most a twentieth of the time, however many dead entries there are.
    v_full_at := p_now + least(greatest(interval '1 second', 20 * (clock_timestamp() - v_began)), interval '1 minute');
  end if;

  if v_places <> '{}' then
    with given as (
      update public.agent_jobs j set
        status = 'assigned', assigned_to = p_agent, assigned_at = p_now, started_at = null, attempt = j.attempt + 1,
        lease_token = j.lease_token + 1, lease_expires_at = p_now + least(p_lease_ms, j.timeout_ms) * interval '1 ms',
        reap_at = p_now + least(p_lease_ms, j.timeout_ms) * interval '1 ms', legacy_claim = p_legacy
        where j.ctid = any (v_places)
        returning j.id as job_id, j.job_type, j.payload, j.priority, j.attempt, j.max_attempts, j.lease_token, j.created_by,
          j.created_at, j.timeout_ms, j.run_at, j.seq
    )
    select json_agg(job), array_agg(job.job_id), array_agg(job.lease_token) into v_jobs, v_ids, v_tokens
      from (
        select g.job_id, g.job_type, g.payload, g.priority, g.attempt, g.max_attempts, g.lease_token, g.created_by, g.created_at, g.timeout_ms
        from given g order by g.priority, g.run_at, g.seq
      ) job;
    if p_claim_id is not null then
      insert into public.agent_claims (claim_id, agent_id, job_ids, lease_tokens, created_at)
        values (p_claim_id, p_agent, v_ids, v_tokens, p_now);
    end if;
  end if;
  return json_build_object('agent_id', p_agent, 'verdict', 'ok', 'jobs', coalesce(v_jobs, '[]'),
    'cursor', json_build_object('at', v_floor_at::text, 'seq', v_floor_seq::text, 'full_at', v_full_at));
end $$;

-- Claims jobs for many agents in one call. Each element:
--   {agent_id, lease_token?: the agent's own (fences the claim), job_types?: [text] or null for any, limit: 1..500,
--    lease_ms: default 60000, claim_id?: uuid (a repeated request gets the same jobs and tokens), cursor?: from the last answer}
-- and its answer: {agent_id, verdict: ok | repeat | stale, jobs: [...], cursor}. Expired leases are ended on the way, so
-- recovery needs no leader and no cron. Priority is strict: a lower one waits while higher ones are pending.
create or replace function public.claim_jobs(p_batch jsonb) returns json
language plpgsql set search_path = '' as $$
declare
  v_now timestamptz := troupe.now();
  v_one record;
  v_answers json[] := '{}';
begin
  perform from (
    select from public.agent_leases l
    where l.agent_id in (select e ->> 'agent_id' from jsonb_array_elements(p_batch) e where e ->> 'lease_token' is not null)
    order by l.agent_id for share) held;
  for v_one in
    select * from jsonb_to_recordset(p_batch) as c(agent_id text, lease_token bigint, job_types text[], "limit" integer,
      lease_ms integer, claim_id uuid, cursor jsonb)
  loop
    if coalesce(v_one.agent_id, '') = '' then
      perform troupe.refuse('PT400', 'claim_jobs: agent_id is missing', 'name the agent that claims');
    end if;
    if coalesce(v_one."limit", 1) not between 1 and 500 then
      perform troupe.refuse('PT400', format('claim_jobs: limit is %s', v_one."limit"), 'limit must be 1 to 500');
    end if;
    if coalesce(v_one.lease_ms, 60000) not between 100 and 86400000 then
      perform troupe.refuse('PT400', format('claim_jobs: lease_ms is %s', v_one.lease_ms), 'lease_ms must be 100 to 86400000');
    end if;
    v_answers := v_answers || case
      when v_one.lease_token is not null and not troupe.holds_lease(v_one.agent_id, v_one.lease_token)
        then json_build_object('agent_id', v_one.agent_id, 'verdict', 'stale', 'jobs', '[]'::json)
      else troupe.claim(v_one.agent_id, v_one.job_types, coalesce(v_one."limit", 1), coalesce(v_one.lease_ms, 60000), v_one.claim_id,
        v_one.cursor, false, v_now) end;
  end loop;
  return array_to_json(v_answers);
end $$;

-- Counts what agents have done. These rows are the busiest of all and are locked last, in the order of their names.
create or replace function troupe.count_jobs(p_completed text[], p_failed text[], p_now timestamptz) returns void
language plpgsql set search_path = '' as $$
declare
  v_one record;
begin
  for v_one in
    select ended.agent, sum(ended.completed) as completed, sum(ended.failed) as failed
    from (select unnest(p_completed) as agent, 1 as completed, 0 as failed union all select unnest(p_failed), 0, 1) ended
    group by ended.agent order by ended.agent
  loop
    update public.agent_status s set jobs_completed = s.jobs_completed + v_one.completed, jobs_failed = s.jobs_failed + v_one.failed,
      last_activity = p_now
      where s.agent_id = v_one.agent;
  end loop;
end $$;

-- Ends running jobs for their holders; elements as finish_jobs takes them, answers their verdicts in the same order.
create or replace function troupe.settle_jobs(p_batch jsonb, p_now timestamptz) returns json
language plpgsql set search_path = '' as $$
declare
  v_done uuid[];
  v_back uuid[] := '{}';
  v_completed text[]; -- by whom
  v_failed text[] := '{}';
begin
  with ended as (
    update public.agent_jobs j set status = 'completed', completed_at = p_now, started_at = coalesce(j.started_at, j.assigned_at),
      result = i.result, error_message = null, lease_expires_at = null, reap_at = null
      from (
        select * from jsonb_to_recordset(p_batch) as i(job_id uuid, lease_token bigint, outcome text, result jsonb)
        order by job_id -- one order of locks for everybody, or batches that overlap would deadlock
      ) i
      where i.outcome = 'completed' and j.id = i.job_id and j.lease_token = i.lease_token and j.lease_expires_at is not null
      returning j.id, j.assigned_to
  )
  select coalesce(array_agg(id), '{}'), coalesce(array_agg(assigned_to), '{}') into v_done, v_completed from ended;

  if cardinality(v_done) < jsonb_array_length(p_batch) then
    with ended as (
      update public.agent_jobs j set
        status = case when verdict.dead is not null then 'failed' else 'pending' end,
        completed_at = case when verdict.dead is not null then p_now end,
        dead_reason = verdict.dead,
        attempt = case when i.outcome = 'released' then j.attempt - 1 else j.attempt end,
        run_at = case
          when i.outcome = 'released' then p_now + troupe.ms(coalesce(i.retry_in_ms, 0))
          when i.retry_in_ms is not null then p_now + troupe.ms(i.retry_in_ms)
          else p_now + troupe.backoff(j.attempt, j.backoff_ms, j.backoff_max_ms) end,
        error_message = case when i.outcome = 'released' then j.error_message else left(i.error, 10000) end,
        result = case when i.outcome = 'released' then j.result else i.result end,
        history = case when i.outcome = 'released' then j.history
          else troupe.remember(j.history, j.attempt, j.lease_token, 'failed', j.assigned_to, i.error, p_now) end,
        assigned_to = case when verdict.dead is null then j.target_agent else j.assigned_to end,
        lease_expires_at = null, reap_at = null, legacy_claim = false
        from (
          select * from jsonb_to_recordset(p_batch) as i(job_id uuid, lease_token bigint, outcome text, result jsonb, error text,
            retryable boolean, retry_in_ms bigint) order by job_id
        ) i
        join public.agent_jobs held on held.id = i.job_id
        cross join lateral (select case
          when i.outcome = 'released' then null
          when i.retryable is false then 'fatal'
          when held.attempt >= held.max_attempts then 'attempts_exhausted' end as dead) verdict
        where i.outcome in ('failed', 'released') and j.id = held.id and j.lease_token = i.lease_token
          and j.lease_expires_at is not null
        returning j.id, held.assigned_to, i.outcome
    )
    select coalesce(array_agg(id), '{}'), coalesce(array_agg(assigned_to) filter (where outcome = 'failed'), '{}') into v_back, v_failed
      from ended;
  end if;
  perform troupe.count_jobs(v_completed, v_failed, p_now);

  if cardinality(v_done) = jsonb_array_length(p_batch) then -- the ordinary case: nothing to look up
    return (select json_agg(answer) from (select (e ->> 'job_id')::uuid as job_id, 'ok' as verdict from jsonb_array_elements(p_batch) e) answer);
  end if;
  -- A token may end its job once, in one way: what the row says under that token decides, so that one batch may name a job twice.
  return (
    select json_agg(json_build_object('job_id', i.job_id, 'verdict', case
      when j.id is null then 'not_found'
      when j.lease_token = i.lease_token and case i.outcome
        when 'completed' then j.status = 'completed'
        when 'failed' then (j.history -> -1 ->> 'token')::bigint = i.lease_token
        when 'released' then j.status = 'pending' and (j.history -> -1 ->> 'token')::bigint is distinct from i.lease_token end
        then case when i.job_id = any (v_done) or i.job_id = any (v_back) then 'ok' else 'repeat' end
      else 'stale' end) order by i.place)
    from (
      select place, (e ->> 'job_id')::uuid as job_id, (e ->> 'lease_token')::bigint as lease_token, e ->> 'outcome' as outcome
      from jsonb_array_elements(p_batch) with ordinality as t(e, place)
    ) i left join public.agent_jobs j on j.id = i.job_id);
end $$;

-- Ends running jobs. Each element: {job_id, lease_token, outcome: completed | failed | released, result?: jsonb, error?: text,
-- retryable?: false makes a failure final, retry_in_ms?: instead of the job's own backoff}. Released gives the job back
-- without burning an attempt. Answer: [{job_id, verdict}], in order.
create or replace function public.finish_jobs(p_batch jsonb) returns json
language plpgsql set search_path = '' as $$
declare
  v_wrong jsonb;
begin
  select e - 'result' - 'error' into v_wrong from jsonb_array_elements(p_batch) e
    where coalesce(e ->> 'outcome', '') not in ('completed', 'failed', 'released') or e ->> 'job_id' is null or e ->> 'lease_token' is null
      or (e ->> 'retry_in_ms')::numeric < 0
    limit 1;
  if found then
    perform troupe.refuse('PT400', format('finish_jobs: %s', left(v_wrong::text, 500)),
      'each element needs job_id, lease_token and outcome completed, failed or released; retry_in_ms is not negative');
  end if;
  if jsonb_array_length(p_batch) = 0 then
    return '[]';
  end if;
  return troupe.settle_jobs(p_batch, troupe.now());
end $$;

-- Extends leases of running jobs and notes their start. Each element: {job_id, lease_token, lease_ms?: 60000, started?: true}.
-- A job with timeout_ms is never extended beyond it: the verdict is stale and the lease runs out, though its handler lives.
create or replace function public.renew_jobs(p_batch jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_now timestamptz := troupe.now();
  v_ids uuid[];
  v_renewed uuid[];
  v_wrong jsonb;
begin
  select e into v_wrong from jsonb_array_elements(p_batch) e
    where e ->> 'job_id' is null or e ->> 'lease_token' is null or (e ->> 'lease_ms')::numeric not between 100 and 86400000
    limit 1;
  if found then
    perform troupe.refuse('PT400', format('renew_jobs: %s', left(v_wrong::text, 500)),
      'each element needs job_id and lease_token; lease_ms is 100 to 86400000');
  end if;
  select coalesce(array_agg(i.job_id order by i.job_id), '{}') into v_ids from jsonb_to_recordset(p_batch) as i(job_id uuid);
  with renewed as (
    update public.agent_jobs j set
      lease_expires_at = least(v_now + troupe.ms(coalesce(i.lease_ms, 60000)), j.assigned_at + troupe.ms(j.timeout_ms)),
      reap_at = least(j.reap_at, v_now + troupe.ms(coalesce(i.lease_ms, 60000))), -- changes only for a lease that was shortened
      status = case when i.started then 'in_progress' else j.status end,
      started_at = case when i.started then coalesce(j.started_at, v_now) else j.started_at end
      from jsonb_to_recordset(p_batch) as i(job_id uuid, lease_token bigint, lease_ms integer, started boolean)
      where j.id = any (v_ids) and j.id = i.job_id and j.lease_token = i.lease_token and j.lease_expires_at is not null
        and (j.timeout_ms is null or j.assigned_at + troupe.ms(j.timeout_ms) > v_now)
      returning j.id
  )
  select coalesce(array_agg(id), '{}') into v_renewed from renewed;
  return (
    select coalesce(jsonb_agg(jsonb_build_object('job_id', i.job_id, 'verdict', case
      when j.id is null then 'not_found'
      when i.job_id = any (v_renewed) and j.lease_token = i.lease_token then 'ok'
      else 'stale' end) order by i.place), '[]')
    from (select place, (e ->> 'job_id')::uuid as job_id, (e ->> 'lease_token')::bigint as lease_token
      from jsonb_array_elements(p_batch) with ordinality as t(e, place)) i
    left join public.agent_jobs j on j.id = i.job_id and j.id = any (v_ids));
end $$;

-- Creates jobs. Each element: {id?, job_type, payload?, priority?, created_by?, target_agent?, dedupe_key?, delay_ms?,
-- max_attempts?, backoff_ms?, backoff_max_ms?, timeout_ms?}. Answer in order: {job_id, verdict: ok | repeat (this id exists) |
-- duplicate (job_id is the live job of that type and key)}.
create or replace function troupe.insert_jobs(p_batch jsonb, p_created_by text, p_now timestamptz) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_batch jsonb;
  v_created uuid[];
  v_new uuid[] := '{}';
  v_answers jsonb;
begin
  select jsonb_agg(e || jsonb_build_object('id', coalesce(e ->> 'id', gen_random_uuid()::text)) order by place) into v_batch
    from jsonb_array_elements(p_batch) with ordinality as t(e, place);
  if exists (select from jsonb_array_elements(v_batch) e where (e ->> 'delay_ms')::numeric < 0) then
    perform troupe.refuse('PT400', 'create_jobs: delay_ms is negative', 'delay_ms is 0 or more');
  end if;
  -- Whoever creates jobs of the same keys waits here, in one order for all: the index would let batches wait for each other.
  perform pg_catalog.pg_advisory_xact_lock(wanted.key) from (
    select distinct pg_catalog.hashtextextended(concat(e ->> 'job_type', ' ', e ->> 'dedupe_key'), 2) as key
    from jsonb_array_elements(v_batch) e where e ->> 'dedupe_key' is not null order by key) wanted;
  loop
    with created as (
      insert into public.agent_jobs (id, job_type, payload, priority, created_by, target_agent, assigned_to, dedupe_key, created_at,
        run_at, max_attempts, backoff_ms, backoff_max_ms, timeout_ms)
      select (e ->> 'id')::uuid, e ->> 'job_type', coalesce(e -> 'payload', '{}'), coalesce((e ->> 'priority')::integer, 5),
        coalesce(e ->> 'created_by', p_created_by), e ->> 'target_agent', e ->> 'target_agent', e ->> 'dedupe_key', p_now,
        p_now + troupe.ms(coalesce((e ->> 'delay_ms')::numeric, 0)), coalesce((e ->> 'max_attempts')::integer, 3),
        coalesce((e ->> 'backoff_ms')::integer, 1000),
        coalesce((e ->> 'backoff_max_ms')::integer, greatest(600000, coalesce((e ->> 'backoff_ms')::integer, 0))),
        (e ->> 'timeout_ms')::integer
      from jsonb_array_elements(v_batch) with ordinality as t(e, place) order by place
      on conflict do nothing returning id
    )
    select coalesce(array_agg(id), '{}') into v_created from created;
    v_new := v_new || v_created;
    v_answers := (
      select coalesce(jsonb_agg(case
        when wanted.id = any (v_new) then jsonb_build_object('job_id', wanted.id, 'verdict', 'ok')
        when exists (select from public.agent_jobs j where j.id = wanted.id) then jsonb_build_object('job_id', wanted.id, 'verdict', 'repeat')
        else jsonb_build_object('verdict', 'duplicate', 'job_id', (
          select j.id from public.agent_jobs j
          where j.job_type = wanted.job_type and j.dedupe_key = wanted.dedupe_key and j.dedupe_key is not null
            and j.status in ('pending', 'assigned', 'in_progress'))) end order by wanted.place), '[]')
      from (select place, (e ->> 'id')::uuid as id, e ->> 'job_type' as job_type, e ->> 'dedupe_key' as dedupe_key
        from jsonb_array_elements(v_batch) with ordinality as t(e, place)) wanted);
    exit when not v_answers @> '[{"job_id": null}]'; -- the job that had the key ended just now, so the key is free: again
  end loop;
  return v_answers;
end $$;

create or replace function public.create_jobs(p_batch jsonb) returns jsonb
language sql set search_path = '' as $$
  select troupe.insert_jobs(p_batch, null, troupe.now())
$$;

-- Cancels jobs that have not ended; a running one's holder is refused from then on. Each element: {job_id, reason?}.
create or replace function public.cancel_jobs(p_batch jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_now timestamptz := troupe.now();
  v_ids uuid[];
  v_cancelled uuid[];
begin
  select coalesce(array_agg(i.job_id order by i.job_id), '{}') into v_ids from jsonb_to_recordset(p_batch) as i(job_id uuid);
  with cancelled as (
    update public.agent_jobs j set status = 'cancelled', completed_at = v_now, lease_token = j.lease_token + 1,
      lease_expires_at = null, reap_at = null, error_message = coalesce(i.reason, j.error_message)
      from jsonb_to_recordset(p_batch) as i(job_id uuid, reason text)
      where j.id = any (v_ids) and j.id = i.job_id and j.status in ('pending', 'assigned', 'in_progress')
      returning j.id
  )
  select coalesce(array_agg(id), '{}') into v_cancelled from cancelled;
  return (
    select coalesce(jsonb_agg(jsonb_build_object('job_id', i.job_id, 'verdict', case
      when i.job_id = any (v_cancelled) then 'ok'
      when j.id is null then 'not_found'
      when j.status = 'cancelled' then 'repeat'
      else 'stale' end) order by i.place), '[]')
    from (select place, (e ->> 'job_id')::uuid as job_id from jsonb_array_elements(p_batch) with ordinality as t(e, place)) i
    left join public.agent_jobs j on j.id = i.job_id and j.id = any (v_ids));
end $$;

-- Gives dead or cancelled jobs a fresh set of attempts. Each element: {job_id}. Verdict duplicate: a live job has its key;
-- repeat: it was redriven, and nothing has ended since.
create or replace function public.redrive_jobs(p_batch jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_now timestamptz := troupe.now();
  v_id uuid;
  v_verdict text;
  v_answers jsonb := '[]';
begin
  for v_id in select (e ->> 'job_id')::uuid from jsonb_array_elements(p_batch) with ordinality as t(e, place) order by place loop
    begin
      update public.agent_jobs j set status = 'pending', completed_at = null, dead_reason = null, attempt = 0, run_at = v_now,
        assigned_to = j.target_agent, lease_token = j.lease_token + 1, legacy_claim = false,
        history = troupe.remember(j.history, j.attempt, j.lease_token, 'redriven', null, null, v_now)
        where j.id = v_id and j.status in ('failed', 'cancelled');
      v_verdict := case when found then 'ok'
        else coalesce((select case when j.history -> -1 ->> 'outcome' = 'redriven' and j.completed_at is null then 'repeat' else 'stale' end
          from public.agent_jobs j where j.id = v_id), 'not_found') end;
    exception when unique_violation then
      v_verdict := 'duplicate';
    end;
    v_answers := v_answers || jsonb_build_array(jsonb_build_object('job_id', v_id, 'verdict', v_verdict));
  end loop;
  return v_answers;
end $$;

-- What the original agents call ------------------------------------------------------------------------------------------

-- The job types an agent of the original system handles; null: any.
create or replace function troupe.legacy_job_types(p_agent text) returns text[]
language sql stable set search_path = '' as $$
  select case s.agent_type
    when 'trader' then array['execute_trade']
    when 'researcher' then array['deep_research', 'research']
    when 'scanner' then array['scan_markets']
    when 'reporter' then array['report'] end
  from public.agent_status s where s.agent_id = p_agent
$$;

-- The original call: one job with a lease of 30 minutes, which update_agent_heartbeat renews. Empty when there is none.
create or replace function public.claim_next_job(agent_id text)
returns table (job_id uuid, job_type text, payload jsonb, priority integer, lease_token bigint, attempt integer, created_by text)
language plpgsql set search_path = '' as $$
begin
  if coalesce(claim_next_job.agent_id, '') = '' then
    perform troupe.refuse('PT400', 'claim_next_job: agent_id is missing', 'name the agent that claims');
  end if;
  return query
    select (j ->> 'job_id')::uuid, j ->> 'job_type', (j -> 'payload')::jsonb, (j ->> 'priority')::integer, (j ->> 'lease_token')::bigint,
      (j ->> 'attempt')::integer, j ->> 'created_by'
    from json_array_elements(troupe.claim(claim_next_job.agent_id, troupe.legacy_job_types(claim_next_job.agent_id), 1, 1800000,
      null, null, true, troupe.now()) -> 'jobs') j;
end $$;

-- The original call, without a token: accepted while the job is held through claim_next_job. With p_lease_token the token decides.
-- A refused one is HTTP 409. Repeating a success is fine; a failure gave the job away, so only its token can repeat it.
create or replace function public.complete_job(p_job_id uuid, p_success boolean, p_result jsonb default null, p_error text default null,
  p_lease_token bigint default null) returns void
language plpgsql set search_path = '' as $$
declare
  v_job public.agent_jobs;
  v_verdict text;
begin
  if p_success is null then
    perform troupe.refuse('PT400', 'complete_job: p_success is missing', 'true or false');
  end if;
  select * into v_job from public.agent_jobs j where j.id = p_job_id for update;
  if not found then
    perform troupe.refuse('PT404', format('complete_job: there is no job %s', p_job_id));
  end if;
  if p_lease_token is null and v_job.legacy_claim and v_job.status = 'completed' and p_success then
    return; -- the answer to the first call was lost
  end if;
  if p_lease_token is null and not (v_job.legacy_claim and v_job.status in ('assigned', 'in_progress')) then
    perform troupe.refuse('PT409', format('complete_job: job %s is %s and not held through claim_next_job', p_job_id, v_job.status),
      'claim it first, or pass p_lease_token');
  end if;
  v_verdict := troupe.settle_jobs(jsonb_build_array(jsonb_build_object('job_id', p_job_id,
    'lease_token', coalesce(p_lease_token, v_job.lease_token), 'outcome', case when p_success then 'completed' else 'failed' end,
    'result', p_result, 'error', p_error)), troupe.now()) -> 0 ->> 'verdict';
  if v_verdict not in ('ok', 'repeat') then
    perform troupe.refuse('PT409', format('complete_job: token %s of job %s is stale', p_lease_token, p_job_id),
      'the job was taken over; drop its result');
  end if;
end $$;

-- The original call; also for an agent never seen before. p_current_job starts that job and renews a lease of claim_next_job.
create or replace function public.update_agent_heartbeat(p_agent_id text, p_status text default 'idle', p_current_job uuid default null)
returns void
language plpgsql set search_path = '' as $$
declare
  v_now timestamptz := troupe.now();
  v_job uuid;
begin
  if p_current_job is not null then
    select j.id into v_job from public.agent_jobs j where j.id = p_current_job; -- a pruned job must not fail the heartbeat
    update public.agent_jobs j set status = 'in_progress', started_at = coalesce(j.started_at, v_now),
      lease_expires_at = least(v_now + interval '30 minutes', j.assigned_at + troupe.ms(j.timeout_ms))
      where j.id = p_current_job and j.assigned_to = p_agent_id and j.legacy_claim and j.lease_expires_at is not null;
  end if;
  insert into public.agent_status as s (agent_id, agent_name, agent_type, status, current_job, last_heartbeat, last_activity)
    values (p_agent_id, p_agent_id, 'unknown', p_status, v_job, v_now, v_now)
    on conflict (agent_id) do update set status = excluded.status, current_job = excluded.current_job, last_heartbeat = v_now,
      last_activity = case when s.status is distinct from excluded.status or s.current_job is distinct from excluded.current_job
        then v_now else s.last_activity end,
      blocked_reason = case when excluded.status = 'blocked' then s.blocked_reason end,
      blocked_since = case when excluded.status = 'blocked' then s.blocked_since end;
end $$;

do $$ begin perform
  troupe.seal_functions('public', array['claim_jobs', 'finish_jobs', 'renew_jobs', 'create_jobs', 'cancel_jobs', 'redrive_jobs',
    'claim_next_job', 'complete_job', 'update_agent_heartbeat']),
  troupe.seal_functions('troupe'),
  troupe.pin_plans(array['public.claim_jobs', 'public.finish_jobs', 'public.renew_jobs', 'public.create_jobs', 'public.cancel_jobs',
    'public.redrive_jobs', 'public.claim_next_job', 'public.complete_job', 'public.update_agent_heartbeat']::regproc[]); end $$;

-- 20261120000400_messages ========================================================================================

-- Messages. A row in agent_messages is what was said; a row in agent_deliveries is its place in the mailbox of one agent
-- that Troupe runs, and stays behind as the receipt. Agents of the original system have no deliveries: they read the
-- messages themselves. Who is who is decided here, by agent_leases and agent_status, never by a process's own config.

-- A message for a name that nobody has registered waits this long before it is dead.
create or replace function troupe.unknown_address_patience() returns interval
language sql immutable set search_path = '' as $$ select interval '1 day' $$;

-- Locks leases against a takeover until the transaction ends and gives {agent: token}. Whoever needs several takes them
-- here, at once and before anything else: always in this order, so that commits and heartbeats cannot deadlock.
create or replace function troupe.lock_leases(p_agents text[]) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_held jsonb;
begin
  with held as (
    select l.agent_id, l.lease_token from public.agent_leases l where l.agent_id = any (p_agents) order by l.agent_id for share
  )
  select coalesce(jsonb_object_agg(agent_id, lease_token), '{}') into v_held from held;
  return v_held;
end $$;

-- Whether a call comes from the incarnation that lock_leases found. Without a token nobody is.
create or replace function troupe.is_holder(p_held jsonb, p_agent text, p_token jsonb) returns boolean
language plpgsql immutable set search_path = '' as $$
begin
  return coalesce(jsonb_typeof(p_token) = 'number' and p_held -> p_agent = p_token, false);
end $$;

-- The agents whose leases decide where messages go: an incarnation that is named in a stamp must not be replaced while rows
-- are stamped for it, or its successor would never see them.
create or replace function troupe.stamped_agents(p_stamps jsonb) returns text[]
language sql immutable set search_path = '' as $$
  select array(select jsonb_object_keys(coalesce(p_stamps, '{}')))
$$;

-- What a sender's host learns of a delivery. stamped: it belongs into the mailbox in memory that p_stamps names.
create or replace function troupe.describe_delivery(p_delivery public.agent_deliveries, p_stamps jsonb) returns jsonb
language plpgsql immutable set search_path = '' as $$
begin
  return jsonb_build_object('agent_id', p_delivery.agent_id, 'seq', p_delivery.seq, 'status', p_delivery.status,
    'stamped', p_delivery.status = 'ready' and coalesce(p_delivery.token = (p_stamps ->> p_delivery.agent_id)::bigint, false))
    || case when p_delivery.is_unknown then '{"unknown": true}'::jsonb else '{}' end;
end $$;

-- Puts messages into the mailboxes they are for. Called with the messages just inserted.
-- p_stamps maps agents to the lease token of the incarnation that takes them at once, into memory: its rows are stamped,
-- and polling will not see them again. While anything waits in the table for that agent, new rows wait behind it: a
-- sender's second message must not overtake its first. The caller holds the leases of stamped_agents(p_stamps).
create or replace function troupe.deliver(p_ids uuid[], p_delays jsonb, p_stamps jsonb, p_log jsonb, p_now timestamptz) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_deliveries jsonb;
begin
  with delivered as (
    insert into public.agent_deliveries as d (message_id, agent_id, from_agent, rank, status, token, due_at, expires_at, finished_at, is_unknown)
    select m.id, receiver.agent_id, m.from_agent, case when m.priority in ('urgent', 'high') then 0 else 1 end,
      case when p_log ? m.id::text then 'done' when p_delays ? m.id::text then 'scheduled' else 'ready' end,
      case when not p_delays ? m.id::text and receiver.lease_token = (p_stamps ->> receiver.agent_id)::bigint
        and (select true from public.agent_deliveries w -- not exists: it would collect what waits for everybody, and hash it
          where w.agent_id = receiver.agent_id and w.token is null and w.status = 'ready' limit 1) is null
        then receiver.lease_token end,
      p_now + troupe.ms((p_delays ->> m.id::text)::numeric),
      case when receiver.lease_token is null then coalesce(m.expires_at, p_now + troupe.unknown_address_patience()) else m.expires_at end,
      case when p_log ? m.id::text then p_now end,
      receiver.lease_token is null
    from unnest(p_ids) with ordinality as told(id, place)
    join public.agent_messages m on m.id = told.id
    cross join lateral (
      select m.to_agent as agent_id, l.lease_token
        from (select) as direct left join public.agent_leases l on l.agent_id = m.to_agent and l.retired_at is null
        where m.to_agent is not null
          and (l.agent_id is not null or not exists (select from public.agent_status s where s.agent_id = m.to_agent
            and not exists (select from public.agent_leases gone where gone.agent_id = m.to_agent)))
      union all
      select l.agent_id, l.lease_token from public.agent_leases l
        where m.to_agent is null and l.retired_at is null and l.agent_id <> m.from_agent
    ) receiver
    where m.reply_to is null -- a reply goes to whoever waits for it, not into a mailbox
    order by told.place, receiver.agent_id
    on conflict do nothing
    returning d.*
  )
  select coalesce(jsonb_object_agg(message_id, given), '{}') into v_deliveries from (
    select d.message_id, jsonb_agg(troupe.describe_delivery(d, p_stamps) order by d.seq) as given
    from delivered d group by d.message_id) per_message;
  return v_deliveries;
end $$;

-- What an insert by an agent of the original system, or by hand, needs as well.
create or replace function troupe.deliver_foreign() returns trigger
language plpgsql set search_path = '' as $$
begin
  perform troupe.deliver(array[new.id], '{}', '{}', '{}', troupe.now());
  return null;
end $$;
drop trigger if exists deliver_foreign on public.agent_messages;
create trigger deliver_foreign after insert on public.agent_messages
  for each row when (new.headers is null)
  execute function troupe.deliver_foreign();

-- Inserts messages and their deliveries. Each element: {id?, from_agent, to_agent?: null is a broadcast, type, body?: JSON text,
-- content?, message_type?, priority?, expires_in_ms?, delay_ms?, reply_to?, correlation_id?, send_key?, headers?, log?: true}.
-- Give ids: only then can a repeat be told. log: the receiver keeps its mailbox in memory only (durability: async), the row
-- is a record. Answers in order:
--   {id, verdict: ok, deliveries: [{agent_id, seq, status, stamped, unknown?: true}]}; none for a reply or an agent outside Troupe
--   {id: of the first one, verdict: repeat, deliveries: as they are now, reply?: JSON text, status?: of its delivery, reason?: why
--    it died}; whoever did not get the first answer puts what is stamped into the mailbox, unless that id is there already
-- Raises TRFUL when a direct receiver has as many waiting as its mailbox_limit. An agent's own messages always go in: it would
-- wait for itself.
create or replace function troupe.insert_messages(p_messages jsonb, p_stamps jsonb, p_now timestamptz) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_batch jsonb;
  v_new uuid[];
  v_delays jsonb;
  v_log jsonb;
  v_deliveries jsonb;
  v_full text;
begin
  select jsonb_agg(e order by place),
    coalesce(jsonb_object_agg(e ->> 'id', e -> 'delay_ms') filter (where (e ->> 'delay_ms')::numeric > 0), '{}'),
    coalesce(jsonb_object_agg(e ->> 'id', true) filter (where (e ->> 'log')::boolean), '{}')
    into v_batch, v_delays, v_log
    from (
      select e || jsonb_build_object('id', coalesce((e ->> 'id')::uuid, gen_random_uuid())) as e, place
      from jsonb_array_elements(p_messages) with ordinality as t(e, place)
    ) named;
  -- One rule for every body, whoever gets it: what jsonb refuses (NUL, lone surrogates, no JSON at all) is refused.
  perform (e ->> 'body')::jsonb from jsonb_array_elements(v_batch) e;

  with told as (
    insert into public.agent_messages (id, message_type, from_agent, to_agent, subject, content, payload, body, priority, read, headers,
      reply_to, correlation_id, send_key, expires_at, created_at)
    select (e ->> 'id')::uuid, coalesce(e ->> 'message_type', case when e ->> 'reply_to' is null then 'command' else 'result' end),
      e ->> 'from_agent', e ->> 'to_agent', e ->> 'type', e ->> 'content',
      case when owner.is_ours then null else coalesce((e ->> 'body')::jsonb, 'null') end, -- only agents outside Troupe read it
      coalesce(e ->> 'body', 'null'), coalesce(e ->> 'priority', 'normal'), owner.is_ours,
      coalesce(nullif(e -> 'headers', 'null'), '{}'), (e ->> 'reply_to')::uuid, (e ->> 'correlation_id')::uuid, e ->> 'send_key',
      p_now + troupe.ms((e ->> 'expires_in_ms')::numeric), p_now
    from jsonb_array_elements(v_batch) with ordinality as t(e, place)
    cross join lateral (
      select e ->> 'reply_to' is not null
        or exists (select from public.agent_leases l where l.agent_id = e ->> 'to_agent' and l.retired_at is null) as is_ours
    ) owner
    order by place
    on conflict do nothing returning id
  )
  select coalesce(array_agg(id), '{}') into v_new from told;

  -- After the insert: a repeat takes no room.
  select l.agent_id into v_full from public.agent_leases l
    where l.mailbox_limit is not null
      and l.agent_id in (select e ->> 'to_agent' from jsonb_array_elements(v_batch) e
        where (e ->> 'id')::uuid = any (v_new) and e ->> 'from_agent' <> e ->> 'to_agent' and e ->> 'reply_to' is null
          and not v_log ? (e ->> 'id'))
      and (select count(*) from (select from public.agent_deliveries d
        where d.agent_id = l.agent_id and d.status = 'ready' limit l.mailbox_limit) waiting) >= l.mailbox_limit
    order by l.agent_id limit 1;
  if v_full is not null then
    perform troupe.refuse('TRFUL', format('MAILBOX_FULL: %s takes no more messages', v_full));
  end if;

  select troupe.deliver(array_agg((e ->> 'id')::uuid order by place), v_delays, p_stamps, v_log, p_now) into v_deliveries
    from jsonb_array_elements(v_batch) with ordinality as t(e, place) where (e ->> 'id')::uuid = any (v_new);

  return (
    select jsonb_agg(case
      when (e ->> 'id')::uuid = any (v_new) and nth = 1 then
        jsonb_build_object('id', e ->> 'id', 'verdict', 'ok', 'deliveries', coalesce(v_deliveries -> (e ->> 'id'), '[]'))
      else troupe.known_message(e, p_stamps) end order by place)
    from (
      select e, place, row_number() over (partition by e ->> 'id' order by place) as nth
      from jsonb_array_elements(v_batch) with ordinality as t(e, place)
    ) told);
end $$;

-- The message that an element repeats, where it is now and the reply it got.
create or replace function troupe.known_message(p_message jsonb, p_stamps jsonb) returns jsonb
language sql stable set search_path = '' as $$
  select '{"verdict": "repeat"}' || coalesce((
    select jsonb_strip_nulls(jsonb_build_object('id', m.id, 'reply', r.body, 'status', d.status, 'reason', d.dead_reason))
      || jsonb_build_object('deliveries', coalesce((
        select jsonb_agg(troupe.describe_delivery(every, p_stamps) order by every.seq)
        from public.agent_deliveries every where every.message_id = m.id), '[]'))
    from (
      (select known.id from public.agent_messages known where known.id = (p_message ->> 'id')::uuid)
      union all
      (select known.id from public.agent_messages known
        where known.from_agent = p_message ->> 'from_agent' and known.send_key = p_message ->> 'send_key')
      union all
      (select known.id from public.agent_messages known where known.reply_to = (p_message ->> 'reply_to')::uuid)
      limit 1
    ) first
    join public.agent_messages m on m.id = first.id
    left join public.agent_messages r on r.reply_to = m.id
    left join public.agent_deliveries d on d.message_id = m.id and d.agent_id = m.to_agent), '{}')
$$;

-- Messages that do not wait for a turn's commit: asks, now-sends, and those from outside. p_batch: {messages: [as
-- insert_messages, each with lease_token? of its sender], stamps?: {agent: lease token of the mailbox in memory}}. Each stands
-- alone: a wrong one is {id, verdict: failed, code: MAILBOX_FULL or an SQLSTATE, error}, one whose sender lost its lease
-- {id, verdict: stale}, and the others go out.
create or replace function public.send_messages(p_batch jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_now timestamptz := troupe.now();
  v_stamps jsonb := coalesce(nullif(p_batch -> 'stamps', 'null'), '{}');
  v_held jsonb;
  v_message jsonb;
  v_answers jsonb := '[]';
begin
  v_held := troupe.lock_leases(troupe.stamped_agents(v_stamps)
    || array(select m ->> 'from_agent' from jsonb_array_elements(p_batch -> 'messages') m where m ? 'lease_token'));
  if not exists (
    select from jsonb_array_elements(p_batch -> 'messages') m
    where m ? 'lease_token' and not troupe.is_holder(v_held, m ->> 'from_agent', m -> 'lease_token')
  ) then
    begin -- all at once is the ordinary case; one by one only when something is wrong with one
      return coalesce(troupe.insert_messages(p_batch -> 'messages', v_stamps, v_now), '[]');
    exception when data_exception or integrity_constraint_violation or program_limit_exceeded or sqlstate 'TRFUL' then
      null;
    end;
  end if;
  for v_message in select m from jsonb_array_elements(p_batch -> 'messages') with ordinality as t(m, place) order by place loop
    if v_message ? 'lease_token' and not troupe.is_holder(v_held, v_message ->> 'from_agent', v_message -> 'lease_token') then
      v_answers := v_answers || jsonb_build_array(jsonb_build_object('id', v_message ->> 'id', 'verdict', 'stale'));
    else
      begin
        v_answers := v_answers || troupe.insert_messages(jsonb_build_array(v_message), v_stamps, v_now);
      exception when data_exception or integrity_constraint_violation or program_limit_exceeded or sqlstate 'TRFUL' then
        v_answers := v_answers || jsonb_build_array(jsonb_build_object('id', v_message ->> 'id', 'verdict', 'failed',
          'code', case sqlstate when 'TRFUL' then 'MAILBOX_FULL' else sqlstate end, 'error', sqlerrm));
      end;
    end if;
  end loop;
  return v_answers;
end $$;

-- Turns due timers and due delayed messages of one agent into ready ones. A timer that missed ticks fires once, and not
-- while its last message still waits: a slow actor would collect them without end.
create or replace function troupe.wake(p_agent text, p_now timestamptz) returns void
language plpgsql set search_path = '' as $$
declare
  v_timer public.agent_timers;
  v_message uuid;
begin
  for v_timer in
    select * from public.agent_timers t where t.agent_id = p_agent and t.due_at <= p_now order by t.due_at limit 100 for update skip locked
  loop
    v_message := null;
    if not exists (select from public.agent_deliveries d
      where d.message_id = v_timer.message_id and d.agent_id = p_agent and d.finished_at is null)
    then
      v_message := gen_random_uuid();
      perform troupe.insert_messages(jsonb_build_array(jsonb_build_object('id', v_message, 'from_agent', p_agent, 'to_agent', p_agent,
        'type', v_timer.type, 'body', v_timer.body, 'headers', jsonb_build_object('timer', v_timer.name))), '{}', p_now);
    end if;
    if v_timer.every_ms is null then
      delete from public.agent_timers t where t.agent_id = p_agent and t.name = v_timer.name;
    else
      update public.agent_timers t set fired = t.fired + case when v_message is null then 0 else 1 end,
        message_id = coalesce(v_message, t.message_id),
        due_at = t.due_at + troupe.ms(t.every_ms * (1 + floor(extract(epoch from p_now - t.due_at) * 1000 / t.every_ms)))
        where t.agent_id = p_agent and t.name = v_timer.name;
    end if;
  end loop;
  for v_message in
    select d.message_id from public.agent_deliveries d
    where d.agent_id = p_agent and d.status = 'scheduled' and d.due_at <= p_now
    order by d.due_at, d.seq limit 500 for update skip locked
  loop -- one by one: they get their place in the mailbox in the order in which they were due
    update public.agent_deliveries d set status = 'ready', seq = nextval('troupe.delivery_seq')
      where d.message_id = v_message and d.agent_id = p_agent;
  end loop;
end $$;

-- Moves up to p_limit waiting messages, together about p_bytes but at least one, into the memory of the incarnation with this
-- token. A quarter of the room is kept for ordinary messages, so that express ones cannot starve them.
-- p_have: ids that are in its memory. What is stamped for it and not among them is given again: that answer was lost.
-- Ordered by token, too: that it is null does not tell the planner that the index is in the order of seq.
create or replace function troupe.take(p_agent text, p_token bigint, p_limit integer, p_bytes bigint, p_have jsonb, p_now timestamptz)
returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_ids uuid[] := '{}';
  v_room integer := p_limit;
  v_messages jsonb;
begin
  perform troupe.wake(p_agent, p_now);
  if jsonb_typeof(p_have) = 'array' then
    v_ids := array(
      select d.message_id from public.agent_deliveries d
      where d.agent_id = p_agent and d.token = p_token and d.status = 'ready' and not p_have ? d.message_id::text
      order by d.rank, d.seq limit p_limit);
    v_room := p_limit - cardinality(v_ids);
  end if;
  v_ids := v_ids || array(
    select d.message_id from public.agent_deliveries d
    where d.agent_id = p_agent and d.token is null and d.rank = 0 and d.status = 'ready'
    order by d.token, d.seq limit least(v_room, greatest(1, v_room - v_room / 4)) for update skip locked);
  v_ids := v_ids || array(
    select d.message_id from public.agent_deliveries d
    where d.agent_id = p_agent and d.token is null and d.rank = 1 and d.status = 'ready'
    order by d.token, d.seq limit p_limit - cardinality(v_ids) for update skip locked);
  v_ids := array(
    select sized.id from (
      select waiting.id, waiting.place, sum(size.bytes) over (order by waiting.place) - size.bytes as before
      from unnest(v_ids) with ordinality as waiting(id, place)
      join public.agent_messages m on m.id = waiting.id
      cross join lateral (select coalesce(octet_length(m.body), pg_column_size(m.payload), 0) as bytes) size
    ) sized where sized.before < p_bytes order by sized.place);
  with taken as (
    update public.agent_deliveries d set
      status = case when due.expires_at <= p_now then 'dead' else 'ready' end,
      dead_reason = case when due.expires_at <= p_now then 'expired' end,
      finished_at = case when due.expires_at <= p_now then p_now end,
      token = p_token, is_unknown = false, expires_at = due.expires_at
      from ( -- is_unknown: it was sent while this agent registered, and need not wait for that any more
        select m.id, case when own.is_unknown then m.expires_at else own.expires_at end as expires_at
        from public.agent_deliveries own join public.agent_messages m on m.id = own.message_id
        where own.message_id = any (v_ids) and own.agent_id = p_agent
      ) due
      where d.message_id = due.id and d.agent_id = p_agent
      returning d.*
  )
  select coalesce(jsonb_agg(jsonb_build_object('id', m.id, 'seq', t.seq, 'from_agent', m.from_agent, 'to_agent', m.to_agent,
      'type', m.subject, 'message_type', m.message_type, 'content', m.content, 'body', coalesce(m.body, m.payload::text, 'null'),
      'priority', m.priority, 'headers', m.headers, 'correlation_id', m.correlation_id, 'created_at', m.created_at,
      'attempts', t.attempts, 'interruptions', t.interruptions,
      'retry_in_ms', ceil(extract(epoch from t.retry_at - p_now) * 1000),
      'expires_in_ms', ceil(extract(epoch from t.expires_at - p_now) * 1000)) order by t.rank, t.seq), '[]')
    into v_messages
    from taken t join public.agent_messages m on m.id = t.message_id where t.status = 'ready';
  return jsonb_build_object('agent_id', p_agent, 'verdict', 'ok', 'messages', v_messages,
    'more', exists (select from public.agent_deliveries d where d.agent_id = p_agent and d.token is null and d.status = 'ready'),
    'next_in_ms', (
      select ceil(extract(epoch from min(due_at) - p_now) * 1000) from (
        (select t.due_at from public.agent_timers t where t.agent_id = p_agent order by t.due_at limit 1)
        union all
        (select d.due_at from public.agent_deliveries d where d.agent_id = p_agent and d.status = 'scheduled' order by d.due_at limit 1)
      ) due));
end $$;

-- One answer stays below what a client can read and jsonb can hold (256 MB).
create or replace function troupe.answer_bytes() returns bigint
language sql immutable set search_path = '' as $$ select 33554432::bigint $$;

-- Takes waiting messages for several agents. Each element: {agent_id, lease_token, limit?: 100, have?: [ids]}. Answers in order:
-- {agent_id, verdict: ok | stale, messages: [...], more: whether others wait, next_in_ms: until the next timer or delayed one}.
-- What was given once is not given again, except by have: the ids that the incarnation holds or handles, said after an answer
-- may have been lost and now and then while idle; everything else that is stamped for it comes again, as part of the limit.
-- A repeated request must carry the same have, and is best sent in the lane of commit_turns, so that puts and refills have one order.
create or replace function public.take_messages(p_batch jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_now timestamptz := troupe.now();
  v_held jsonb := troupe.lock_leases(array(select e ->> 'agent_id' from jsonb_array_elements(p_batch) e));
  v_bytes bigint := troupe.answer_bytes() / greatest(jsonb_array_length(p_batch), 1);
  v_one jsonb;
  v_answers jsonb[] := '{}';
begin
  for v_one in select e from jsonb_array_elements(p_batch) with ordinality as t(e, place) order by place loop
    v_answers := v_answers || case
      when troupe.is_holder(v_held, v_one ->> 'agent_id', v_one -> 'lease_token') then
        troupe.take(v_one ->> 'agent_id', (v_one ->> 'lease_token')::bigint,
          least(greatest(coalesce((v_one ->> 'limit')::integer, 100), 1), 1000), v_bytes, v_one -> 'have', v_now)
      else jsonb_build_object('agent_id', v_one ->> 'agent_id', 'verdict', 'stale', 'messages', '[]'::jsonb) end;
  end loop;
  return to_jsonb(v_answers);
end $$;

-- What became of asks: [message id, ...] gives in order {id, status: waiting | replied | done | dead | unknown, reply?, reason?}.
-- A reply that would make the answer too large is left for the next call: its ask still waits.
create or replace function public.read_replies(p_ids uuid[]) returns jsonb
language sql stable set search_path = '' as $$
  select coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object('id', asked.id,
    'status', case when asked.before >= troupe.answer_bytes() and asked.bytes > 0 then 'waiting'
      when asked.reply_id is not null then 'replied' when asked.message_id is null then 'unknown'
      when asked.delivery in ('dead', 'dropped') then 'dead' when asked.delivery = 'done' then 'done' else 'waiting' end,
    'reply', case when asked.before < troupe.answer_bytes() then asked.reply end, 'reason', asked.dead_reason)) order by asked.place), '[]')
  from (
    select wanted.id, wanted.place, m.id as message_id, r.id as reply_id, r.body as reply, d.status as delivery, d.dead_reason,
      coalesce(octet_length(r.body), 0) as bytes,
      sum(coalesce(octet_length(r.body), 0)) over (order by wanted.place) - coalesce(octet_length(r.body), 0) as before
    from unnest(p_ids) with ordinality as wanted(id, place)
    left join public.agent_messages m on m.id = wanted.id
    left join public.agent_messages r on r.reply_to = wanted.id
    left join public.agent_deliveries d on d.message_id = wanted.id and d.agent_id = m.to_agent
  ) asked
$$;

-- Dead letters --------------------------------------------------------------------------------------------------------------

-- Gives dead letters another life, behind what waits already. Each element: {id: message, agent_id}.
create or replace function public.replay_messages(p_batch jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_now timestamptz := troupe.now();
  v_one record;
  v_unknown boolean;
  v_answers jsonb := '[]';
begin
  for v_one in
    select (e ->> 'id')::uuid as id, e ->> 'agent_id' as agent_id from jsonb_array_elements(p_batch) with ordinality as t(e, place) order by place
  loop
    v_unknown := not exists (select from public.agent_leases l where l.agent_id = v_one.agent_id and l.retired_at is null);
    update public.agent_deliveries d set status = 'ready', token = null, attempts = 0, interruptions = 0, finished_at = null,
      dead_reason = null, retry_at = null, seq = nextval('troupe.delivery_seq'), is_unknown = v_unknown,
      -- what died of age would die again at once
      expires_at = case when v_unknown then v_now + troupe.unknown_address_patience() end
      where d.message_id = v_one.id and d.agent_id = v_one.agent_id and d.status in ('dead', 'dropped');
    v_answers := v_answers || jsonb_build_array(jsonb_build_object('id', v_one.id, 'agent_id', v_one.agent_id, 'verdict', case
      when found then 'ok'
      when exists (select from public.agent_deliveries d where d.message_id = v_one.id and d.agent_id = v_one.agent_id) then 'stale'
      else 'not_found' end));
  end loop;
  return v_answers;
end $$;

-- Puts dead letters away; replay_messages brings them back while they are kept. Each element: {id: message, agent_id}.
create or replace function public.drop_messages(p_batch jsonb) returns jsonb
language sql set search_path = '' as $$
  with dropped as (
    update public.agent_deliveries d set status = 'dropped'
      from jsonb_array_elements(p_batch) e
      where d.message_id = (e ->> 'id')::uuid and d.agent_id = e ->> 'agent_id' and d.status = 'dead'
      returning d.message_id, d.agent_id
  )
  select coalesce(jsonb_agg(jsonb_build_object('id', e ->> 'id', 'agent_id', e ->> 'agent_id', 'verdict', case
    when w.message_id is not null then 'ok' when d.status = 'dropped' then 'repeat' when d.status is not null then 'stale' else 'not_found' end)
    order by place), '[]')
  from jsonb_array_elements(p_batch) with ordinality as t(e, place)
  left join dropped w on w.message_id = (e ->> 'id')::uuid and w.agent_id = e ->> 'agent_id'
  left join public.agent_deliveries d on d.message_id = (e ->> 'id')::uuid and d.agent_id = e ->> 'agent_id'
$$;

-- The original call. Every agent registered now gets it once, offline or not.
create or replace function public.broadcast_message(p_from_agent text, p_subject text, p_content text, p_payload jsonb default '{}',
  p_priority text default 'normal') returns uuid
language sql set search_path = '' as $$
  insert into public.agent_messages (message_type, from_agent, subject, content, payload, priority, created_at)
  values ('alert', p_from_agent, p_subject, p_content, coalesce(p_payload, '{}'), coalesce(p_priority, 'normal'), troupe.now())
  returning id
$$;

-- Announcements that the database makes itself ---------------------------------------------------------------------------------

create or replace function troupe.announce_config() returns trigger
language plpgsql set search_path = '' as $$
begin
  perform public.broadcast_message(coalesce(new.updated_by, 'system_config'), 'System Config Changed',
    format('%s is now %s', new.key, new.value),
    jsonb_build_object('key', new.key, 'value', new.value, 'previous', case when tg_op = 'UPDATE' then old.value end), 'high');
  return null;
end $$;
drop trigger if exists announce_config on public.system_config;
create trigger announce_config after update on public.system_config
  for each row when (old.value is distinct from new.value)
  execute function troupe.announce_config();
drop trigger if exists announce_new_config on public.system_config;
create trigger announce_new_config after insert on public.system_config
  for each row execute function troupe.announce_config();

create or replace function troupe.stamp_config() returns trigger
language plpgsql set search_path = '' as $$
begin
  new.updated_at := troupe.now();
  return new;
end $$;
drop trigger if exists stamp_config on public.system_config;
create trigger stamp_config before update on public.system_config
  for each row when (old.value is distinct from new.value)
  execute function troupe.stamp_config();

-- Once per change, whoever makes it: the original agents write agent_status themselves.
create or replace function troupe.announce_trouble() returns trigger
language plpgsql set search_path = '' as $$
begin
  perform public.broadcast_message(new.agent_id, 'Agent ' || initcap(new.status),
    coalesce(new.blocked_reason, format('%s is in state %s', new.agent_id, new.status)),
    jsonb_build_object('agent_id', new.agent_id, 'status', new.status, 'reason', new.blocked_reason), 'high');
  return null;
end $$;
drop trigger if exists announce_trouble on public.agent_status;
create trigger announce_trouble after update of status on public.agent_status
  for each row when (old.status is distinct from new.status and new.status in ('blocked', 'error'))
  execute function troupe.announce_trouble();
drop trigger if exists announce_first_trouble on public.agent_status;
create trigger announce_first_trouble after insert on public.agent_status
  for each row when (new.status in ('blocked', 'error'))
  execute function troupe.announce_trouble();

do $$ begin perform
  troupe.seal_functions('public', array['send_messages', 'take_messages', 'read_replies', 'replay_messages', 'drop_messages', 'broadcast_message']),
  troupe.seal_functions('troupe'),
  troupe.pin_plans(array['public.send_messages', 'public.take_messages', 'public.read_replies', 'public.replay_messages',
    'public.drop_messages', 'troupe.deliver_foreign']::regproc[]); end $$;

-- 20261120000500_turns ===========================================================================================

-- Turns: one message or job handled by one actor is one commit. Locks are taken in one order everywhere: agent_leases
-- (sorted), deliveries and jobs, everything else, agent_status last.

-- Functions that an actor may run inside its turn (db.write) or at once (db.call). Each takes one jsonb and returns jsonb,
-- and refuses by an exception. Later teams add theirs by migration.
create table if not exists troupe.callable_functions (name text primary key);
grant select on troupe.callable_functions to service_role;

create or replace function troupe.call_function(p_name text, p_args jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_result jsonb;
begin
  if not exists (select from troupe.callable_functions f where f.name = p_name) then
    perform troupe.refuse('PT403', format('%s is not a function that actors may call', p_name), 'see troupe.callable_functions');
  end if;
  execute format('select public.%I($1)', p_name) into v_result using coalesce(p_args, '{}');
  return v_result;
end $$;

-- What a turn did to the delivery it handled, by compare and set on status, token and counts: this is what makes a turn's
-- effects exist once. Gives ok, repeat or stale.
create or replace function troupe.settle_delivery(p_turn jsonb, p_now timestamptz) returns text
language plpgsql set search_path = '' as $$
declare
  v_message uuid := (p_turn -> 'message' ->> 'id')::uuid;
  v_attempts integer := coalesce((p_turn -> 'message' ->> 'attempts')::integer, 0);
  v_interruptions integer := (p_turn -> 'message' ->> 'interruptions')::integer;
  v_token bigint := (p_turn ->> 'lease_token')::bigint;
  v_outcome text := coalesce(p_turn ->> 'outcome', 'done');
  -- what the counts are afterwards
  v_tried integer := v_attempts + case
    when v_outcome = 'started' then 1
    when v_outcome in ('retry', 'dead') and (p_turn -> 'message' ->> 'counted')::boolean is not true then 1
    else 0 end;
  v_broken integer := v_interruptions + case v_outcome when 'interrupted' then 1 else 0 end;
  v_status text := case
    when v_outcome = 'interrupted' and v_broken >= troupe.max_interruptions() then 'dead'
    when v_outcome in ('retry', 'started', 'interrupted') then 'ready'
    else v_outcome end;
  v_found public.agent_deliveries;
begin
  if v_outcome = 'interrupted' and v_interruptions is null then
    perform troupe.refuse('PT400', 'commit_turns: message.interruptions is missing', 'interrupted is counted by compare and set');
  end if;
  update public.agent_deliveries d set
    status = v_status, attempts = v_tried, interruptions = coalesce(v_broken, d.interruptions),
    retry_at = case v_outcome when 'retry' then p_now + troupe.ms(coalesce((p_turn ->> 'retry_in_ms')::numeric, 0)) end,
    finished_at = case when v_status <> 'ready' then p_now end,
    dead_reason = case v_outcome when 'dead' then coalesce(p_turn ->> 'reason', 'failed')
      when 'interrupted' then case v_status when 'dead' then 'interrupted' end end,
    error = coalesce(left(p_turn ->> 'error', 10000), d.error)
    -- That is: ready. Said so, the planner would look for it among all that is ready in the agent's mailbox.
    where d.message_id = v_message and d.agent_id = p_turn ->> 'agent_id' and d.finished_at is null and d.status <> 'scheduled'
      and d.token = v_token and d.attempts = v_attempts and d.interruptions = coalesce(v_interruptions, d.interruptions);
  if found then
    return 'ok';
  end if;
  select * into v_found from public.agent_deliveries d where d.message_id = v_message and d.agent_id = p_turn ->> 'agent_id';
  return case
    when v_found.token = v_token and v_found.status = v_status and v_found.attempts = v_tried
      and v_found.interruptions = coalesce(v_broken, v_found.interruptions) then 'repeat'
    else 'stale' end;
end $$;

-- Deaths of the process or of a shared thread that a message survives, if it was not alone there, before it is dead itself.
create or replace function troupe.max_interruptions() returns integer
language sql immutable set search_path = '' as $$ select 10 $$;

-- Saves an actor's state by compare and set on its version. Gives ok, repeat or stale.
create or replace function troupe.save_state(p_agent text, p_token bigint, p_state jsonb, p_now timestamptz) returns text
language plpgsql set search_path = '' as $$
declare
  v_version bigint := (p_state ->> 'version')::bigint; -- the version this one was made from; 0: there was none
  v_found public.agent_state;
begin
  if v_version is null or p_state ->> 'value' is null then
    perform troupe.refuse('PT400', format('commit_turns: the state of %s has no version or value', p_agent), 'version 0 is the first');
  end if;
  perform (p_state ->> 'value')::jsonb; -- what is not JSON would only be noticed at the next start
  if v_version = 0 then
    insert into public.agent_state (agent_id, version, state, token, updated_at)
      values (p_agent, 1, p_state ->> 'value', p_token, p_now) on conflict do nothing;
  else
    update public.agent_state s set version = v_version + 1, state = p_state ->> 'value', token = p_token, updated_at = p_now
      where s.agent_id = p_agent and s.version = v_version;
  end if;
  if found then
    return 'ok';
  end if;
  select * into v_found from public.agent_state s where s.agent_id = p_agent;
  return case when v_found.version = v_version + 1 and v_found.token = p_token and v_found.state = p_state ->> 'value' then 'repeat' else 'stale' end;
end $$;

-- Sets and clears timers. Each: {name, type, body?: JSON text, every_ms?, due_in_ms} or {name, cancel: true}. Setting the same
-- periodic timer again, as every init does, keeps its phase.
create or replace function troupe.set_timers(p_agent text, p_timers jsonb, p_now timestamptz) returns void
language plpgsql set search_path = '' as $$
declare
  v_timer jsonb;
begin
  for v_timer in select t from jsonb_array_elements(p_timers) t loop
    if (v_timer ->> 'cancel')::boolean then
      delete from public.agent_timers t where t.agent_id = p_agent and t.name = v_timer ->> 'name';
    else
      perform (v_timer ->> 'body')::jsonb;
      insert into public.agent_timers as known (agent_id, name, type, body, every_ms, due_at)
        values (p_agent, v_timer ->> 'name', v_timer ->> 'type', coalesce(v_timer ->> 'body', 'null'), (v_timer ->> 'every_ms')::bigint,
          p_now + troupe.ms(coalesce((v_timer ->> 'due_in_ms')::numeric, (v_timer ->> 'every_ms')::numeric, 0)))
        on conflict (agent_id, name) do update set type = excluded.type, body = excluded.body, every_ms = excluded.every_ms,
          due_at = case when known.every_ms = excluded.every_ms then known.due_at else excluded.due_at end;
    end if;
  end loop;
end $$;

-- Writes one turn, or raises. The caller has checked the lease and holds it.
create or replace function troupe.apply_turn(p_turn jsonb, p_stamps jsonb, p_now timestamptz) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_agent text := p_turn ->> 'agent_id';
  v_token bigint := (p_turn ->> 'lease_token')::bigint;
  v_message uuid := (p_turn -> 'message' ->> 'id')::uuid;
  v_job uuid := (p_turn -> 'job' ->> 'id')::uuid;
  v_turn uuid := (p_turn ->> 'turn_id')::uuid;
  v_outcome text := coalesce(p_turn ->> 'outcome', 'done');
  v_verdict text := 'ok';
  v_messages jsonb := coalesce(p_turn -> 'messages', '[]');
  v_told jsonb := '[]';
  v_jobs jsonb := '[]';
  v_results jsonb := '[]';
  v_write jsonb;
begin
  if v_outcome not in ('done', 'retry', 'dead', 'released', 'started', 'interrupted') or (v_outcome = 'released' and v_job is null)
    or (v_outcome in ('started', 'interrupted') and v_message is null)
  then
    perform troupe.refuse('PT400', format('commit_turns: outcome %L', v_outcome),
      'done, retry, dead; released for a job; started, interrupted for a message');
  end if;
  if v_message is not null then
    v_verdict := troupe.settle_delivery(p_turn, p_now);
  elsif v_job is not null then
    v_verdict := troupe.settle_jobs(jsonb_build_array((p_turn -> 'job') || jsonb_build_object('job_id', v_job,
      'outcome', case v_outcome when 'done' then 'completed' when 'released' then 'released' else 'failed' end,
      'error', p_turn ->> 'error', 'retryable', v_outcome <> 'dead', 'retry_in_ms', p_turn -> 'retry_in_ms')), p_now) -> 0 ->> 'verdict';
  elsif v_turn is not null then
    insert into public.agent_steps (agent_id, message_id, key, status, token, started_at, finished_at)
      values (v_agent, v_turn, 'turn', 'finished', v_token, p_now, p_now) on conflict do nothing;
    v_verdict := case when found then 'ok' else 'repeat' end;
  end if;
  if v_verdict in ('stale', 'not_found') then
    return jsonb_build_object('verdict', 'stale', 'reason', case when v_message is null then 'job' else 'delivery' end);
  elsif v_outcome <> 'done' then
    return jsonb_build_object('verdict', v_verdict);
  end if;

  if p_turn ? 'reply' then
    v_messages := v_messages || jsonb_build_array(jsonb_build_object('id', p_turn -> 'reply' ->> 'id', 'to_agent', p_turn -> 'reply' ->> 'to_agent',
      'type', 'reply', 'body', p_turn -> 'reply' ->> 'body', 'reply_to', v_message));
  end if;
  select coalesce(jsonb_agg(m || jsonb_build_object('from_agent', v_agent) order by place), '[]') into v_messages
    from jsonb_array_elements(v_messages) with ordinality as t(m, place);
  if v_verdict = 'ok' and p_turn ? 'state' then
    v_verdict := troupe.save_state(v_agent, v_token, p_turn -> 'state', p_now);
    if v_verdict = 'stale' or (v_verdict = 'repeat' and coalesce(v_message, v_job, v_turn) is not null) then
      perform troupe.refuse('TRSTL', format('the state of %s has another version than %s', v_agent, p_turn -> 'state' ->> 'version'));
    end if; -- else an init, told apart by its state alone
  end if;
  if v_verdict = 'repeat' then -- whoever missed the first answer still has to hand these to their mailboxes
    return jsonb_build_object('verdict', 'repeat', 'messages', (
      select coalesce(jsonb_agg(troupe.known_message(m, p_stamps) order by place), '[]')
      from jsonb_array_elements(v_messages) with ordinality as t(m, place)));
  end if;

  if v_messages <> '[]' then
    v_told := troupe.insert_messages(v_messages, p_stamps, p_now);
  end if;
  if p_turn ? 'jobs' then
    v_jobs := troupe.insert_jobs(p_turn -> 'jobs', v_agent, p_now);
  end if;
  if p_turn ? 'timers' then
    perform troupe.set_timers(v_agent, p_turn -> 'timers', p_now);
  end if;
  for v_write in select w from jsonb_array_elements(coalesce(p_turn -> 'writes', '[]')) with ordinality as t(w, place) order by place loop
    v_results := v_results || jsonb_build_array(troupe.call_function(v_write ->> 'fn', v_write -> 'args'));
  end loop;
  if (p_turn ->> 'steps')::boolean then -- the turn cannot be repeated any more, so nobody will ask for its steps
    delete from public.agent_steps s
      where s.agent_id = case when v_message is null then '' else v_agent end and s.message_id = coalesce(v_message, v_job);
  end if;
  return jsonb_build_object('verdict', 'ok', 'messages', v_told, 'jobs', v_jobs, 'writes', v_results);
end $$;

-- Commits turns. p_batch: {turns, stamps?: {agent: lease token of the mailbox in memory}, refills?: as take_messages, awaiting?:
-- ids of asks}. Each turn:
--   {agent_id, lease_token, message: {id, attempts, interruptions?, counted?} | job: {id, lease_token, result?} | turn_id: what makes
--    a repeat known where there is neither (a message that was only in memory, an init without state), outcome?: done | retry | dead |
--    released | started | interrupted, error?, reason?, retry_in_ms?, state?: {version: that it was made from, value: JSON text},
--    reply?: {id, to_agent, body}, messages?: as insert_messages, jobs?: as create_jobs, timers?, writes?: [{fn, args}], steps?: true
--    when it saved any}
-- Outcomes of a message: retry and dead count an attempt, unless counted says that started has counted it already. started is
-- written before a suspect message runs alone, so that the attempt survives what it may do to the process. interrupted counts an
-- interruption, and needs message.interruptions: the thread died, but perhaps of another's message.
-- Answer: {turns: [{verdict, ...}], refills, replies}, each in order. A turn is all or nothing, with its own verdict:
--   ok      with what became of its messages, jobs and writes
--   repeat  it was committed before; with its messages as they are now, if they came with ids
--   stale   nothing was written; reason: lease (another incarnation has the agent), delivery, job or state (it belongs to
--           somebody else), follows (an earlier turn of the agent in this batch did not stand, and this one was built on it)
--   failed  its data was refused: code (MAILBOX_FULL or an SQLSTATE) and error say why
-- Only then may its messages be handed to their mailboxes. Deadlocks, serialisation failures and everything that is not about
-- one turn's data fail the call: repeat it as it is.
create or replace function public.commit_turns(p_batch jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_now timestamptz := troupe.now();
  v_stamps jsonb := coalesce(nullif(p_batch -> 'stamps', 'null'), '{}');
  v_refills jsonb := coalesce(nullif(p_batch -> 'refills', 'null'), '[]');
  v_awaiting uuid[] := array(select (a #>> '{}')::uuid from jsonb_array_elements(nullif(p_batch -> 'awaiting', 'null')) a);
  v_held jsonb;
  v_fallen jsonb := '{}'; -- agents of which a turn did not stand
  v_turn jsonb;
  v_agent text;
  v_verdict jsonb;
  v_verdicts jsonb[] := '{}';
begin
  v_held := troupe.lock_leases(troupe.stamped_agents(v_stamps)
    || array(select t ->> 'agent_id' from jsonb_array_elements(p_batch -> 'turns') t)
    || array(select r ->> 'agent_id' from jsonb_array_elements(v_refills) r));
  for v_turn in select t from jsonb_array_elements(p_batch -> 'turns') with ordinality as x(t, place) order by place loop
    v_agent := v_turn ->> 'agent_id';
    if not troupe.is_holder(v_held, v_agent, v_turn -> 'lease_token') then
      v_verdict := '{"verdict": "stale", "reason": "lease"}';
    elsif v_fallen ? v_agent then
      v_verdict := '{"verdict": "stale", "reason": "follows"}';
    else
      begin
        v_verdict := troupe.apply_turn(v_turn, v_stamps, v_now);
      exception
        when transaction_rollback or operator_intervention or insufficient_resources or system_error or connection_exception
          or invalid_transaction_state or lock_not_available then
          raise;
        when sqlstate 'TRSTL' then
          v_verdict := '{"verdict": "stale", "reason": "state"}';
        when sqlstate 'TRFUL' then
          v_verdict := jsonb_build_object('verdict', 'failed', 'code', 'MAILBOX_FULL', 'error', sqlerrm);
        when others then
          v_verdict := jsonb_build_object('verdict', 'failed', 'code', sqlstate, 'error', sqlerrm);
      end;
      if v_verdict ->> 'verdict' not in ('ok', 'repeat') then
        v_fallen := v_fallen || jsonb_build_object(v_agent, true);
      end if;
    end if;
    v_verdicts := v_verdicts || v_verdict; -- not into a jsonb, which would be written anew each time
  end loop;
  return jsonb_build_object(
    'turns', to_jsonb(v_verdicts),
    'refills', case when v_refills = '[]' then '[]' else public.take_messages(v_refills) end,
    'replies', case when v_awaiting = '{}' then '[]' else public.read_replies(v_awaiting) end);
end $$;

-- Whose steps a call means, and whether it may touch them now: a message's belong to the agent that handles it, a job's to
-- whoever holds the job. The caller holds the leases in p_held.
create or replace function troupe.step_owner(p_call jsonb, p_held jsonb, out is_holder boolean, out agent_id text, out message_id uuid)
language plpgsql set search_path = '' as $$
begin
  is_holder := troupe.is_holder(p_held, p_call ->> 'agent_id', p_call -> 'lease_token');
  if p_call ->> 'job_id' is null then
    agent_id := p_call ->> 'agent_id';
    message_id := (p_call ->> 'message_id')::uuid;
  else
    agent_id := '';
    message_id := (p_call ->> 'job_id')::uuid;
    perform from public.agent_jobs j
      where j.id = message_id and j.lease_token = (p_call ->> 'job_token')::bigint and j.lease_expires_at is not null for share;
    is_holder := is_holder and found;
  end if;
end $$;

-- Steps: what a turn does at once and must not do twice. Each element: {agent_id, lease_token, message_id | job_id and job_token,
-- key, phase: start | finish, run?: names the run of the handler, result?: JSON text}. Answers in order: {key, verdict: ok}; {key,
-- verdict: repeat, status: started | finished, result?} for one that is there already, except a start of the same run, which is
-- ok again: its answer was lost; {verdict: stale} without the lease; {verdict: not_found} for the end of what was never
-- started; {verdict: failed, code, error}.
create or replace function public.save_steps(p_batch jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_now timestamptz := troupe.now();
  v_held jsonb := troupe.lock_leases(array(select e ->> 'agent_id' from jsonb_array_elements(p_batch) e));
  v_step jsonb;
  v_owner record;
  v_known public.agent_steps;
  v_answer jsonb;
  v_answers jsonb := '[]';
begin
  for v_step in select e from jsonb_array_elements(p_batch) with ordinality as t(e, place) order by place loop
    v_answer := null;
    begin
      v_owner := troupe.step_owner(v_step, v_held);
      if not v_owner.is_holder then
        v_answer := '{"verdict": "stale"}';
      elsif v_step ->> 'phase' = 'start' then
        insert into public.agent_steps (agent_id, message_id, key, token, run, started_at)
          values (v_owner.agent_id, v_owner.message_id, v_step ->> 'key', (v_step ->> 'lease_token')::bigint, v_step ->> 'run', v_now)
          on conflict do nothing;
        v_answer := case when found then '{"verdict": "ok"}'::jsonb end;
      elsif v_step ->> 'phase' = 'finish' then
        perform (v_step ->> 'result')::jsonb;
        update public.agent_steps s set status = 'finished', result = coalesce(v_step ->> 'result', 'null'), finished_at = v_now,
          token = (v_step ->> 'lease_token')::bigint
          where s.agent_id = v_owner.agent_id and s.message_id = v_owner.message_id and s.key = v_step ->> 'key' and s.status = 'started';
        v_answer := case when found then '{"verdict": "ok"}'::jsonb end;
      else
        perform troupe.refuse('PT400', format('save_steps: phase %L', v_step ->> 'phase'), 'start or finish');
      end if;
      if v_answer is null then
        select * into v_known from public.agent_steps s
          where s.agent_id = v_owner.agent_id and s.message_id = v_owner.message_id and s.key = v_step ->> 'key';
        v_answer := case
          when v_known.key is null then '{"verdict": "not_found"}'::jsonb
          when v_step ->> 'phase' = 'start' and v_known.status = 'started' and v_known.run = v_step ->> 'run' then '{"verdict": "ok"}'
          else jsonb_strip_nulls(jsonb_build_object('verdict', 'repeat', 'status', v_known.status, 'result', v_known.result)) end;
      end if;
    exception when data_exception or integrity_constraint_violation or program_limit_exceeded or sqlstate 'PT400' then
      v_answer := jsonb_build_object('verdict', 'failed', 'code', sqlstate, 'error', sqlerrm);
    end;
    v_answers := v_answers || jsonb_build_array(jsonb_build_object('key', v_step ->> 'key') || v_answer);
  end loop;
  return v_answers;
end $$;

-- Calls functions at once (db.call). Each element: {agent_id, lease_token, message_id | job_id and job_token, key, fn, args}. The
-- result is kept under the key in the same transaction, so that a repeated turn gets it again: {key, verdict: ok | repeat, result} |
-- stale | failed with code and error.
create or replace function public.call_functions(p_batch jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_now timestamptz := troupe.now();
  v_held jsonb := troupe.lock_leases(array(select e ->> 'agent_id' from jsonb_array_elements(p_batch) e));
  v_call jsonb;
  v_owner record;
  v_known text;
  v_answer jsonb;
  v_answers jsonb := '[]';
begin
  for v_call in select e from jsonb_array_elements(p_batch) with ordinality as t(e, place) order by place loop
    begin
      v_owner := troupe.step_owner(v_call, v_held);
      if not v_owner.is_holder then
        v_answer := '{"verdict": "stale"}';
      else
        -- Before the function runs: a repetition that comes while the first call is under way waits here for its result.
        insert into public.agent_steps (agent_id, message_id, key, token, started_at)
          values (v_owner.agent_id, v_owner.message_id, v_call ->> 'key', (v_call ->> 'lease_token')::bigint, v_now) on conflict do nothing;
        if found then
          v_answer := jsonb_build_object('verdict', 'ok', 'result', troupe.call_function(v_call ->> 'fn', v_call -> 'args'));
          update public.agent_steps s set status = 'finished', result = (v_answer -> 'result')::text, finished_at = v_now
            where s.agent_id = v_owner.agent_id and s.message_id = v_owner.message_id and s.key = v_call ->> 'key';
        else
          select s.result into v_known from public.agent_steps s
            where s.agent_id = v_owner.agent_id and s.message_id = v_owner.message_id and s.key = v_call ->> 'key' and s.status = 'finished';
          if not found then
            perform troupe.refuse('PT409', format('call_functions: %L is a step of this turn', v_call ->> 'key'), 'give calls keys of their own');
          end if;
          v_answer := jsonb_build_object('verdict', 'repeat', 'result', v_known::jsonb);
        end if;
      end if;
    exception
      when transaction_rollback or operator_intervention or insufficient_resources or system_error or connection_exception
        or invalid_transaction_state or lock_not_available then
        raise;
      when others then
        v_answer := jsonb_build_object('verdict', 'failed', 'code', sqlstate, 'error', sqlerrm);
    end;
    v_answers := v_answers || jsonb_build_array(jsonb_build_object('key', v_call ->> 'key') || v_answer);
  end loop;
  return v_answers;
end $$;

-- Leases of agents -----------------------------------------------------------------------------------------------------------

-- Takes an agent's lease for a node: verdict ok with a new token, what the incarnation starts from, and whether its last
-- holder left without a word; busy while another node holds it; older when this node's config is older than the last holder's.
create or replace function troupe.take_lease(p_agent jsonb, p_node text, p_lease_ms numeric, p_now timestamptz) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_agent text := p_agent ->> 'agent_id';
  v_until timestamptz := p_now + troupe.ms(p_lease_ms);
  v_stamp bigint := coalesce((p_agent ->> 'spec_stamp')::bigint, 0);
  v_lease public.agent_leases;
  v_unclean boolean := false;
begin
  -- A standby asks all the time: it must not hold up the commits of whoever has the lease.
  select * into v_lease from public.agent_leases l where l.agent_id = v_agent and l.spec_stamp <= v_stamp
    and l.node_id <> p_node and l.lease_expires_at > p_now;
  if found then
    return jsonb_build_object('verdict', 'busy', 'node_id', v_lease.node_id,
      'expires_in_ms', ceil(extract(epoch from v_lease.lease_expires_at - p_now) * 1000));
  end if;
  insert into public.agent_leases (agent_id, agent_type, node_id, lease_expires_at, is_clean, spec_version, spec_stamp, mailbox_limit, registered_at)
    values (v_agent, coalesce(p_agent ->> 'agent_type', 'unknown'), p_node, v_until, false, p_agent ->> 'spec_version', v_stamp,
      (p_agent ->> 'mailbox_limit')::integer, p_now)
    on conflict (agent_id) do nothing;
  if not found then
    select * into v_lease from public.agent_leases l where l.agent_id = v_agent for update;
    if v_lease.spec_stamp > v_stamp then
      return jsonb_build_object('verdict', 'older');
    end if;
    if v_lease.node_id <> p_node and v_lease.lease_expires_at > p_now then
      return jsonb_build_object('verdict', 'busy', 'node_id', v_lease.node_id,
        'expires_in_ms', ceil(extract(epoch from v_lease.lease_expires_at - p_now) * 1000));
    end if;
    v_unclean := not v_lease.is_clean and v_lease.node_id <> p_node;
    update public.agent_leases l set agent_type = coalesce(p_agent ->> 'agent_type', l.agent_type), node_id = p_node,
      lease_token = l.lease_token + 1, lease_expires_at = v_until, is_clean = false, spec_version = p_agent ->> 'spec_version',
      spec_stamp = v_stamp, mailbox_limit = (p_agent ->> 'mailbox_limit')::integer, retired_at = null
      where l.agent_id = v_agent;
    if v_unclean then
      -- The message at the head was probably in hand when the process died, unless it or one of its sender's before it was
      -- waiting for a retry. It is innocent until this has happened often.
      update public.agent_deliveries d set interruptions = d.interruptions + 1,
        status = case when d.interruptions + 1 >= troupe.max_interruptions() then 'dead' else d.status end,
        dead_reason = case when d.interruptions + 1 >= troupe.max_interruptions() then 'interrupted' end,
        finished_at = case when d.interruptions + 1 >= troupe.max_interruptions() then p_now end
        where d.agent_id = v_agent and d.message_id = (
          select head.message_id from public.agent_deliveries head
          where head.agent_id = v_agent and head.status = 'ready' and head.token = v_lease.lease_token
            and not exists (select from public.agent_deliveries first where first.agent_id = v_agent and first.status = 'ready'
              and first.token = v_lease.lease_token and first.rank = head.rank and first.seq <= head.seq
              and first.from_agent = head.from_agent and first.retry_at > v_lease.lease_expires_at)
          order by head.rank, head.seq limit 1);
    end if;
    update public.agent_deliveries d set token = null where d.agent_id = v_agent and d.status = 'ready' and d.token is not null;
  end if;
  -- What was addressed to this name before it was known.
  update public.agent_deliveries d set is_unknown = false,
    expires_at = (select m.expires_at from public.agent_messages m where m.id = d.message_id)
    where d.agent_id = v_agent and d.is_unknown and d.status in ('scheduled', 'ready');
  return (
    select jsonb_build_object('verdict', 'ok', 'lease_token', l.lease_token, 'supervision', l.supervision, 'unclean', v_unclean,
      'state', (select jsonb_build_object('version', s.version, 'value', s.state) from public.agent_state s where s.agent_id = v_agent))
    from public.agent_leases l where l.agent_id = v_agent);
end $$;

-- Gives a lease back. A retired agent is in no config any more: what waits for it has an unknown address again, and a process
-- whose config is older than its retirement does not bring it back.
create or replace function troupe.end_lease(p_agent jsonb, p_node text, p_now timestamptz) returns text
language plpgsql set search_path = '' as $$
declare
  v_agent text := p_agent ->> 'agent_id';
  v_token bigint := (p_agent ->> 'lease_token')::bigint; -- read here, or a plan may never look at a wrong one
  v_retires boolean := p_agent ->> 'action' = 'retire';
begin
  update public.agent_leases l set lease_expires_at = null, node_id = null, is_clean = true,
    retired_at = case when v_retires then p_now else l.retired_at end,
    spec_stamp = case when v_retires then greatest(l.spec_stamp, (p_agent ->> 'spec_stamp')::bigint) else l.spec_stamp end,
    supervision = coalesce(p_agent -> 'supervision', l.supervision)
    where l.agent_id = v_agent and l.lease_token = v_token and l.node_id = p_node;
  if not found then
    return case when exists (select from public.agent_leases l where l.agent_id = v_agent and l.node_id is null
      and l.lease_token = v_token and (l.retired_at is not null) = v_retires) then 'repeat' else 'stale' end;
  end if;
  if v_retires then
    -- Two statements, as there are two indexes.
    update public.agent_deliveries d set is_unknown = true, token = null,
      expires_at = coalesce(d.expires_at, p_now + troupe.unknown_address_patience())
      where d.agent_id = v_agent and d.status = 'ready';
    update public.agent_deliveries d set is_unknown = true, expires_at = coalesce(d.expires_at, p_now + troupe.unknown_address_patience())
      where d.agent_id = v_agent and d.status = 'scheduled';
  end if;
  return 'ok';
end $$;

create or replace function troupe.sync_lease(p_agent jsonb, p_node text, p_lease_ms numeric, p_now timestamptz) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_action text := coalesce(p_agent ->> 'action', 'hold');
  v_token bigint := (p_agent ->> 'lease_token')::bigint;
begin
  case v_action
    when 'take' then
      return troupe.take_lease(p_agent, p_node, p_lease_ms, p_now);
    when 'release', 'retire' then
      return jsonb_build_object('verdict', troupe.end_lease(p_agent, p_node, p_now));
    when 'hold' then -- an expired lease with an unchanged token is still its holder's
      update public.agent_leases l set lease_expires_at = p_now + troupe.ms(p_lease_ms),
        supervision = coalesce(p_agent -> 'supervision', l.supervision)
        where l.agent_id = p_agent ->> 'agent_id' and l.lease_token = v_token and l.node_id = p_node;
      return jsonb_build_object('verdict', case when found then 'ok' else 'stale' end);
    else
      perform troupe.refuse('PT400', format('sync_node: action %L', v_action), 'take, hold, release or retire');
  end case;
end $$;

-- A node's heartbeat: takes, renews and gives back leases of agents, renews leases of jobs, reports what the agents are doing.
-- p_batch: {node_id, lease_ms?: 15000, agents: [{agent_id, agent_type?, action: take | hold | release | retire, lease_token?,
-- spec_version?, spec_stamp?, mailbox_limit?, supervision?, agent_name?, status?, blocked_reason?, current_job?, current_load?,
-- max_load?, capabilities?, version?}], jobs: as renew_jobs}. Answer: {agents: [{agent_id, verdict, ...}], jobs: [{job_id, verdict}]},
-- the verdicts of take: ok with lease_token, state, supervision and unclean; busy with node_id and expires_in_ms; older. Of hold: ok or
-- stale. Of release and retire: ok, repeat or stale.
create or replace function public.sync_node(p_batch jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_now timestamptz := troupe.now();
  v_node text := p_batch ->> 'node_id';
  v_lease_ms numeric := coalesce((p_batch ->> 'lease_ms')::numeric, 15000);
  v_agent jsonb;
  v_verdict jsonb;
  v_verdicts jsonb := '{}';
  v_jobs jsonb;
begin
  if coalesce(v_node, '') = '' then
    perform troupe.refuse('PT400', 'sync_node: node_id is missing', 'each process start has one');
  end if;
  if v_lease_ms not between 100 and 3600000 then
    perform troupe.refuse('PT400', format('sync_node: lease_ms is %s', v_lease_ms), 'lease_ms must be 100 to 3600000');
  end if;
  if exists (select from jsonb_array_elements(p_batch -> 'agents') a group by a ->> 'agent_id'
    having count(*) > 1 or coalesce(a ->> 'agent_id', '') = '')
  then
    perform troupe.refuse('PT400', 'sync_node: an agent without agent_id, or named twice', 'one element for each agent');
  end if;
  for v_agent in
    select a from jsonb_array_elements(coalesce(p_batch -> 'agents', '[]')) a order by a ->> 'agent_id'
  loop
    v_verdict := troupe.sync_lease(v_agent, v_node, v_lease_ms, v_now);
    v_verdicts := v_verdicts || jsonb_build_object(v_agent ->> 'agent_id', v_verdict);
  end loop;
  v_jobs := public.renew_jobs(coalesce(p_batch -> 'jobs', '[]'));
  insert into public.agent_status as s (agent_id, agent_name, agent_type, status, current_job, last_heartbeat, last_activity, capabilities,
    current_load, max_load, blocked_reason, blocked_since, version)
  select a ->> 'agent_id', coalesce(a ->> 'agent_name', a ->> 'agent_id'), coalesce(a ->> 'agent_type', 'unknown'),
    coalesce(a ->> 'status', 'idle'), (select j.id from public.agent_jobs j where j.id = (a ->> 'current_job')::uuid), v_now, v_now,
    coalesce(a -> 'capabilities', '[]'), coalesce((a ->> 'current_load')::integer, 0), coalesce((a ->> 'max_load')::integer, 5),
    a ->> 'blocked_reason', case when a ->> 'status' = 'blocked' then v_now end, a ->> 'version'
  from jsonb_array_elements(coalesce(p_batch -> 'agents', '[]')) a
  where v_verdicts -> (a ->> 'agent_id') ->> 'verdict' = 'ok' and a ? 'status'
  order by a ->> 'agent_id'
  on conflict (agent_id) do update set
    agent_name = excluded.agent_name,
    agent_type = case when excluded.agent_type = 'unknown' then s.agent_type else excluded.agent_type end,
    status = excluded.status, current_job = excluded.current_job, last_heartbeat = v_now,
    last_activity = case when s.status is distinct from excluded.status then v_now else s.last_activity end,
    capabilities = case when excluded.capabilities = '[]' then s.capabilities else excluded.capabilities end,
    current_load = excluded.current_load, max_load = excluded.max_load, blocked_reason = excluded.blocked_reason,
    blocked_since = case when excluded.status = 'blocked' then coalesce(s.blocked_since, v_now) end,
    version = coalesce(excluded.version, s.version);
  return jsonb_build_object(
    'agents', (
      select coalesce(jsonb_agg(jsonb_build_object('agent_id', a ->> 'agent_id') || (v_verdicts -> (a ->> 'agent_id')) order by place), '[]')
      from jsonb_array_elements(coalesce(p_batch -> 'agents', '[]')) with ordinality as t(a, place)),
    'jobs', v_jobs);
end $$;

do $$ begin perform
  troupe.seal_functions('public', array['commit_turns', 'save_steps', 'call_functions', 'sync_node']),
  troupe.seal_functions('troupe'),
  troupe.pin_plans(array['public.commit_turns', 'public.save_steps', 'public.call_functions', 'public.sync_node']::regproc[]); end $$;

-- 20261120000600_trading =========================================================================================

-- Trading: opportunities, executions and the exposure they reserve. Each function takes one jsonb, gives
-- {verdict, ...} and may run inside a turn. What the rules forbid is a verdict, with its reason; what makes no sense (a negative
-- price, an unknown word) is an error.

-- Publishes an opportunity with its job and the broadcast, all or nothing. p_args: {opportunity: {id?, market_id,
-- market_question?, platform?, side, current_price, target_price?, suggested_position?, confidence, edge, research_summary?,
-- discovered_by, discovery_method, expires_in_ms?, dedupe_key?, event_id?, details?}, job?: {job_type?: execute_trade, payload?,
-- ...} or null for none, broadcast?: false}. Verdicts: ok with opportunity_id and job_id; repeat for a known id; duplicate with the
-- live opportunity that has the dedupe_key.
create or replace function public.publish_opportunity(p_args jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_now timestamptz := troupe.now();
  o jsonb := p_args -> 'opportunity';
  v_id uuid := coalesce((o ->> 'id')::uuid, gen_random_uuid());
  v_confidence numeric := (o ->> 'confidence')::numeric;
  v_expires timestamptz := v_now + troupe.ms((o ->> 'expires_in_ms')::numeric);
  v_live uuid;
  v_job jsonb;
begin
  insert into public.trade_opportunities (id, market_id, market_question, platform, side, current_price, target_price, suggested_position,
    confidence, edge, research_summary, discovered_by, discovery_method, discovered_at, expires_at, dedupe_key, event_id, details)
  values (v_id, o ->> 'market_id', o ->> 'market_question', coalesce(o ->> 'platform', 'polymarket'), o ->> 'side',
    (o ->> 'current_price')::numeric, (o ->> 'target_price')::numeric, (o ->> 'suggested_position')::numeric, v_confidence,
    (o ->> 'edge')::numeric, o ->> 'research_summary', o ->> 'discovered_by', o ->> 'discovery_method', v_now, v_expires,
    o ->> 'dedupe_key', o ->> 'event_id', coalesce(nullif(o -> 'details', 'null'), '{}'))
  on conflict do nothing;
  if not found then
    if exists (select from public.trade_opportunities t where t.id = v_id) then
      return jsonb_build_object('verdict', 'repeat', 'opportunity_id', v_id);
    end if;
    select t.id into v_live from public.trade_opportunities t
      where t.dedupe_key = o ->> 'dedupe_key' and t.status in ('pending', 'approved');
    if v_live is null then
      return public.publish_opportunity(p_args); -- the one in the way has ended meanwhile
    end if;
    return jsonb_build_object('verdict', 'duplicate', 'opportunity_id', v_live);
  end if;
  if not p_args ? 'job' or p_args -> 'job' <> 'null' then
    v_job := jsonb_build_object('job_type', 'execute_trade', 'priority', case when v_confidence > 0.8 then 3 else 5 end,
        'dedupe_key', 'opportunity:' || v_id) || coalesce(p_args -> 'job', '{}');
    v_job := v_job || jsonb_build_object('payload', jsonb_build_object('opportunity_id', v_id, 'market_id', o ->> 'market_id', 'side', o ->> 'side',
      'amount', o -> 'suggested_position', 'confidence', v_confidence) || coalesce(v_job -> 'payload', '{}'));
    v_job := troupe.insert_jobs(jsonb_build_array(v_job), o ->> 'discovered_by', v_now) -> 0;
  end if;
  if coalesce((p_args ->> 'broadcast')::boolean, true) then
    perform public.broadcast_message(coalesce(o ->> 'discovered_by', 'scanner'), 'New Trade Opportunity',
      format('%s %s at %s, edge %s', o ->> 'side', coalesce(o ->> 'market_question', o ->> 'market_id'), o ->> 'current_price', o ->> 'edge'),
      jsonb_build_object('opportunity_id', v_id, 'market_id', o ->> 'market_id', 'side', o ->> 'side', 'confidence', v_confidence,
        'edge', o -> 'edge', 'job_id', v_job -> 'job_id'),
      case when v_expires < v_now + interval '1 hour' then 'urgent' else 'high' end);
  end if;
  return jsonb_strip_nulls(jsonb_build_object('verdict', 'ok', 'opportunity_id', v_id, 'job_id', v_job -> 'job_id'));
end $$;

-- Decides on a pending opportunity. p_args: {id, decision: approved | rejected, reviewed_by, reason?}. Verdicts: ok; repeat;
-- expired (no approval after expires_at); stale with its status, decided otherwise before; not_found.
create or replace function public.review_opportunity(p_args jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_now timestamptz := troupe.now();
  v_decision text := p_args ->> 'decision';
  v_row public.trade_opportunities;
begin
  if v_decision is null or v_decision not in ('approved', 'rejected') then
    perform troupe.refuse('PT400', format('review_opportunity: decision %L', v_decision), 'approved or rejected');
  end if;
  select * into v_row from public.trade_opportunities o where o.id = (p_args ->> 'id')::uuid for update;
  if not found then
    return '{"verdict": "not_found"}';
  elsif v_row.status = v_decision and v_row.reviewed_by is not distinct from p_args ->> 'reviewed_by' then
    return '{"verdict": "repeat"}';
  elsif v_row.status <> 'pending' then
    return jsonb_build_object('verdict', 'stale', 'status', v_row.status);
  elsif v_decision = 'approved' and v_row.expires_at <= v_now then
    return '{"verdict": "expired"}';
  end if;
  update public.trade_opportunities o set status = v_decision, reviewed_by = p_args ->> 'reviewed_by', reviewed_at = v_now,
    review_reason = p_args ->> 'reason' where o.id = v_row.id;
  return '{"verdict": "ok"}';
end $$;

-- What today's trades have committed (UTC day) and what is open in a market, in USD. What failed or was released does not count.
create or replace function troupe.exposure(p_market text, p_now timestamptz, out today numeric, out market numeric)
language sql stable set search_path = '' as $$
  select
    (select coalesce(sum(e.amount), 0) from public.trade_executions e
      where e.created_at >= date_trunc('day', p_now, 'UTC') and e.status <> 'failed'),
    (select coalesce(sum(e.amount), 0) from public.trade_executions e
      where e.market_id = p_market and e.status in ('pending', 'executed'))
$$;

-- Writes an execution before anybody acts, if system_config allows it. p_args: {idempotency_key, id?, opportunity_id?, job_id?,
-- market_id, side, amount: USD at most, entry_price?, executed_by?, event_id?, details?}. Verdicts: ok with execution_id; repeat with
-- the execution that has the key, its stage and status; refused with reason trading_disabled, max_position_size,
-- max_daily_exposure, already_executed (the opportunity) or config_missing, and the numbers. The three config rows stay locked
-- until the commit, so that any number of traders together keep the limits.
create or replace function public.reserve_execution(p_args jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_now timestamptz;
  v_key text := p_args ->> 'idempotency_key';
  v_amount numeric := (p_args ->> 'amount')::numeric;
  v_known public.trade_executions;
  v_config jsonb;
  v_used record;
  v_id uuid;
begin
  if coalesce(v_key, '') = '' then
    perform troupe.refuse('PT400', 'reserve_execution: idempotency_key is missing', 'derive it from the turn: ctx.id(name)');
  end if;
  if v_amount is null or not (v_amount > 0 and v_amount < 1e12) then -- NaN is above every number
    perform troupe.refuse('PT400', format('reserve_execution: amount is %s', coalesce(v_amount::text, 'missing')), 'a positive number of USD');
  end if;
  if current_setting('transaction_isolation') = 'repeatable read' then -- it would not see what others reserve while it waits below
    perform troupe.refuse('PT409', 'reserve_execution: not in a repeatable read transaction', 'read committed, or serializable');
  end if;
  perform from (
    select from public.system_config c where c.key in ('trading_enabled', 'max_daily_exposure', 'max_position_size')
    order by c.key for update) locked;
  v_now := troupe.now(); -- after the wait
  select * into v_known from public.trade_executions e where e.idempotency_key = v_key;
  if found then
    return jsonb_build_object('verdict', 'repeat', 'execution_id', v_known.id, 'stage', v_known.stage, 'status', v_known.status);
  end if;
  select jsonb_object_agg(c.key, c.value) into v_config from public.system_config c
    where c.key in ('trading_enabled', 'max_daily_exposure', 'max_position_size');
  if v_config is null or not v_config ?& array['trading_enabled', 'max_daily_exposure', 'max_position_size'] then
    return '{"verdict": "refused", "reason": "config_missing"}';
  elsif v_config -> 'trading_enabled' <> 'true' then
    return '{"verdict": "refused", "reason": "trading_disabled"}';
  elsif exists (select from public.trade_executions e where e.opportunity_id = (p_args ->> 'opportunity_id')::uuid and e.status <> 'failed') then
    return '{"verdict": "refused", "reason": "already_executed"}';
  end if;
  select * into v_used from troupe.exposure(p_args ->> 'market_id', v_now);
  if v_used.market + v_amount > (v_config ->> 'max_position_size')::numeric then
    return jsonb_build_object('verdict', 'refused', 'reason', 'max_position_size', 'used', v_used.market, 'limit', v_config -> 'max_position_size');
  elsif v_used.today + v_amount > (v_config ->> 'max_daily_exposure')::numeric then
    return jsonb_build_object('verdict', 'refused', 'reason', 'max_daily_exposure', 'used', v_used.today, 'limit', v_config -> 'max_daily_exposure');
  end if;
  insert into public.trade_executions (id, opportunity_id, job_id, market_id, side, amount, entry_price, status, stage, executed_by,
    idempotency_key, event_id, details, created_at)
  values (coalesce((p_args ->> 'id')::uuid, gen_random_uuid()), (p_args ->> 'opportunity_id')::uuid, (p_args ->> 'job_id')::uuid,
    p_args ->> 'market_id', p_args ->> 'side', v_amount, (p_args ->> 'entry_price')::numeric, 'pending', 'reserved', p_args ->> 'executed_by',
    v_key, p_args ->> 'event_id', coalesce(nullif(p_args -> 'details', 'null'), '{}'), v_now)
  returning id into v_id;
  return jsonb_build_object('verdict', 'ok', 'execution_id', v_id);
end $$;

-- Finds and locks an execution by id or idempotency_key.
create or replace function troupe.lock_execution(p_args jsonb) returns public.trade_executions
language plpgsql set search_path = '' as $$
declare
  v_row public.trade_executions;
begin
  if p_args ->> 'id' is not null then
    select * into v_row from public.trade_executions e where e.id = (p_args ->> 'id')::uuid for update;
  else
    select * into v_row from public.trade_executions e where e.idempotency_key = p_args ->> 'idempotency_key' for update;
  end if;
  return v_row;
end $$;

-- Notes how far an execution has come. p_args: {id or idempotency_key, stage: ordered | unknown | unsold_leg | filled, tx_hash?,
-- amount?: what it really took, never more than reserved, entry_price?, shares?, fees?, error?, details?}. unknown is where a crash
-- between the order and its record leaves it, until somebody has looked. Verdicts: ok, repeat, stale with its stage, not_found.
create or replace function public.record_execution(p_args jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_now timestamptz := troupe.now();
  v_stage text := p_args ->> 'stage';
  v_row public.trade_executions := troupe.lock_execution(p_args);
begin
  if v_stage is null or v_stage not in ('ordered', 'unknown', 'unsold_leg', 'filled') then
    perform troupe.refuse('PT400', format('record_execution: stage %L', v_stage), 'ordered, unknown, unsold_leg or filled');
  end if;
  if v_row.id is null then
    return '{"verdict": "not_found"}';
  elsif v_row.stage = v_stage then
    return '{"verdict": "repeat"}';
  elsif not (case v_row.stage
    when 'reserved' then true
    when 'ordered' then true
    when 'unknown' then v_stage <> 'ordered'
    when 'unsold_leg' then v_stage = 'filled'
    else false end) then
    return jsonb_build_object('verdict', 'stale', 'stage', v_row.stage, 'status', v_row.status);
  end if;
  if (p_args ->> 'amount')::numeric > v_row.amount then
    perform troupe.refuse('PT400', format('record_execution: amount %s is above the %s reserved', p_args ->> 'amount', v_row.amount),
      'exposure was checked for the reserved amount');
  end if;
  update public.trade_executions e set stage = v_stage,
    status = case when v_stage in ('filled', 'unsold_leg') then 'executed' else 'pending' end,
    executed_at = case when v_stage in ('filled', 'unsold_leg') then coalesce(e.executed_at, v_now) end,
    tx_hash = coalesce(p_args ->> 'tx_hash', e.tx_hash), amount = coalesce((p_args ->> 'amount')::numeric, e.amount),
    entry_price = coalesce((p_args ->> 'entry_price')::numeric, e.entry_price), shares = coalesce((p_args ->> 'shares')::numeric, e.shares),
    fees = coalesce((p_args ->> 'fees')::numeric, e.fees), error_message = coalesce(p_args ->> 'error', e.error_message),
    details = e.details || coalesce(nullif(p_args -> 'details', 'null'), '{}')
    where e.id = v_row.id;
  return '{"verdict": "ok"}';
end $$;

-- Closes an executed trade and books its profit. p_args: {id or idempotency_key, exit_price, pnl?: else shares * exit_price - amount -
-- fees, fees?: in total, exit_reason?}. Verdicts: ok with pnl, repeat, stale with its stage, not_found.
create or replace function public.settle_execution(p_args jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_now timestamptz := troupe.now();
  v_row public.trade_executions := troupe.lock_execution(p_args);
  v_fees numeric := coalesce((p_args ->> 'fees')::numeric, v_row.fees);
  v_pnl numeric := coalesce((p_args ->> 'pnl')::numeric, v_row.shares * (p_args ->> 'exit_price')::numeric - v_row.amount - v_fees);
begin
  if v_row.id is null then
    return '{"verdict": "not_found"}';
  elsif v_row.status = 'settled' then
    return jsonb_build_object('verdict', 'repeat', 'pnl', v_row.pnl);
  elsif v_row.status <> 'executed' then
    return jsonb_build_object('verdict', 'stale', 'stage', v_row.stage, 'status', v_row.status);
  elsif v_pnl is null then
    perform troupe.refuse('PT400', 'settle_execution: pnl is unknown', 'give pnl, or exit_price for an execution that has shares');
  end if;
  update public.trade_executions e set status = 'settled', stage = 'closed', settled_at = v_now, pnl = v_pnl, fees = v_fees,
    exit_price = (p_args ->> 'exit_price')::numeric, exit_reason = p_args ->> 'exit_reason' where e.id = v_row.id;
  update public.agent_status s set total_profit = s.total_profit + v_pnl where s.agent_id = v_row.executed_by;
  return jsonb_build_object('verdict', 'ok', 'pnl', v_pnl);
end $$;

-- Gives a reservation back: nothing was bought. p_args: {id or idempotency_key, reason}. Verdicts: ok, repeat, stale, not_found.
create or replace function public.release_execution(p_args jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_row public.trade_executions := troupe.lock_execution(p_args);
begin
  if v_row.id is null then
    return '{"verdict": "not_found"}';
  elsif v_row.status = 'failed' then
    return '{"verdict": "repeat"}';
  elsif v_row.status <> 'pending' then
    return jsonb_build_object('verdict', 'stale', 'stage', v_row.stage, 'status', v_row.status);
  end if;
  update public.trade_executions e set status = 'failed', stage = 'closed', error_message = coalesce(p_args ->> 'reason', e.error_message)
    where e.id = v_row.id;
  return '{"verdict": "ok"}';
end $$;

-- Executions that agents of the original system insert, without a key, and a status that they or people set by hand.
create or replace function troupe.stage_foreign_execution() returns trigger
language plpgsql set search_path = '' as $$
begin
  new.stage := case new.status when 'executed' then 'filled' when 'pending' then 'ordered' else 'closed' end;
  if new.status = 'settled' then
    new.settled_at := coalesce(new.settled_at, troupe.now());
  end if;
  return new;
end $$;
drop trigger if exists stage_foreign_execution on public.trade_executions;
create trigger stage_foreign_execution before insert on public.trade_executions
  for each row when (new.idempotency_key is null)
  execute function troupe.stage_foreign_execution();
drop trigger if exists stage_foreign_status on public.trade_executions;
create trigger stage_foreign_status before update of status on public.trade_executions
  for each row when (new.status is distinct from old.status and new.stage is not distinct from old.stage)
  execute function troupe.stage_foreign_execution();

-- Expires pending opportunities whose time is over. p_args: {limit?: 500}. Gives {expired}.
create or replace function public.expire_opportunities(p_args jsonb default '{}') returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_now timestamptz := troupe.now();
  v_count integer;
begin
  update public.trade_opportunities o set status = 'expired' where o.id = any (array(
    select t.id from public.trade_opportunities t where t.status = 'pending' and t.expires_at <= v_now
    order by t.expires_at limit least(greatest(coalesce((p_args ->> 'limit')::integer, 500), 1), 10000) for update skip locked));
  get diagnostics v_count = row_count;
  return jsonb_build_object('expired', v_count);
end $$;

-- Rolls what agents did up into agent_performance. p_args: {period?: daily, day?: any date of the period, default today in UTC}.
-- Running it again brings the rows up to date. Finished jobs are pruned while trades stay, so counts of jobs never shrink, and a
-- longer period counts at least what its days have recorded. Gives {agents}.
create or replace function public.record_performance(p_args jsonb default '{}') returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_period text := coalesce(p_args ->> 'period', 'daily');
  v_unit text := case v_period when 'daily' then 'day' when 'weekly' then 'week' when 'monthly' then 'month' end;
  v_from timestamptz;
  v_to timestamptz;
  v_count integer;
begin
  if v_unit is null then
    perform troupe.refuse('PT400', format('record_performance: period %L', v_period), 'daily, weekly or monthly');
  end if;
  v_from := date_trunc(v_unit, coalesce((p_args ->> 'day')::date::timestamp at time zone 'UTC', troupe.now()), 'UTC');
  v_to := (v_from at time zone 'UTC' + ('1 ' || v_unit)::interval) at time zone 'UTC';
  with jobs as (
    select j.assigned_to as agent_id, count(*) filter (where j.status = 'completed') as completed,
      count(*) filter (where j.status = 'failed') as failed,
      avg(j.completed_at - coalesce(j.started_at, j.assigned_at)) filter (where j.status = 'completed') as duration
    from public.agent_jobs j
    where j.status in ('completed', 'failed') and j.completed_at >= v_from and j.completed_at < v_to and j.assigned_to is not null
    group by j.assigned_to
  ), days as (
    select d.agent_id, sum(d.jobs_completed) as completed, sum(d.jobs_failed) as failed,
      sum(d.avg_job_duration * d.jobs_completed) / nullif(sum(d.jobs_completed) filter (where d.avg_job_duration is not null), 0) as duration
    from public.agent_performance d
    where v_period <> 'daily' and d.period = 'daily'
      and d.period_start >= (v_from at time zone 'UTC')::date and d.period_start < (v_to at time zone 'UTC')::date
    group by d.agent_id
  ), entries as (
    select e.executed_by as agent_id, count(*) as executed, avg(e.amount) as size, avg(o.confidence) as confidence
    from public.trade_executions e left join public.trade_opportunities o on o.id = e.opportunity_id
    where e.created_at >= v_from and e.created_at < v_to and e.status in ('executed', 'settled') and e.executed_by is not null
    group by e.executed_by
  ), exits as (
    select e.executed_by as agent_id, count(*) filter (where e.pnl > 0) as profitable, sum(e.pnl) as pnl
    from public.trade_executions e
    where e.status = 'settled' and e.settled_at >= v_from and e.settled_at < v_to and e.executed_by is not null
    group by e.executed_by
  )
  insert into public.agent_performance as p (agent_id, period, period_start, jobs_completed, jobs_failed, trades_executed,
    trades_profitable, total_pnl, avg_trade_size, avg_confidence, avg_job_duration)
  select agent_id, v_period, (v_from at time zone 'UTC')::date,
    coalesce(greatest(jobs.completed, days.completed), 0), coalesce(greatest(jobs.failed, days.failed), 0),
    coalesce(entries.executed, 0), coalesce(exits.profitable, 0), coalesce(exits.pnl, 0), entries.size, entries.confidence,
    case when days.completed > coalesce(jobs.completed, 0) then days.duration else jobs.duration end
  from jobs full join days using (agent_id) full join entries using (agent_id) full join exits using (agent_id)
  order by agent_id
  on conflict (agent_id, period, period_start) do update set
    jobs_completed = greatest(p.jobs_completed, excluded.jobs_completed), jobs_failed = greatest(p.jobs_failed, excluded.jobs_failed),
    trades_executed = excluded.trades_executed, trades_profitable = excluded.trades_profitable, total_pnl = excluded.total_pnl,
    avg_trade_size = excluded.avg_trade_size, avg_confidence = excluded.avg_confidence,
    avg_job_duration = case when p.jobs_completed > excluded.jobs_completed then p.avg_job_duration else excluded.avg_job_duration end;
  get diagnostics v_count = row_count;
  return jsonb_build_object('agents', v_count);
end $$;

insert into troupe.callable_functions (name) values ('publish_opportunity'), ('review_opportunity'), ('reserve_execution'),
  ('record_execution'), ('settle_execution'), ('release_execution'), ('expire_opportunities'), ('record_performance')
on conflict do nothing;
do $$ begin perform
  troupe.seal_functions('public', array['publish_opportunity', 'review_opportunity', 'reserve_execution', 'record_execution',
    'settle_execution', 'release_execution', 'expire_opportunities', 'record_performance']),
  troupe.seal_functions('troupe'),
  troupe.pin_plans(array['public.publish_opportunity', 'public.review_opportunity', 'public.reserve_execution', 'public.record_execution',
    'public.settle_execution', 'public.release_execution', 'public.expire_opportunities']::regproc[]); end $$;

-- 20261120000700_upkeep ==========================================================================================

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

-- 20261120000800_views ===========================================================================================

-- What people look at. Views run with the rights of whoever asks; columns are listed, because `select *` freezes at creation.
-- Payloads stay out: a dashboard needs none, and they may be large or private.

create or replace view public.v_active_jobs with (security_invoker = true) as
  select j.id, j.job_type, j.status, j.priority, j.created_by, j.assigned_to, j.target_agent, j.created_at, j.assigned_at, j.started_at,
    j.run_at, j.attempt, j.max_attempts, j.lease_expires_at, j.error_message,
    round((extract(epoch from now() - j.created_at) / 60)::numeric, 1) as age_minutes
  from ( -- each part has an index of its own, the whole has none
    select p.id from public.agent_jobs p where p.status = 'pending' and p.target_agent is null
    union all
    select p.id from public.agent_jobs p where p.status = 'pending' and p.target_agent is not null
    union all
    select r.id from public.agent_jobs r where r.status in ('assigned', 'in_progress')
  ) active
  join public.agent_jobs j on j.id = active.id;

create or replace view public.v_agent_dashboard with (security_invoker = true) as
  select s.agent_id, s.agent_name, s.agent_type, s.status, s.current_job, s.last_heartbeat, s.last_activity, s.capabilities,
    s.current_load, s.max_load, s.jobs_completed, s.jobs_failed, s.total_profit, s.blocked_reason, s.blocked_since, s.version,
    round((extract(epoch from now() - s.last_heartbeat) / 60)::numeric, 1) as minutes_since_heartbeat,
    case
      when s.last_heartbeat < now() - interval '5 minutes' then 'stale'
      when s.last_heartbeat < now() - interval '2 minutes' then 'warning'
      else 'healthy' end as health_status
  from public.agent_status s;

create or replace view public.v_opportunity_pipeline with (security_invoker = true) as
  select o.id, o.market_id, o.market_question, o.platform, o.side, o.current_price, o.target_price, o.suggested_position, o.confidence,
    o.edge, o.research_summary, o.discovered_by, o.discovery_method, o.status, o.discovered_at, o.expires_at, o.event_id,
    round((extract(epoch from o.expires_at - now()) / 3600)::numeric, 2) as hours_remaining,
    case
      when o.expires_at <= now() then 'expired'
      when o.expires_at < now() + interval '1 hour' then 'urgent'
      when o.expires_at < now() + interval '6 hours' then 'soon'
      else 'normal' end as urgency
  from public.trade_opportunities o
  where o.status = 'pending';

create or replace view public.v_daily_performance with (security_invoker = true) as
  select (e.settled_at at time zone 'UTC')::date as day, e.executed_by as agent_id, count(*) as trades,
    count(*) filter (where e.pnl > 0) as winners, count(*) filter (where e.pnl < 0) as losers,
    sum(e.pnl) as total_pnl, round(avg(e.pnl), 4) as avg_pnl, sum(e.amount) as volume
  from public.trade_executions e
  where e.status = 'settled'
  group by 1, 2;

create or replace view public.v_dead_letters with (security_invoker = true) as
  select d.message_id as id, d.agent_id, d.from_agent, m.subject as type, d.dead_reason as reason, d.error, d.attempts, d.interruptions,
    d.finished_at as died_at, m.created_at
  from public.agent_deliveries d join public.agent_messages m on m.id = d.message_id
  where d.status = 'dead';

create or replace view public.v_dead_jobs with (security_invoker = true) as
  select j.id, j.job_type, j.dead_reason as reason, j.error_message as error, j.attempt, j.max_attempts, j.assigned_to, j.created_by,
    j.completed_at as died_at, j.created_at, j.history
  from public.agent_jobs j
  where j.status = 'failed';

revoke all on public.v_active_jobs, public.v_agent_dashboard, public.v_opportunity_pipeline, public.v_daily_performance,
  public.v_dead_letters, public.v_dead_jobs from public, anon, authenticated;
grant select on public.v_active_jobs, public.v_agent_dashboard, public.v_opportunity_pipeline, public.v_daily_performance,
  public.v_dead_letters, public.v_dead_jobs to service_role;

-- A person who is signed in may read the dashboards: one read-only policy a table, on the columns that the views show.
grant select on public.v_active_jobs, public.v_agent_dashboard, public.v_opportunity_pipeline, public.v_daily_performance to authenticated;
grant select (id, job_type, status, priority, created_by, assigned_to, target_agent, created_at, assigned_at, started_at, completed_at,
  run_at, attempt, max_attempts, lease_expires_at, error_message, dead_reason) on public.agent_jobs to authenticated;
grant select (id, message_type, from_agent, to_agent, subject, content, priority, read, created_at, read_at) on public.agent_messages to authenticated;
grant select (agent_id, agent_name, agent_type, status, current_job, last_heartbeat, last_activity, capabilities, current_load, max_load,
  jobs_completed, jobs_failed, total_profit, blocked_reason, blocked_since, version) on public.agent_status to authenticated;
grant select (id, market_id, market_question, platform, side, current_price, target_price, suggested_position, confidence, edge,
  research_summary, discovered_by, discovery_method, status, discovered_at, expires_at, reviewed_by, reviewed_at, review_reason, event_id)
  on public.trade_opportunities to authenticated;
grant select (id, opportunity_id, job_id, market_id, side, amount, entry_price, status, stage, exit_price, pnl, shares, fees, executed_by,
  created_at, executed_at, settled_at, exit_reason) on public.trade_executions to authenticated;
grant select on public.agent_performance, public.system_config to authenticated;

do $$
declare
  v_table text;
begin
  foreach v_table in array array['agent_jobs', 'agent_messages', 'agent_status', 'trade_opportunities', 'trade_executions',
    'agent_performance', 'system_config'] loop
    execute format('drop policy if exists dashboard_read on public.%I', v_table);
    execute format('create policy dashboard_read on public.%I for select to authenticated using (true)', v_table);
  end loop;
end $$;

-- 20261120000900_realtime ========================================================================================

-- Realtime publishes the seven coordination tables. Last, and guarded: a database without it works by polling.
do $$
declare
  v_table text;
begin
  if not exists (select from pg_catalog.pg_publication where pubname = 'supabase_realtime') then
    create publication supabase_realtime;
  end if;
  if exists (select from pg_catalog.pg_publication where pubname = 'supabase_realtime' and puballtables) then
    return;
  end if;
  foreach v_table in array array['agent_jobs', 'agent_messages', 'agent_status', 'trade_opportunities', 'trade_executions',
    'agent_performance', 'system_config'] loop
    if not exists (
      select from pg_catalog.pg_publication_tables
      where pubname = 'supabase_realtime' and schemaname = 'public' and tablename = v_table
    ) then
      execute format('alter publication supabase_realtime add table public.%I', v_table);
    end if;
  end loop;
end $$;

-- The newest migration in this database, for clients that cannot read the migration ledger. Each migration that follows
-- replaces it with its own number.
create or replace function public.schema_version() returns text
language sql immutable set search_path = '' as $$ select '20261120000900' $$;
do $$ begin perform troupe.seal_functions('public', array['schema_version']); end $$;

notify pgrst, 'reload schema';

-- 20261121000100_unread_claims ===================================================================================

-- A claim whose answer got lost is asked for again. If the agent has been taken over in between (it has a new incarnation), nobody
-- will ever read that answer: its jobs go back at once and lose no attempt, instead of waiting until their leases run out.

-- Gives back what a claim request was given, as far as it is still held under the same token.
create or replace function troupe.unclaim(p_agent text, p_claim_id uuid, p_now timestamptz) returns void
language plpgsql set search_path = '' as $$
declare
  v_jobs jsonb;
begin
  select jsonb_agg(jsonb_build_object('job_id', given.job_id, 'lease_token', given.token, 'outcome', 'released')) into v_jobs
    from public.agent_claims c cross join lateral unnest(c.job_ids, c.lease_tokens) as given(job_id, token)
    where c.claim_id = p_claim_id and c.agent_id = p_agent;
  if v_jobs is not null then
    perform troupe.settle_jobs(v_jobs, p_now);
  end if;
end $$;

-- Claims jobs for many agents in one call. Each element:
--   {agent_id, lease_token?: the agent's own (fences the claim), job_types?: [text] or null for any, limit: 1..500,
--    lease_ms: default 60000, claim_id?: uuid (a repeated request gets the same jobs and tokens), cursor?: from the last answer}
-- and its answer: {agent_id, verdict: ok | repeat | stale, jobs: [...], cursor}. Expired leases are ended on the way, so
-- recovery needs no leader and no cron. Priority is strict: a lower one waits while higher ones are pending.
-- Stale: the agent is somebody else's now, and what this very request had been given before is given back.
create or replace function public.claim_jobs(p_batch jsonb) returns json
language plpgsql set search_path = '' as $$
declare
  v_now timestamptz := troupe.now();
  v_one record;
  v_answer json;
  v_answers json[] := '{}';
begin
  perform from (
    select from public.agent_leases l
    where l.agent_id in (select e ->> 'agent_id' from jsonb_array_elements(p_batch) e where e ->> 'lease_token' is not null)
    order by l.agent_id for share) held;
  for v_one in
    select * from jsonb_to_recordset(p_batch) as c(agent_id text, lease_token bigint, job_types text[], "limit" integer,
      lease_ms integer, claim_id uuid, cursor jsonb)
  loop
    if coalesce(v_one.agent_id, '') = '' then
      perform troupe.refuse('PT400', 'claim_jobs: agent_id is missing', 'name the agent that claims');
    end if;
    if coalesce(v_one."limit", 1) not between 1 and 500 then
      perform troupe.refuse('PT400', format('claim_jobs: limit is %s', v_one."limit"), 'limit must be 1 to 500');
    end if;
    if coalesce(v_one.lease_ms, 60000) not between 100 and 86400000 then
      perform troupe.refuse('PT400', format('claim_jobs: lease_ms is %s', v_one.lease_ms), 'lease_ms must be 100 to 86400000');
    end if;
    if v_one.lease_token is not null and not troupe.holds_lease(v_one.agent_id, v_one.lease_token) then
      perform troupe.unclaim(v_one.agent_id, v_one.claim_id, v_now);
      v_answer := json_build_object('agent_id', v_one.agent_id, 'verdict', 'stale', 'jobs', '[]'::json);
    else
      v_answer := troupe.claim(v_one.agent_id, v_one.job_types, coalesce(v_one."limit", 1), coalesce(v_one.lease_ms, 60000),
        v_one.claim_id, v_one.cursor, false, v_now);
    end if;
    v_answers := v_answers || v_answer;
  end loop;
  return array_to_json(v_answers);
end $$;

create or replace function public.schema_version() returns text
language sql immutable set search_path = '' as $$ select '20261121000100' $$;

do $$ begin perform
  troupe.seal_functions('public', array['claim_jobs', 'schema_version']),
  troupe.seal_functions('troupe'),
  troupe.pin_plans(array['public.claim_jobs']::regproc[]); end $$;

notify pgrst, 'reload schema';

-- 20261121000110_group_commit ====================================================================================

-- Turns that only settle what they handled, save their state and send are committed together, by one statement for all of them: that
-- is most turns, and one by one each costs several times as much. What apply_turn does stays the rule: whenever anything is not as it
-- ordinarily is, everything done together is undone, and the turns are applied one by one.

-- Saves the states of turns: of an agent's several the last, if each was made from the one before.
create or replace function troupe.save_states(p_turns jsonb, p_now timestamptz) returns void
language plpgsql set search_path = '' as $$
declare
  v_agents text[];
  v_tokens bigint[];
  v_first bigint[];
  v_last bigint[];
  v_values text[];
  v_chained boolean;
  v_saved integer;
  v_new integer;
begin
  select array_agg(agent_id), array_agg(token), array_agg(first), array_agg(last), array_agg(value), bool_and(chained)
    into v_agents, v_tokens, v_first, v_last, v_values, v_chained
    from (
      select agent_id, max(token) as token, min(version) as first, max(version) as last, (array_agg(value order by place desc))[1] as value,
        bool_and(coalesce(version = first + nth - 1, false) and value::jsonb is not null) as chained
      from (
        select *, row_number() over by_agent as nth, first_value(version) over by_agent as first
        from (
          select place, t ->> 'agent_id' as agent_id, (t ->> 'lease_token')::bigint as token,
            (t -> 'state' ->> 'version')::bigint as version, t -> 'state' ->> 'value' as value
          from jsonb_array_elements(p_turns) with ordinality as x(t, place) where t ? 'state'
        ) given
        window by_agent as (partition by agent_id order by place)
      ) numbered
      group by agent_id
    ) saved;
  if v_agents is null then
    return;
  elsif not v_chained then
    perform troupe.refuse('TRONE', 'these turns are to be applied one by one');
  end if;
  update public.agent_state s set version = given.last + 1, state = given.value, token = given.token, updated_at = p_now
    from unnest(v_agents, v_tokens, v_first, v_last, v_values) as given(agent_id, token, first, last, value)
    where s.agent_id = given.agent_id and s.version = given.first and given.first > 0;
  get diagnostics v_saved = row_count;
  insert into public.agent_state (agent_id, version, state, token, updated_at)
    select given.agent_id, given.last + 1, given.value, given.token, p_now
    from unnest(v_agents, v_tokens, v_first, v_last, v_values) as given(agent_id, token, first, last, value)
    where given.first = 0
    on conflict do nothing;
  get diagnostics v_new = row_count;
  if v_saved + v_new < cardinality(v_agents) then
    perform troupe.refuse('TRONE', 'these turns are to be applied one by one');
  end if;
end $$;

-- Sends the messages of turns, each turn's reply behind them. Gives for each turn what insert_messages says of its own.
create or replace function troupe.tell_all(p_turns jsonb, p_stamps jsonb, p_now timestamptz) returns jsonb[]
language plpgsql set search_path = '' as $$
declare
  v_messages jsonb;
  v_counts integer[];
  v_full boolean;
begin
  select jsonb_agg(m order by place, nth) into v_messages
    from (
      select place, nth, m || jsonb_build_object('from_agent', t -> 'agent_id') as m
      from jsonb_array_elements(p_turns) with ordinality as x(t, place)
      cross join lateral jsonb_array_elements(t -> 'messages') with ordinality as y(m, nth)
      union all
      select place, null, jsonb_build_object('id', t -> 'reply' ->> 'id', 'to_agent', t -> 'reply' ->> 'to_agent', 'type', 'reply',
        'body', t -> 'reply' ->> 'body', 'reply_to', t -> 'message' ->> 'id', 'from_agent', t -> 'agent_id')
      from jsonb_array_elements(p_turns) with ordinality as x(t, place) where t ? 'reply'
    ) told;
  if v_messages is null then
    return array_fill('[]'::jsonb, array[jsonb_array_length(p_turns)]);
  end if;
  -- Together they might take more room than is left, of which the first could have had some.
  select true into v_full from (
      select m ->> 'to_agent' as agent_id, count(*) as coming from jsonb_array_elements(v_messages) m
      where m ->> 'reply_to' is null group by 1
    ) given
    join public.agent_leases l on l.agent_id = given.agent_id and l.mailbox_limit is not null
    where (select count(*) from (select from public.agent_deliveries d
      where d.agent_id = l.agent_id and d.status = 'ready' limit l.mailbox_limit) waiting) + given.coming > l.mailbox_limit
    limit 1;
  if v_full then
    perform troupe.refuse('TRONE', 'these turns are to be applied one by one');
  end if;
  v_counts := array(
    select coalesce(jsonb_array_length(t -> 'messages'), 0) + case when t ? 'reply' then 1 else 0 end
    from jsonb_array_elements(p_turns) with ordinality as x(t, place) order by place);
  return troupe.split(troupe.insert_messages(v_messages, p_stamps, p_now), v_counts);
end $$;

-- Cuts a list into as many as there are counts.
create or replace function troupe.split(p_list jsonb, p_counts integer[]) returns jsonb[]
language plpgsql immutable set search_path = '' as $$
declare
  v_list jsonb[] := array(select one from jsonb_array_elements(p_list) with ordinality as t(one, at) order by at);
  v_pieces jsonb[] := '{}';
  v_at integer := 0;
begin
  for v_nth in 1 .. cardinality(p_counts) loop
    v_pieces := v_pieces || to_jsonb(v_list[v_at + 1 : v_at + p_counts[v_nth]]);
    v_at := v_at + p_counts[v_nth];
  end loop;
  return v_pieces;
end $$;

-- Writes plain turns together, or raises: then they are to be applied one by one. The caller has checked the leases and holds them.
create or replace function troupe.apply_turns(p_turns jsonb, p_stamps jsonb, p_now timestamptz) returns jsonb[]
language plpgsql set search_path = '' as $$
declare
  v_ids uuid[];
  v_agents text[];
  v_tokens bigint[];
  v_attempts integer[];
  v_interruptions integer[];
  v_settled integer;
  v_ended jsonb;
  v_created jsonb;
  v_told jsonb[];
  v_made jsonb[];
begin
  select array_agg((t -> 'message' ->> 'id')::uuid), array_agg(t ->> 'agent_id'), array_agg((t ->> 'lease_token')::bigint),
    array_agg(coalesce((t -> 'message' ->> 'attempts')::integer, 0)), array_agg((t -> 'message' ->> 'interruptions')::integer)
    into v_ids, v_agents, v_tokens, v_attempts, v_interruptions
    from jsonb_array_elements(p_turns) t where t -> 'message' ->> 'id' is not null;
  update public.agent_deliveries d set status = 'done', retry_at = null, finished_at = p_now
    from unnest(v_ids, v_agents, v_tokens, v_attempts, v_interruptions) as given(message_id, agent_id, token, attempts, interruptions)
    where d.message_id = given.message_id and d.agent_id = given.agent_id and d.finished_at is null and d.status <> 'scheduled'
      and d.token = given.token and d.attempts = given.attempts and d.interruptions = coalesce(given.interruptions, d.interruptions);
  get diagnostics v_settled = row_count;
  if v_settled < cardinality(v_ids) then
    perform troupe.refuse('TRONE', 'these turns are to be applied one by one');
  end if;

  select jsonb_agg((t -> 'job') || jsonb_build_object('job_id', t -> 'job' ->> 'id', 'outcome', 'completed')) into v_ended
    from jsonb_array_elements(p_turns) t where t -> 'message' ->> 'id' is null;
  if v_ended is not null and (
    (select count(distinct j ->> 'id') from jsonb_array_elements(v_ended) j) < jsonb_array_length(v_ended)
    or exists (select from json_array_elements(troupe.settle_jobs(v_ended, p_now)) ended where ended ->> 'verdict' <> 'ok')
  ) then
    perform troupe.refuse('TRONE', 'these turns are to be applied one by one');
  end if;

  perform troupe.save_states(p_turns, p_now);
  v_told := troupe.tell_all(p_turns, p_stamps, p_now);
  if p_turns @? '$[*].jobs[*]' then
    select jsonb_agg(j || jsonb_build_object('created_by', t -> 'agent_id') order by place, nth) into v_created
      from jsonb_array_elements(p_turns) with ordinality as x(t, place)
      cross join lateral jsonb_array_elements(t -> 'jobs') with ordinality as y(j, nth);
    v_made := troupe.split(troupe.insert_jobs(v_created, null, p_now),
      array(select coalesce(jsonb_array_length(t -> 'jobs'), 0) from jsonb_array_elements(p_turns) with ordinality as x(t, place) order by place));
  end if;
  if p_turns @? '$[*] ? (@.steps == true)' then
    delete from public.agent_steps s using (
        select case when t -> 'message' ->> 'id' is null then '' else t ->> 'agent_id' end as agent_id,
          coalesce(t -> 'message' ->> 'id', t -> 'job' ->> 'id')::uuid as message_id
        from jsonb_array_elements(p_turns) t where (t ->> 'steps')::boolean
      ) over_now
      where s.agent_id = over_now.agent_id and s.message_id = over_now.message_id;
  end if;
  return array(
    select jsonb_build_object('verdict', 'ok', 'messages', v_told[nth], 'jobs', coalesce(v_made[nth], '[]'), 'writes', '[]'::jsonb)
    from generate_series(1, jsonb_array_length(p_turns)) nth);
end $$;

-- Applies one turn, all or nothing, and gives its verdict. Raises what is not about this turn's data.
create or replace function troupe.try_turn(p_turn jsonb, p_stamps jsonb, p_now timestamptz) returns jsonb
language plpgsql set search_path = '' as $$
begin
  return troupe.apply_turn(p_turn, p_stamps, p_now);
exception
  when transaction_rollback or operator_intervention or insufficient_resources or system_error or connection_exception
    or invalid_transaction_state or lock_not_available then
    raise;
  when sqlstate 'TRSTL' then
    return '{"verdict": "stale", "reason": "state"}';
  when sqlstate 'TRFUL' then
    return jsonb_build_object('verdict', 'failed', 'code', 'MAILBOX_FULL', 'error', sqlerrm);
  when others then
    return jsonb_build_object('verdict', 'failed', 'code', sqlstate, 'error', sqlerrm);
end $$;

-- Applies plain turns together; null when they have to be applied one by one, and then nothing is written.
create or replace function troupe.try_turns(p_turns jsonb, p_stamps jsonb, p_now timestamptz) returns jsonb[]
language plpgsql set search_path = '' as $$
begin
  return troupe.apply_turns(p_turns, p_stamps, p_now);
exception
  when transaction_rollback or operator_intervention or insufficient_resources or system_error or connection_exception
    or invalid_transaction_state or lock_not_available then
    raise;
  when others then
    return null;
end $$;

-- Commits turns. p_batch: {turns, stamps?: {agent: lease token of the mailbox in memory}, refills?: as take_messages, awaiting?:
-- ids of asks}. Each turn:
--   {agent_id, lease_token, message: {id, attempts, interruptions?, counted?} | job: {id, lease_token, result?} | turn_id: what makes
--    a repeat known where there is neither (a message that was only in memory, an init without state), outcome?: done | retry | dead |
--    released | started | interrupted, error?, reason?, retry_in_ms?, state?: {version: that it was made from, value: JSON text},
--    reply?: {id, to_agent, body}, messages?: as insert_messages, jobs?: as create_jobs, timers?, writes?: [{fn, args}], steps?: true
--    when it saved any}
-- Outcomes of a message: retry and dead count an attempt, unless counted says that started has counted it already. started is
-- written before a suspect message runs alone, so that the attempt survives what it may do to the process. interrupted counts an
-- interruption, and needs message.interruptions: the thread died, but perhaps of another's message.
-- Answer: {turns: [{verdict, ...}], refills, replies}, each in order. A turn is all or nothing, with its own verdict:
--   ok      with what became of its messages, jobs and writes
--   repeat  it was committed before; with its messages as they are now, if they came with ids
--   stale   nothing was written; reason: lease (another incarnation has the agent), delivery, job or state (it belongs to
--           somebody else), follows (an earlier turn of the agent in this batch did not stand, and this one was built on it)
--   failed  its data was refused: code (MAILBOX_FULL or an SQLSTATE) and error say why
-- Only then may its messages be handed to their mailboxes. Deadlocks, serialisation failures and everything that is not about
-- one turn's data fail the call: repeat it as it is.
create or replace function public.commit_turns(p_batch jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_now timestamptz := troupe.now();
  v_stamps jsonb := coalesce(nullif(p_batch -> 'stamps', 'null'), '{}');
  v_refills jsonb := coalesce(nullif(p_batch -> 'refills', 'null'), '[]');
  v_awaiting uuid[] := array(select (a #>> '{}')::uuid from jsonb_array_elements(nullif(p_batch -> 'awaiting', 'null')) a);
  v_held jsonb;
  v_fallen jsonb := '{}'; -- agents of which a turn did not stand
  v_run record;
  v_turn jsonb;
  v_agent text;
  v_verdict jsonb;
  v_together jsonb[];
  v_verdicts jsonb[] := '{}';
begin
  v_held := troupe.lock_leases(troupe.stamped_agents(v_stamps)
    || array(select t ->> 'agent_id' from jsonb_array_elements(p_batch -> 'turns') t)
    || array(select r ->> 'agent_id' from jsonb_array_elements(v_refills) r));
  -- Runs of plain turns of agents that are held, and each other turn for itself.
  for v_run in
    select jsonb_agg(t order by place) as turns, count(*) > 1 as together, array_agg(t ->> 'agent_id') as agents
    from (
      select t, place, case when not plain then place else place - row_number() over (partition by plain order by place) end as run, plain
      from (
        select t, place, coalesce(t ->> 'outcome', 'done') = 'done'
            and coalesce(v_held -> (t ->> 'agent_id') = t -> 'lease_token', false)
            and coalesce(t -> 'message' ->> 'id', t -> 'job' ->> 'id') is not null
            and coalesce(t -> 'writes', '[]') = '[]' and coalesce(t -> 'timers', '[]') = '[]'
            and not t @? '$.jobs[*].dedupe_key' -- a job that ends later in the batch may have the key
          as plain
        from jsonb_array_elements(p_batch -> 'turns') with ordinality as x(t, place)
      ) told
    ) grouped
    group by plain, run order by min(place)
  loop
    v_together := null;
    if v_run.together and not v_fallen ?| v_run.agents then
      v_together := troupe.try_turns(v_run.turns, v_stamps, v_now);
    end if;
    if v_together is not null then
      v_verdicts := v_verdicts || v_together;
      continue;
    end if;
    for v_turn in select t from jsonb_array_elements(v_run.turns) with ordinality as x(t, place) order by place loop
      v_agent := v_turn ->> 'agent_id';
      if not troupe.is_holder(v_held, v_agent, v_turn -> 'lease_token') then
        v_verdict := '{"verdict": "stale", "reason": "lease"}';
      elsif v_fallen ? v_agent then
        v_verdict := '{"verdict": "stale", "reason": "follows"}';
      else
        v_verdict := troupe.try_turn(v_turn, v_stamps, v_now);
        if v_verdict ->> 'verdict' not in ('ok', 'repeat') then
          v_fallen := v_fallen || jsonb_build_object(v_agent, true);
        end if;
      end if;
      v_verdicts := v_verdicts || v_verdict; -- not into a jsonb, which would be written anew each time
    end loop;
  end loop;
  return jsonb_build_object(
    'turns', to_jsonb(v_verdicts),
    'refills', case when v_refills = '[]' then '[]' else public.take_messages(v_refills) end,
    'replies', case when v_awaiting = '{}' then '[]' else public.read_replies(v_awaiting) end);
end $$;

create or replace function public.schema_version() returns text
language sql immutable set search_path = '' as $$ select '20261121000110' $$;

do $$ begin perform
  troupe.seal_functions('public', array['commit_turns', 'schema_version']),
  troupe.seal_functions('troupe'),
  troupe.pin_plans(array['public.commit_turns']::regproc[]); end $$;

notify pgrst, 'reload schema';

-- 20261121000120_endless_messages ================================================================================

-- A message that somebody else wrote may say that it expires at infinity. It never does then, which is what no time says; how long it
-- has left cannot be computed, and that would keep its receiver from all of its mail.
create or replace function troupe.limit_expiry() returns trigger
language plpgsql set search_path = '' as $$
begin
  new.expires_at := case when new.expires_at = '-infinity' then troupe.now() end;
  return new;
end $$;
drop trigger if exists limit_expiry on public.agent_messages;
create trigger limit_expiry before insert on public.agent_messages
  for each row when (not isfinite(new.expires_at))
  execute function troupe.limit_expiry();

update public.agent_deliveries set expires_at = null where expires_at = 'infinity';
update public.agent_messages set expires_at = null where expires_at = 'infinity';

create or replace function public.schema_version() returns text
language sql immutable set search_path = '' as $$ select '20261121000120' $$;

do $$ begin perform
  troupe.seal_functions('public', array['schema_version']),
  troupe.seal_functions('troupe'); end $$;

notify pgrst, 'reload schema';

-- 20261121000130_full_by_broadcast ===============================================================================

-- A turn's broadcast may fill a mailbox for a turn behind it: those are applied one by one as well.

-- Sends the messages of turns, each turn's reply behind them. Gives for each turn what insert_messages says of its own.
create or replace function troupe.tell_all(p_turns jsonb, p_stamps jsonb, p_now timestamptz) returns jsonb[]
language plpgsql set search_path = '' as $$
declare
  v_messages jsonb;
  v_counts integer[];
  v_broadcasts bigint;
  v_full boolean;
begin
  select jsonb_agg(m order by place, nth) into v_messages
    from (
      select place, nth, m || jsonb_build_object('from_agent', t -> 'agent_id') as m
      from jsonb_array_elements(p_turns) with ordinality as x(t, place)
      cross join lateral jsonb_array_elements(t -> 'messages') with ordinality as y(m, nth)
      union all
      select place, null, jsonb_build_object('id', t -> 'reply' ->> 'id', 'to_agent', t -> 'reply' ->> 'to_agent', 'type', 'reply',
        'body', t -> 'reply' ->> 'body', 'reply_to', t -> 'message' ->> 'id', 'from_agent', t -> 'agent_id')
      from jsonb_array_elements(p_turns) with ordinality as x(t, place) where t ? 'reply'
    ) told;
  if v_messages is null then
    return array_fill('[]'::jsonb, array[jsonb_array_length(p_turns)]);
  end if;
  -- Together they might take more room than is left, of which the first could have had some. A broadcast is never refused, and takes
  -- room before what is told after it.
  select count(*) into v_broadcasts from jsonb_array_elements(v_messages) m where m ->> 'to_agent' is null;
  select true into v_full from (
      select m ->> 'to_agent' as agent_id, count(*) as coming from jsonb_array_elements(v_messages) m
      where m ->> 'reply_to' is null group by 1
    ) given
    join public.agent_leases l on l.agent_id = given.agent_id and l.mailbox_limit is not null
    where (select count(*) from (select from public.agent_deliveries d
      where d.agent_id = l.agent_id and d.status = 'ready' limit l.mailbox_limit) waiting) + given.coming + v_broadcasts > l.mailbox_limit
    limit 1;
  if v_full then
    perform troupe.refuse('TRONE', 'these turns are to be applied one by one');
  end if;
  v_counts := array(
    select coalesce(jsonb_array_length(t -> 'messages'), 0) + case when t ? 'reply' then 1 else 0 end
    from jsonb_array_elements(p_turns) with ordinality as x(t, place) order by place);
  return troupe.split(troupe.insert_messages(v_messages, p_stamps, p_now), v_counts);
end $$;

create or replace function public.schema_version() returns text
language sql immutable set search_path = '' as $$ select '20261121000130' $$;

do $$ begin perform
  troupe.seal_functions('public', array['schema_version']),
  troupe.seal_functions('troupe'); end $$;

notify pgrst, 'reload schema';

-- 20261121000140_newest_opportunities ============================================================================

-- Who watches a team looks for the newest opportunities, every two seconds.
create index if not exists trade_opportunities_newest on public.trade_opportunities (discovered_at);

create or replace function public.schema_version() returns text
language sql immutable set search_path = '' as $$ select '20261121000140' $$;

do $$ begin perform
  troupe.seal_functions('public', array['schema_version']); end $$;

notify pgrst, 'reload schema';

-- 20261121000150_usage ===========================================================================================

-- What agents and teams have used of models in each window of their budgets: a budget holds for all processes, and across restarts.
create table if not exists public.agent_usage (
  scope text not null,
  id text not null,
  every text not null,
  window_start timestamptz not null,
  tokens bigint not null default 0,
  usd numeric not null default 0,
  primary key (scope, id, every, window_start),
  constraint agent_usage_scope_word check (scope in ('agent', 'team')),
  constraint agent_usage_every_word check (every in ('hour', 'day')),
  constraint agent_usage_range check (tokens >= 0 and usd >= 0)
);
do $$ begin perform troupe.seal_tables(array['agent_usage']); end $$;

-- Adds to what was used, and tells how much that is now. p_batch: [{scope: agent | team, id, every: hour | day, window_start, tokens,
-- usd}], tokens and usd 0 to be only told. Answers in order: [{tokens, usd}]. Repeated after a lost answer it counts twice, which is
-- on the safe side. Forgets windows of the same agent or team that began more than 35 days before.
create or replace function public.record_usage(p_batch jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_answer jsonb;
begin
  insert into public.agent_usage as known (scope, id, every, window_start, tokens, usd)
    select u ->> 'scope', u ->> 'id', u ->> 'every', (u ->> 'window_start')::timestamptz,
      sum(coalesce((u ->> 'tokens')::bigint, 0)), sum(coalesce((u ->> 'usd')::numeric, 0))
    from jsonb_array_elements(p_batch) u
    group by 1, 2, 3, 4 order by 1, 2, 3, 4 -- in one order, so that two processes never wait for each other
    on conflict (scope, id, every, window_start) do update
      set tokens = known.tokens + excluded.tokens, usd = known.usd + excluded.usd;
  delete from public.agent_usage old using jsonb_array_elements(p_batch) u
    where old.scope = u ->> 'scope' and old.id = u ->> 'id' and old.every = u ->> 'every'
      and old.window_start < (u ->> 'window_start')::timestamptz - interval '35 days';
  select jsonb_agg(jsonb_build_object('tokens', known.tokens, 'usd', known.usd) order by place) into v_answer
    from jsonb_array_elements(p_batch) with ordinality as t(u, place)
    join public.agent_usage known on known.scope = u ->> 'scope' and known.id = u ->> 'id' and known.every = u ->> 'every'
      and known.window_start = (u ->> 'window_start')::timestamptz;
  return coalesce(v_answer, '[]');
end $$;

create or replace function public.schema_version() returns text
language sql immutable set search_path = '' as $$ select '20261121000150' $$;

do $$ begin perform
  troupe.seal_functions('public', array['record_usage', 'schema_version']); end $$;

notify pgrst, 'reload schema';

-- 20261121000160_baskets_and_events ==============================================================================

-- The markets of one event are risked together, the legs of a basket belong to one opportunity, and a market is free for a new
-- opportunity once the trade of the last one has ended.

create index if not exists trade_executions_open_event on public.trade_executions (event_id) where status in ('pending', 'executed');

-- What is open in all markets of an event, in USD.
create or replace function troupe.event_exposure(p_event text) returns numeric
language sql stable set search_path = '' as $$
  select coalesce(sum(e.amount), 0) from public.trade_executions e
    where e.event_id = p_event and e.status in ('pending', 'executed')
$$;

-- What a size is decided by, in USD. p_args: {market_id?, event_id?, broker?}. Gives {today, market, event} as reserve_execution counts
-- them, and for the broker (paper unless told) {open: what its open trades have taken, pnl: what its settled ones have brought}.
create or replace function public.trading_exposure(p_args jsonb default '{}') returns jsonb
language plpgsql stable set search_path = '' as $$
declare
  v_used record;
  v_broker text := coalesce(p_args ->> 'broker', 'paper');
begin
  select * into v_used from troupe.exposure(p_args ->> 'market_id', troupe.now());
  return jsonb_build_object('today', v_used.today, 'market', v_used.market, 'event', troupe.event_exposure(p_args ->> 'event_id'),
    'open', (select coalesce(sum(e.amount + e.fees), 0) from public.trade_executions e
      where e.status in ('pending', 'executed') and coalesce(e.details ->> 'broker', 'paper') = v_broker),
    'pnl', (select coalesce(sum(e.pnl), 0) from public.trade_executions e
      where e.status = 'settled' and coalesce(e.details ->> 'broker', 'paper') = v_broker));
end $$;

-- Writes an execution before anybody acts, if system_config allows it. p_args: {idempotency_key, id?, opportunity_id?, job_id?,
-- market_id, side, amount: USD at most, entry_price?, executed_by?, event_id?, details?}. Verdicts: ok with execution_id; repeat with
-- the execution that has the key, its stage and status; refused with reason trading_disabled, max_position_size (of a market),
-- max_event_exposure (the same limit for all markets of event_id together: at most one of them pays), max_daily_exposure,
-- already_executed (the opportunity, except by a leg of the same details.basket) or config_missing, and the numbers. The three
-- config rows stay locked until the commit, so that any number of traders together keep the limits.
create or replace function public.reserve_execution(p_args jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_now timestamptz;
  v_key text := p_args ->> 'idempotency_key';
  v_amount numeric := (p_args ->> 'amount')::numeric;
  v_known public.trade_executions;
  v_config jsonb;
  v_used record;
  v_event numeric;
  v_id uuid;
begin
  if coalesce(v_key, '') = '' then
    perform troupe.refuse('PT400', 'reserve_execution: idempotency_key is missing', 'derive it from the turn: ctx.id(name)');
  end if;
  if v_amount is null or not (v_amount > 0 and v_amount < 1e12) then -- NaN is above every number
    perform troupe.refuse('PT400', format('reserve_execution: amount is %s', coalesce(v_amount::text, 'missing')), 'a positive number of USD');
  end if;
  if current_setting('transaction_isolation') = 'repeatable read' then -- it would not see what others reserve while it waits below
    perform troupe.refuse('PT409', 'reserve_execution: not in a repeatable read transaction', 'read committed, or serializable');
  end if;
  perform from (
    select from public.system_config c where c.key in ('trading_enabled', 'max_daily_exposure', 'max_position_size')
    order by c.key for update) locked;
  v_now := troupe.now(); -- after the wait
  select * into v_known from public.trade_executions e where e.idempotency_key = v_key;
  if found then
    return jsonb_build_object('verdict', 'repeat', 'execution_id', v_known.id, 'stage', v_known.stage, 'status', v_known.status);
  end if;
  select jsonb_object_agg(c.key, c.value) into v_config from public.system_config c
    where c.key in ('trading_enabled', 'max_daily_exposure', 'max_position_size');
  if v_config is null or not v_config ?& array['trading_enabled', 'max_daily_exposure', 'max_position_size'] then
    return '{"verdict": "refused", "reason": "config_missing"}';
  elsif v_config -> 'trading_enabled' <> 'true' then
    return '{"verdict": "refused", "reason": "trading_disabled"}';
  elsif exists (select from public.trade_executions e where e.opportunity_id = (p_args ->> 'opportunity_id')::uuid and e.status <> 'failed'
      and (e.details ->> 'basket' is null or e.details ->> 'basket' is distinct from p_args #>> '{details,basket}')) then
    return '{"verdict": "refused", "reason": "already_executed"}';
  end if;
  select * into v_used from troupe.exposure(p_args ->> 'market_id', v_now);
  v_event := troupe.event_exposure(p_args ->> 'event_id');
  if v_used.market + v_amount > (v_config ->> 'max_position_size')::numeric then
    return jsonb_build_object('verdict', 'refused', 'reason', 'max_position_size', 'used', v_used.market, 'limit', v_config -> 'max_position_size');
  elsif v_event + v_amount > (v_config ->> 'max_position_size')::numeric then
    return jsonb_build_object('verdict', 'refused', 'reason', 'max_event_exposure', 'used', v_event, 'limit', v_config -> 'max_position_size');
  elsif v_used.today + v_amount > (v_config ->> 'max_daily_exposure')::numeric then
    return jsonb_build_object('verdict', 'refused', 'reason', 'max_daily_exposure', 'used', v_used.today, 'limit', v_config -> 'max_daily_exposure');
  end if;
  insert into public.trade_executions (id, opportunity_id, job_id, market_id, side, amount, entry_price, status, stage, executed_by,
    idempotency_key, event_id, details, created_at)
  values (coalesce((p_args ->> 'id')::uuid, gen_random_uuid()), (p_args ->> 'opportunity_id')::uuid, (p_args ->> 'job_id')::uuid,
    p_args ->> 'market_id', p_args ->> 'side', v_amount, (p_args ->> 'entry_price')::numeric, 'pending', 'reserved', p_args ->> 'executed_by',
    v_key, p_args ->> 'event_id', coalesce(nullif(p_args -> 'details', 'null'), '{}'), v_now)
  returning id into v_id;
  return jsonb_build_object('verdict', 'ok', 'execution_id', v_id);
end $$;

-- An approved opportunity keeps its key as long as a trade of it is open; then its market may be found again.
create or replace function troupe.free_opportunity_key() returns trigger
language plpgsql set search_path = '' as $$
begin
  update public.trade_opportunities o set dedupe_key = null
    where o.id = new.opportunity_id and o.dedupe_key is not null and o.status <> 'pending' and not exists (
      select from public.trade_executions e where e.opportunity_id = o.id and e.status in ('pending', 'executed'));
  return null;
end $$;
drop trigger if exists free_opportunity_key on public.trade_executions;
create trigger free_opportunity_key after update of status on public.trade_executions
  for each row when (new.opportunity_id is not null and new.status in ('failed', 'settled') and new.status is distinct from old.status)
  execute function troupe.free_opportunity_key();

create or replace function public.schema_version() returns text
language sql immutable set search_path = '' as $$ select '20261121000160' $$;

insert into troupe.callable_functions (name) values ('trading_exposure') on conflict do nothing;
do $$ begin perform
  troupe.seal_functions('public', array['trading_exposure', 'reserve_execution', 'schema_version']),
  troupe.seal_functions('troupe'),
  troupe.pin_plans(array['public.trading_exposure', 'public.reserve_execution']::regproc[]); end $$;

notify pgrst, 'reload schema';

-- 20261121000170_people_decide ===================================================================================

-- A person may decide in a trader's place. The trader's job has ended meanwhile, so an approval brings a new one; and an approval of
-- which nothing was bought may be taken back, by the person or by the trader who finds that it is not worth it any more.

-- Decides on an opportunity. p_args: {id, decision: approved | rejected, reviewed_by, reason?, job?: with an approval, what its
-- execute_trade job has besides the opportunity, {} for nothing}. Verdicts: ok, with job_id; repeat; expired (no approval after
-- expires_at); stale with its status, decided otherwise before, and when approved perhaps bought; not_found.
create or replace function public.review_opportunity(p_args jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_now timestamptz := troupe.now();
  v_decision text := p_args ->> 'decision';
  v_row public.trade_opportunities;
  v_job jsonb;
begin
  if v_decision is null or v_decision not in ('approved', 'rejected') then
    perform troupe.refuse('PT400', format('review_opportunity: decision %L', v_decision), 'approved or rejected');
  end if;
  select * into v_row from public.trade_opportunities o where o.id = (p_args ->> 'id')::uuid for update;
  if not found then
    return '{"verdict": "not_found"}';
  elsif v_row.status = v_decision and v_row.reviewed_by is not distinct from p_args ->> 'reviewed_by' then
    return '{"verdict": "repeat"}';
  elsif v_row.status <> 'pending' and not (v_row.status = 'approved' and v_decision = 'rejected' and not exists (
      select from public.trade_executions e where e.opportunity_id = v_row.id and e.status <> 'failed')) then
    return jsonb_build_object('verdict', 'stale', 'status', v_row.status);
  elsif v_decision = 'approved' and v_row.expires_at <= v_now then
    return '{"verdict": "expired"}';
  end if;
  update public.trade_opportunities o set status = v_decision, reviewed_by = p_args ->> 'reviewed_by', reviewed_at = v_now,
    review_reason = p_args ->> 'reason' where o.id = v_row.id;
  if v_decision = 'approved' and p_args -> 'job' <> 'null' then
    v_job := troupe.insert_jobs(jsonb_build_array(jsonb_build_object('job_type', 'execute_trade',
        'priority', case when v_row.confidence > 0.8 then 3 else 5 end) || (p_args -> 'job')
      || jsonb_build_object('payload', jsonb_build_object('opportunity_id', v_row.id, 'market_id', v_row.market_id, 'side', v_row.side,
        'amount', v_row.suggested_position, 'confidence', v_row.confidence))), p_args ->> 'reviewed_by', v_now) -> 0;
  end if;
  return jsonb_strip_nulls(jsonb_build_object('verdict', 'ok', 'job_id', v_job -> 'job_id'));
end $$;

create or replace function public.schema_version() returns text
language sql immutable set search_path = '' as $$ select '20261121000170' $$;

do $$ begin perform
  troupe.seal_functions('public', array['review_opportunity', 'schema_version']),
  troupe.pin_plans(array['public.review_opportunity']::regproc[]); end $$;

notify pgrst, 'reload schema';

-- 20261129000100_replayed_letters ================================================================================

-- A dead letter that is replayed has no end of its own any more: what died of age would die again at once. It did all the same when its
-- receiver was not there, for then it got the message's own end back as soon as that registered.

-- Moves up to p_limit waiting messages, together about p_bytes but at least one, into the memory of the incarnation with this
-- token. A quarter of the room is kept for ordinary messages, so that express ones cannot starve them.
-- p_have: ids that are in its memory. What is stamped for it and not among them is given again: that answer was lost.
-- Ordered by token, too: that it is null does not tell the planner that the index is in the order of seq.
create or replace function troupe.take(p_agent text, p_token bigint, p_limit integer, p_bytes bigint, p_have jsonb, p_now timestamptz)
returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_ids uuid[] := '{}';
  v_room integer := p_limit;
  v_messages jsonb;
begin
  perform troupe.wake(p_agent, p_now);
  if jsonb_typeof(p_have) = 'array' then
    v_ids := array(
      select d.message_id from public.agent_deliveries d
      where d.agent_id = p_agent and d.token = p_token and d.status = 'ready' and not p_have ? d.message_id::text
      order by d.rank, d.seq limit p_limit);
    v_room := p_limit - cardinality(v_ids);
  end if;
  v_ids := v_ids || array(
    select d.message_id from public.agent_deliveries d
    where d.agent_id = p_agent and d.token is null and d.rank = 0 and d.status = 'ready'
    order by d.token, d.seq limit least(v_room, greatest(1, v_room - v_room / 4)) for update skip locked);
  v_ids := v_ids || array(
    select d.message_id from public.agent_deliveries d
    where d.agent_id = p_agent and d.token is null and d.rank = 1 and d.status = 'ready'
    order by d.token, d.seq limit p_limit - cardinality(v_ids) for update skip locked);
  v_ids := array(
    select sized.id from (
      select waiting.id, waiting.place, sum(size.bytes) over (order by waiting.place) - size.bytes as before
      from unnest(v_ids) with ordinality as waiting(id, place)
      join public.agent_messages m on m.id = waiting.id
      cross join lateral (select coalesce(octet_length(m.body), pg_column_size(m.payload), 0) as bytes) size
    ) sized where sized.before < p_bytes order by sized.place);
  with taken as (
    update public.agent_deliveries d set
      status = case when due.expires_at <= p_now then 'dead' else 'ready' end,
      dead_reason = case when due.expires_at <= p_now then 'expired' end,
      finished_at = case when due.expires_at <= p_now then p_now end,
      token = p_token, is_unknown = false, expires_at = due.expires_at
      from ( -- is_unknown: it was sent while this agent registered, and need not wait for that any more
        select m.id, case when not own.is_unknown or own.expires_at = m.expires_at then own.expires_at end as expires_at
        from public.agent_deliveries own join public.agent_messages m on m.id = own.message_id
        where own.message_id = any (v_ids) and own.agent_id = p_agent
      ) due
      where d.message_id = due.id and d.agent_id = p_agent
      returning d.*
  )
  select coalesce(jsonb_agg(jsonb_build_object('id', m.id, 'seq', t.seq, 'from_agent', m.from_agent, 'to_agent', m.to_agent,
      'type', m.subject, 'message_type', m.message_type, 'content', m.content, 'body', coalesce(m.body, m.payload::text, 'null'),
      'priority', m.priority, 'headers', m.headers, 'correlation_id', m.correlation_id, 'created_at', m.created_at,
      'attempts', t.attempts, 'interruptions', t.interruptions,
      'retry_in_ms', ceil(extract(epoch from t.retry_at - p_now) * 1000),
      'expires_in_ms', ceil(extract(epoch from t.expires_at - p_now) * 1000)) order by t.rank, t.seq), '[]')
    into v_messages
    from taken t join public.agent_messages m on m.id = t.message_id where t.status = 'ready';
  return jsonb_build_object('agent_id', p_agent, 'verdict', 'ok', 'messages', v_messages,
    'more', exists (select from public.agent_deliveries d where d.agent_id = p_agent and d.token is null and d.status = 'ready'),
    'next_in_ms', (
      select ceil(extract(epoch from min(due_at) - p_now) * 1000) from (
        (select t.due_at from public.agent_timers t where t.agent_id = p_agent order by t.due_at limit 1)
        union all
        (select d.due_at from public.agent_deliveries d where d.agent_id = p_agent and d.status = 'scheduled' order by d.due_at limit 1)
      ) due));
end $$;

-- Takes an agent's lease for a node: verdict ok with a new token, what the incarnation starts from, and whether its last
-- holder left without a word; busy while another node holds it; older when this node's config is older than the last holder's.
create or replace function troupe.take_lease(p_agent jsonb, p_node text, p_lease_ms numeric, p_now timestamptz) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_agent text := p_agent ->> 'agent_id';
  v_until timestamptz := p_now + troupe.ms(p_lease_ms);
  v_stamp bigint := coalesce((p_agent ->> 'spec_stamp')::bigint, 0);
  v_lease public.agent_leases;
  v_unclean boolean := false;
begin
  -- A standby asks all the time: it must not hold up the commits of whoever has the lease.
  select * into v_lease from public.agent_leases l where l.agent_id = v_agent and l.spec_stamp <= v_stamp
    and l.node_id <> p_node and l.lease_expires_at > p_now;
  if found then
    return jsonb_build_object('verdict', 'busy', 'node_id', v_lease.node_id,
      'expires_in_ms', ceil(extract(epoch from v_lease.lease_expires_at - p_now) * 1000));
  end if;
  insert into public.agent_leases (agent_id, agent_type, node_id, lease_expires_at, is_clean, spec_version, spec_stamp, mailbox_limit, registered_at)
    values (v_agent, coalesce(p_agent ->> 'agent_type', 'unknown'), p_node, v_until, false, p_agent ->> 'spec_version', v_stamp,
      (p_agent ->> 'mailbox_limit')::integer, p_now)
    on conflict (agent_id) do nothing;
  if not found then
    select * into v_lease from public.agent_leases l where l.agent_id = v_agent for update;
    if v_lease.spec_stamp > v_stamp then
      return jsonb_build_object('verdict', 'older');
    end if;
    if v_lease.node_id <> p_node and v_lease.lease_expires_at > p_now then
      return jsonb_build_object('verdict', 'busy', 'node_id', v_lease.node_id,
        'expires_in_ms', ceil(extract(epoch from v_lease.lease_expires_at - p_now) * 1000));
    end if;
    v_unclean := not v_lease.is_clean and v_lease.node_id <> p_node;
    update public.agent_leases l set agent_type = coalesce(p_agent ->> 'agent_type', l.agent_type), node_id = p_node,
      lease_token = l.lease_token + 1, lease_expires_at = v_until, is_clean = false, spec_version = p_agent ->> 'spec_version',
      spec_stamp = v_stamp, mailbox_limit = (p_agent ->> 'mailbox_limit')::integer, retired_at = null
      where l.agent_id = v_agent;
    if v_unclean then
      -- The message at the head was probably in hand when the process died, unless it or one of its sender's before it was
      -- waiting for a retry. It is innocent until this has happened often.
      update public.agent_deliveries d set interruptions = d.interruptions + 1,
        status = case when d.interruptions + 1 >= troupe.max_interruptions() then 'dead' else d.status end,
        dead_reason = case when d.interruptions + 1 >= troupe.max_interruptions() then 'interrupted' end,
        finished_at = case when d.interruptions + 1 >= troupe.max_interruptions() then p_now end
        where d.agent_id = v_agent and d.message_id = (
          select head.message_id from public.agent_deliveries head
          where head.agent_id = v_agent and head.status = 'ready' and head.token = v_lease.lease_token
            and not exists (select from public.agent_deliveries first where first.agent_id = v_agent and first.status = 'ready'
              and first.token = v_lease.lease_token and first.rank = head.rank and first.seq <= head.seq
              and first.from_agent = head.from_agent and first.retry_at > v_lease.lease_expires_at)
          order by head.rank, head.seq limit 1);
    end if;
    update public.agent_deliveries d set token = null where d.agent_id = v_agent and d.status = 'ready' and d.token is not null;
  end if;
  -- What was addressed to this name before it was known. An end that is not the message's own was the patience of an unknown address.
  update public.agent_deliveries d set is_unknown = false,
    expires_at = (select m.expires_at from public.agent_messages m where m.id = d.message_id and m.expires_at = d.expires_at)
    where d.agent_id = v_agent and d.is_unknown and d.status in ('scheduled', 'ready');
  return (
    select jsonb_build_object('verdict', 'ok', 'lease_token', l.lease_token, 'supervision', l.supervision, 'unclean', v_unclean,
      'state', (select jsonb_build_object('version', s.version, 'value', s.state) from public.agent_state s where s.agent_id = v_agent))
    from public.agent_leases l where l.agent_id = v_agent);
end $$;

create or replace function public.schema_version() returns text
language sql immutable set search_path = '' as $$ select '20261129000100' $$;

do $$ begin perform
  troupe.seal_functions('public', array['schema_version']),
  troupe.seal_functions('troupe'); end $$;

notify pgrst, 'reload schema';

-- 20261129000110_timers_for_once =================================================================================

-- A timer for once that takes the place of a periodic one keeps the name of its last message. While that waited, it was put away unfired.

-- Turns due timers and due delayed messages of one agent into ready ones. A periodic timer that missed ticks fires once, and not while
-- its last message still waits: a slow actor would collect them without end.
create or replace function troupe.wake(p_agent text, p_now timestamptz) returns void
language plpgsql set search_path = '' as $$
declare
  v_timer public.agent_timers;
  v_message uuid;
begin
  for v_timer in
    select * from public.agent_timers t where t.agent_id = p_agent and t.due_at <= p_now order by t.due_at limit 100 for update skip locked
  loop
    v_message := null;
    if v_timer.every_ms is null or not exists (select from public.agent_deliveries d
      where d.message_id = v_timer.message_id and d.agent_id = p_agent and d.finished_at is null)
    then
      v_message := gen_random_uuid();
      perform troupe.insert_messages(jsonb_build_array(jsonb_build_object('id', v_message, 'from_agent', p_agent, 'to_agent', p_agent,
        'type', v_timer.type, 'body', v_timer.body, 'headers', jsonb_build_object('timer', v_timer.name))), '{}', p_now);
    end if;
    if v_timer.every_ms is null then
      delete from public.agent_timers t where t.agent_id = p_agent and t.name = v_timer.name;
    else
      update public.agent_timers t set fired = t.fired + case when v_message is null then 0 else 1 end,
        message_id = coalesce(v_message, t.message_id),
        due_at = t.due_at + troupe.ms(t.every_ms * (1 + floor(extract(epoch from p_now - t.due_at) * 1000 / t.every_ms)))
        where t.agent_id = p_agent and t.name = v_timer.name;
    end if;
  end loop;
  for v_message in
    select d.message_id from public.agent_deliveries d
    where d.agent_id = p_agent and d.status = 'scheduled' and d.due_at <= p_now
    order by d.due_at, d.seq limit 500 for update skip locked
  loop -- one by one: they get their place in the mailbox in the order in which they were due
    update public.agent_deliveries d set status = 'ready', seq = nextval('troupe.delivery_seq')
      where d.message_id = v_message and d.agent_id = p_agent;
  end loop;
end $$;

create or replace function public.schema_version() returns text
language sql immutable set search_path = '' as $$ select '20261129000110' $$;

do $$ begin perform
  troupe.seal_functions('public', array['schema_version']),
  troupe.seal_functions('troupe'); end $$;

notify pgrst, 'reload schema';

-- 20261129000120_failures_known_later ============================================================================

-- Whoever reports a failure again, because the answer got lost, hears that it is known also when somebody has claimed the job since:
-- the history names the token. A release leaves no trace there. Reported again it is a repeat until the job is claimed, and then stale,
-- which takes nothing from whoever gave the job away.

-- Ends running jobs for their holders; elements as finish_jobs takes them, answers their verdicts in the same order.
create or replace function troupe.settle_jobs(p_batch jsonb, p_now timestamptz) returns json
language plpgsql set search_path = '' as $$
declare
  v_done uuid[];
  v_back uuid[] := '{}';
  v_completed text[]; -- by whom
  v_failed text[] := '{}';
begin
  with ended as (
    update public.agent_jobs j set status = 'completed', completed_at = p_now, started_at = coalesce(j.started_at, j.assigned_at),
      result = i.result, error_message = null, lease_expires_at = null, reap_at = null
      from (
        select * from jsonb_to_recordset(p_batch) as i(job_id uuid, lease_token bigint, outcome text, result jsonb)
        order by job_id -- one order of locks for everybody, or batches that overlap would deadlock
      ) i
      where i.outcome = 'completed' and j.id = i.job_id and j.lease_token = i.lease_token and j.lease_expires_at is not null
      returning j.id, j.assigned_to
  )
  select coalesce(array_agg(id), '{}'), coalesce(array_agg(assigned_to), '{}') into v_done, v_completed from ended;

  if cardinality(v_done) < jsonb_array_length(p_batch) then
    with ended as (
      update public.agent_jobs j set
        status = case when verdict.dead is not null then 'failed' else 'pending' end,
        completed_at = case when verdict.dead is not null then p_now end,
        dead_reason = verdict.dead,
        attempt = case when i.outcome = 'released' then j.attempt - 1 else j.attempt end,
        run_at = case
          when i.outcome = 'released' then p_now + troupe.ms(coalesce(i.retry_in_ms, 0))
          when i.retry_in_ms is not null then p_now + troupe.ms(i.retry_in_ms)
          else p_now + troupe.backoff(j.attempt, j.backoff_ms, j.backoff_max_ms) end,
        error_message = case when i.outcome = 'released' then j.error_message else left(i.error, 10000) end,
        result = case when i.outcome = 'released' then j.result else i.result end,
        history = case when i.outcome = 'released' then j.history
          else troupe.remember(j.history, j.attempt, j.lease_token, 'failed', j.assigned_to, i.error, p_now) end,
        assigned_to = case when verdict.dead is null then j.target_agent else j.assigned_to end,
        lease_expires_at = null, reap_at = null, legacy_claim = false
        from (
          select * from jsonb_to_recordset(p_batch) as i(job_id uuid, lease_token bigint, outcome text, result jsonb, error text,
            retryable boolean, retry_in_ms bigint) order by job_id
        ) i
        join public.agent_jobs held on held.id = i.job_id
        cross join lateral (select case
          when i.outcome = 'released' then null
          when i.retryable is false then 'fatal'
          when held.attempt >= held.max_attempts then 'attempts_exhausted' end as dead) verdict
        where i.outcome in ('failed', 'released') and j.id = held.id and j.lease_token = i.lease_token
          and j.lease_expires_at is not null
        returning j.id, held.assigned_to, i.outcome
    )
    select coalesce(array_agg(id), '{}'), coalesce(array_agg(assigned_to) filter (where outcome = 'failed'), '{}') into v_back, v_failed
      from ended;
  end if;
  perform troupe.count_jobs(v_completed, v_failed, p_now);

  if cardinality(v_done) = jsonb_array_length(p_batch) then -- the ordinary case: nothing to look up
    return (select json_agg(answer) from (select (e ->> 'job_id')::uuid as job_id, 'ok' as verdict from jsonb_array_elements(p_batch) e) answer);
  end if;
  -- A token may end its job once, in one way: what the row says of that token decides, so that one batch may name a job twice.
  return (
    select json_agg(json_build_object('job_id', i.job_id, 'verdict', case
      when j.id is null then 'not_found'
      when case i.outcome
        when 'completed' then j.lease_token = i.lease_token and j.status = 'completed'
        when 'failed' then j.history @> jsonb_build_array(jsonb_build_object('token', i.lease_token, 'outcome', 'failed'))
        when 'released' then j.lease_token = i.lease_token and j.status = 'pending'
          and (j.history -> -1 ->> 'token')::bigint is distinct from i.lease_token end
        then case when i.job_id = any (v_done) or i.job_id = any (v_back) then 'ok' else 'repeat' end
      else 'stale' end) order by i.place)
    from (
      select place, (e ->> 'job_id')::uuid as job_id, (e ->> 'lease_token')::bigint as lease_token, e ->> 'outcome' as outcome
      from jsonb_array_elements(p_batch) with ordinality as t(e, place)
    ) i left join public.agent_jobs j on j.id = i.job_id);
end $$;

create or replace function public.schema_version() returns text
language sql immutable set search_path = '' as $$ select '20261129000120' $$;

do $$ begin perform
  troupe.seal_functions('public', array['schema_version']),
  troupe.seal_functions('troupe'); end $$;

notify pgrst, 'reload schema';

-- 20261129000130_one_rule_each ===================================================================================

-- One rule in one place: claims hold and check leases as all other calls do, and a job of a turn that says who has created it is told the
-- same whether its turn is applied with others or alone.

-- Claims jobs for many agents in one call. Each element:
--   {agent_id, lease_token?: the agent's own (fences the claim), job_types?: [text] or null for any, limit: 1..500,
--    lease_ms: default 60000, claim_id?: uuid (a repeated request gets the same jobs and tokens), cursor?: from the last answer}
-- and its answer: {agent_id, verdict: ok | repeat | stale, jobs: [...], cursor}. Expired leases are ended on the way, so
-- recovery needs no leader and no cron. Priority is strict: a lower one waits while higher ones are pending.
-- Stale: the agent is somebody else's now, and what this very request had been given before is given back.
create or replace function public.claim_jobs(p_batch jsonb) returns json
language plpgsql set search_path = '' as $$
declare
  v_now timestamptz := troupe.now();
  v_held jsonb := troupe.lock_leases(array(
    select e ->> 'agent_id' from jsonb_array_elements(p_batch) e where e ->> 'lease_token' is not null));
  v_one record;
  v_answer json;
  v_answers json[] := '{}';
begin
  for v_one in
    select * from jsonb_to_recordset(p_batch) as c(agent_id text, lease_token bigint, job_types text[], "limit" integer,
      lease_ms integer, claim_id uuid, cursor jsonb)
  loop
    if coalesce(v_one.agent_id, '') = '' then
      perform troupe.refuse('PT400', 'claim_jobs: agent_id is missing', 'name the agent that claims');
    end if;
    if coalesce(v_one."limit", 1) not between 1 and 500 then
      perform troupe.refuse('PT400', format('claim_jobs: limit is %s', v_one."limit"), 'limit must be 1 to 500');
    end if;
    if coalesce(v_one.lease_ms, 60000) not between 100 and 86400000 then
      perform troupe.refuse('PT400', format('claim_jobs: lease_ms is %s', v_one.lease_ms), 'lease_ms must be 100 to 86400000');
    end if;
    if v_one.lease_token is not null and not troupe.is_holder(v_held, v_one.agent_id, to_jsonb(v_one.lease_token)) then
      perform troupe.unclaim(v_one.agent_id, v_one.claim_id, v_now);
      v_answer := json_build_object('agent_id', v_one.agent_id, 'verdict', 'stale', 'jobs', '[]'::json);
    else
      v_answer := troupe.claim(v_one.agent_id, v_one.job_types, coalesce(v_one."limit", 1), coalesce(v_one.lease_ms, 60000),
        v_one.claim_id, v_one.cursor, false, v_now);
    end if;
    v_answers := v_answers || v_answer;
  end loop;
  return array_to_json(v_answers);
end $$;

drop function if exists troupe.holds_lease(text, bigint);

-- Writes plain turns together, or raises: then they are to be applied one by one. The caller has checked the leases and holds them.
-- Locks have their one order (leases, deliveries and jobs, everything else, agent_status) within what is applied at once. Of turns that
-- are applied one by one each begins it anew: two calls may then wait for each other, of which PostgreSQL ends one, to be repeated.
create or replace function troupe.apply_turns(p_turns jsonb, p_stamps jsonb, p_now timestamptz) returns jsonb[]
language plpgsql set search_path = '' as $$
declare
  v_ids uuid[];
  v_agents text[];
  v_tokens bigint[];
  v_attempts integer[];
  v_interruptions integer[];
  v_settled integer;
  v_ended jsonb;
  v_created jsonb;
  v_told jsonb[];
  v_made jsonb[];
begin
  select array_agg((t -> 'message' ->> 'id')::uuid), array_agg(t ->> 'agent_id'), array_agg((t ->> 'lease_token')::bigint),
    array_agg(coalesce((t -> 'message' ->> 'attempts')::integer, 0)), array_agg((t -> 'message' ->> 'interruptions')::integer)
    into v_ids, v_agents, v_tokens, v_attempts, v_interruptions
    from jsonb_array_elements(p_turns) t where t -> 'message' ->> 'id' is not null;
  update public.agent_deliveries d set status = 'done', retry_at = null, finished_at = p_now
    from unnest(v_ids, v_agents, v_tokens, v_attempts, v_interruptions) as given(message_id, agent_id, token, attempts, interruptions)
    where d.message_id = given.message_id and d.agent_id = given.agent_id and d.finished_at is null and d.status <> 'scheduled'
      and d.token = given.token and d.attempts = given.attempts and d.interruptions = coalesce(given.interruptions, d.interruptions);
  get diagnostics v_settled = row_count;
  if v_settled < cardinality(v_ids) then
    perform troupe.refuse('TRONE', 'these turns are to be applied one by one');
  end if;

  select jsonb_agg((t -> 'job') || jsonb_build_object('job_id', t -> 'job' ->> 'id', 'outcome', 'completed')) into v_ended
    from jsonb_array_elements(p_turns) t where t -> 'message' ->> 'id' is null;
  if v_ended is not null and (
    (select count(distinct j ->> 'id') from jsonb_array_elements(v_ended) j) < jsonb_array_length(v_ended)
    or exists (select from json_array_elements(troupe.settle_jobs(v_ended, p_now)) ended where ended ->> 'verdict' <> 'ok')
  ) then
    perform troupe.refuse('TRONE', 'these turns are to be applied one by one');
  end if;

  perform troupe.save_states(p_turns, p_now);
  v_told := troupe.tell_all(p_turns, p_stamps, p_now);
  if p_turns @? '$[*].jobs[*]' then
    select jsonb_agg(j || jsonb_build_object('created_by', coalesce(j ->> 'created_by', t ->> 'agent_id')) order by place, nth) into v_created
      from jsonb_array_elements(p_turns) with ordinality as x(t, place)
      cross join lateral jsonb_array_elements(t -> 'jobs') with ordinality as y(j, nth);
    v_made := troupe.split(troupe.insert_jobs(v_created, null, p_now),
      array(select coalesce(jsonb_array_length(t -> 'jobs'), 0) from jsonb_array_elements(p_turns) with ordinality as x(t, place) order by place));
  end if;
  if p_turns @? '$[*] ? (@.steps == true)' then
    delete from public.agent_steps s using (
        select case when t -> 'message' ->> 'id' is null then '' else t ->> 'agent_id' end as agent_id,
          coalesce(t -> 'message' ->> 'id', t -> 'job' ->> 'id')::uuid as message_id
        from jsonb_array_elements(p_turns) t where (t ->> 'steps')::boolean
      ) over_now
      where s.agent_id = over_now.agent_id and s.message_id = over_now.message_id;
  end if;
  return array(
    select jsonb_build_object('verdict', 'ok', 'messages', v_told[nth], 'jobs', coalesce(v_made[nth], '[]'), 'writes', '[]'::jsonb)
    from generate_series(1, jsonb_array_length(p_turns)) nth);
end $$;

create or replace function public.schema_version() returns text
language sql immutable set search_path = '' as $$ select '20261129000130' $$;

do $$ begin perform
  troupe.seal_functions('public', array['claim_jobs', 'schema_version']),
  troupe.seal_functions('troupe'),
  troupe.pin_plans(array['public.claim_jobs']::regproc[]); end $$;

notify pgrst, 'reload schema';

-- 20261129000140_usage_once ======================================================================================

-- What was used of models is added once, however often it is told: an answer may get lost, and who did not get it tells it again.
create table if not exists public.agent_usage_requests (
  id uuid primary key,
  at timestamptz not null
);
create index if not exists agent_usage_requests_at on public.agent_usage_requests (at);
do $$ begin perform troupe.seal_tables(array['agent_usage_requests']); end $$;

-- One function with a default in place of the one without: of two, nobody could say which is meant.
drop function if exists public.record_usage(jsonb);

-- Adds to what was used, and tells how much that is now. p_batch: [{scope: agent | team, id, every: hour | day, window_start, tokens,
-- usd}], tokens and usd 0 to be only told. p_request: the id of this very batch; repeated within a week it adds nothing, and is told what
-- there is. Without one, a batch that is repeated after a lost answer counts twice. Answers in order: [{tokens, usd}]. Forgets windows of
-- the same agent or team that began more than 35 days before.
create or replace function public.record_usage(p_batch jsonb, p_request uuid default null) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_now timestamptz := troupe.now();
  v_is_new boolean := true;
  v_answer jsonb;
begin
  if p_request is not null then
    insert into public.agent_usage_requests (id, at) values (p_request, v_now) on conflict do nothing;
    v_is_new := found;
    delete from public.agent_usage_requests r where r.at < v_now - interval '7 days';
  end if;
  insert into public.agent_usage as known (scope, id, every, window_start, tokens, usd)
    select u ->> 'scope', u ->> 'id', u ->> 'every', (u ->> 'window_start')::timestamptz,
      case when v_is_new then sum(coalesce((u ->> 'tokens')::bigint, 0)) else 0 end,
      case when v_is_new then sum(coalesce((u ->> 'usd')::numeric, 0)) else 0 end
    from jsonb_array_elements(p_batch) u
    group by 1, 2, 3, 4 order by 1, 2, 3, 4 -- in one order, so that two processes never wait for each other
    on conflict (scope, id, every, window_start) do update
      set tokens = known.tokens + excluded.tokens, usd = known.usd + excluded.usd;
  delete from public.agent_usage old using jsonb_array_elements(p_batch) u
    where old.scope = u ->> 'scope' and old.id = u ->> 'id' and old.every = u ->> 'every'
      and old.window_start < (u ->> 'window_start')::timestamptz - interval '35 days';
  select jsonb_agg(jsonb_build_object('tokens', known.tokens, 'usd', known.usd) order by place) into v_answer
    from jsonb_array_elements(p_batch) with ordinality as t(u, place)
    join public.agent_usage known on known.scope = u ->> 'scope' and known.id = u ->> 'id' and known.every = u ->> 'every'
      and known.window_start = (u ->> 'window_start')::timestamptz;
  return coalesce(v_answer, '[]');
end $$;

create or replace function public.schema_version() returns text
language sql immutable set search_path = '' as $$ select '20261129000140' $$;

do $$ begin perform
  troupe.seal_functions('public', array['record_usage', 'schema_version']); end $$;

notify pgrst, 'reload schema';

-- 20261129000200_release_unsent ==================================================================================

-- What is released because nothing was sent must still be unsent at that moment: who went on with it may have been faster.

-- Gives a reservation back: nothing was bought. p_args: {id or idempotency_key, reason, stage?: reserved | ordered | unknown, only while
-- it has come no further than this}. Verdicts: ok, repeat, stale with its stage, not_found.
create or replace function public.release_execution(p_args jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_stage text := p_args ->> 'stage';
  v_row public.trade_executions := troupe.lock_execution(p_args);
begin
  if v_stage not in ('reserved', 'ordered', 'unknown') then
    perform troupe.refuse('PT400', format('release_execution: stage %L', v_stage), 'reserved, ordered or unknown');
  end if;
  if v_row.id is null then
    return '{"verdict": "not_found"}';
  elsif v_row.status = 'failed' then
    return '{"verdict": "repeat"}';
  elsif v_row.status <> 'pending' or v_row.stage <> v_stage then
    return jsonb_build_object('verdict', 'stale', 'stage', v_row.stage, 'status', v_row.status);
  end if;
  update public.trade_executions e set status = 'failed', stage = 'closed', error_message = coalesce(p_args ->> 'reason', e.error_message)
    where e.id = v_row.id;
  return '{"verdict": "ok"}';
end $$;

create or replace function public.schema_version() returns text
language sql immutable set search_path = '' as $$ select '20261129000200' $$;

do $$ begin perform
  troupe.seal_functions('public', array['release_execution', 'schema_version']),
  troupe.pin_plans(array['public.release_execution']::regproc[]); end $$;

notify pgrst, 'reload schema';

-- 20261129000210_money_of_a_platform =============================================================================

-- What was won and lost on made-up or recorded markets is no money on the exchange, though all of it is paper.

-- What a size is decided by, in USD. p_args: {market_id?, event_id?, broker?, platform?}. Gives {today, market, event} as
-- reserve_execution counts them, whatever the platform, and for the broker (paper unless told) on the platform (polymarket, replay or
-- simulated, as opportunities name it; all of them unless told) {open: what its open trades have taken, pnl: what its settled ones have
-- brought}.
create or replace function public.trading_exposure(p_args jsonb default '{}') returns jsonb
language plpgsql stable set search_path = '' as $$
declare
  v_used record;
  v_money record;
begin
  select * into v_used from troupe.exposure(p_args ->> 'market_id', troupe.now());
  select coalesce(sum(e.amount + e.fees) filter (where e.status <> 'settled'), 0) as open,
    coalesce(sum(e.pnl) filter (where e.status = 'settled'), 0) as pnl into v_money
    from public.trade_executions e
    where e.status in ('pending', 'executed', 'settled') and coalesce(e.details ->> 'broker', 'paper') = coalesce(p_args ->> 'broker', 'paper')
      and (p_args ->> 'platform' is null
        or split_part(coalesce(e.details ->> 'source', 'polymarket'), ':', 1) = p_args ->> 'platform');
  return jsonb_build_object('today', v_used.today, 'market', v_used.market, 'event', troupe.event_exposure(p_args ->> 'event_id'),
    'open', v_money.open, 'pnl', v_money.pnl);
end $$;

create or replace function public.schema_version() returns text
language sql immutable set search_path = '' as $$ select '20261129000210' $$;

do $$ begin perform
  troupe.seal_functions('public', array['trading_exposure', 'schema_version']),
  troupe.pin_plans(array['public.trading_exposure']::regproc[]); end $$;

notify pgrst, 'reload schema';

-- 20261129000300_attempts_taken_back =============================================================================

-- Attempts are throws, and deaths of the thread that ran the message alone. The attempt that `started` writes before such a run is
-- taken back when the run comes to another end: the process dies or loses the agent (then it is an interruption), it is told to stop,
-- or the agent is blocked. Else a message that never threw would be dead after a few deaths of its process, where it has ten.

-- Lease token of the incarnation that announced that it runs this alone; as long as it has this, that run has no end.
alter table public.agent_deliveries add column if not exists started_token bigint;

-- What a turn did to the delivery it handled, by compare and set on status, token and counts: this is what makes a turn's
-- effects exist once. Gives ok, repeat or stale. An outcome of retry or interrupted whose message says taken_back takes back the
-- attempt that started has counted.
create or replace function troupe.settle_delivery(p_turn jsonb, p_now timestamptz) returns text
language plpgsql set search_path = '' as $$
declare
  v_message uuid := (p_turn -> 'message' ->> 'id')::uuid;
  v_attempts integer := coalesce((p_turn -> 'message' ->> 'attempts')::integer, 0);
  v_interruptions integer := (p_turn -> 'message' ->> 'interruptions')::integer;
  v_token bigint := (p_turn ->> 'lease_token')::bigint;
  v_outcome text := coalesce(p_turn ->> 'outcome', 'done');
  -- what the counts are afterwards
  v_tried integer := v_attempts + case
    when v_outcome = 'started' then 1
    when v_outcome in ('retry', 'dead') and (p_turn -> 'message' ->> 'counted')::boolean is not true then 1
    else 0 end
    - case when (p_turn -> 'message' ->> 'taken_back')::boolean then 1 else 0 end;
  v_broken integer := v_interruptions + case v_outcome when 'interrupted' then 1 else 0 end;
  v_status text := case
    when v_outcome = 'interrupted' and v_broken >= troupe.max_interruptions() then 'dead'
    when v_outcome in ('retry', 'started', 'interrupted') then 'ready'
    else v_outcome end;
  v_found public.agent_deliveries;
begin
  if v_outcome = 'interrupted' and v_interruptions is null then
    perform troupe.refuse('PT400', 'commit_turns: message.interruptions is missing', 'interrupted is counted by compare and set');
  end if;
  update public.agent_deliveries d set
    status = v_status, attempts = v_tried, interruptions = coalesce(v_broken, d.interruptions),
    started_token = case v_outcome when 'started' then v_token end,
    retry_at = case v_outcome when 'retry' then p_now + troupe.ms(coalesce((p_turn ->> 'retry_in_ms')::numeric, 0)) end,
    finished_at = case when v_status <> 'ready' then p_now end,
    dead_reason = case v_outcome when 'dead' then coalesce(p_turn ->> 'reason', 'failed')
      when 'interrupted' then case v_status when 'dead' then 'interrupted' end end,
    error = coalesce(left(p_turn ->> 'error', 10000), d.error)
    -- That is: ready. Said so, the planner would look for it among all that is ready in the agent's mailbox.
    where d.message_id = v_message and d.agent_id = p_turn ->> 'agent_id' and d.finished_at is null and d.status <> 'scheduled'
      and d.token = v_token and d.attempts = v_attempts and d.interruptions = coalesce(v_interruptions, d.interruptions);
  if found then
    return 'ok';
  end if;
  select * into v_found from public.agent_deliveries d where d.message_id = v_message and d.agent_id = p_turn ->> 'agent_id';
  return case
    when v_found.token = v_token and v_found.status = v_status and v_found.attempts = v_tried
      and v_found.interruptions = coalesce(v_broken, v_found.interruptions) then 'repeat'
    else 'stale' end;
end $$;

-- Takes an agent's lease for a node: verdict ok with a new token, what the incarnation starts from, and whether its last
-- holder left without a word; busy while another node holds it; older when this node's config is older than the last holder's.
create or replace function troupe.take_lease(p_agent jsonb, p_node text, p_lease_ms numeric, p_now timestamptz) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_agent text := p_agent ->> 'agent_id';
  v_until timestamptz := p_now + troupe.ms(p_lease_ms);
  v_stamp bigint := coalesce((p_agent ->> 'spec_stamp')::bigint, 0);
  v_lease public.agent_leases;
  v_unclean boolean := false;
  v_in_hand uuid;
begin
  -- A standby asks all the time: it must not hold up the commits of whoever has the lease.
  select * into v_lease from public.agent_leases l where l.agent_id = v_agent and l.spec_stamp <= v_stamp
    and l.node_id <> p_node and l.lease_expires_at > p_now;
  if found then
    return jsonb_build_object('verdict', 'busy', 'node_id', v_lease.node_id,
      'expires_in_ms', ceil(extract(epoch from v_lease.lease_expires_at - p_now) * 1000));
  end if;
  insert into public.agent_leases (agent_id, agent_type, node_id, lease_expires_at, is_clean, spec_version, spec_stamp, mailbox_limit, registered_at)
    values (v_agent, coalesce(p_agent ->> 'agent_type', 'unknown'), p_node, v_until, false, p_agent ->> 'spec_version', v_stamp,
      (p_agent ->> 'mailbox_limit')::integer, p_now)
    on conflict (agent_id) do nothing;
  if not found then
    select * into v_lease from public.agent_leases l where l.agent_id = v_agent for update;
    if v_lease.spec_stamp > v_stamp then
      return jsonb_build_object('verdict', 'older');
    end if;
    if v_lease.node_id <> p_node and v_lease.lease_expires_at > p_now then
      return jsonb_build_object('verdict', 'busy', 'node_id', v_lease.node_id,
        'expires_in_ms', ceil(extract(epoch from v_lease.lease_expires_at - p_now) * 1000));
    end if;
    v_unclean := not v_lease.is_clean and v_lease.node_id <> p_node;
    update public.agent_leases l set agent_type = coalesce(p_agent ->> 'agent_type', l.agent_type), node_id = p_node,
      lease_token = l.lease_token + 1, lease_expires_at = v_until, is_clean = false, spec_version = p_agent ->> 'spec_version',
      spec_stamp = v_stamp, mailbox_limit = (p_agent ->> 'mailbox_limit')::integer, retired_at = null
      where l.agent_id = v_agent;
    if v_unclean then
      -- What had been announced was in hand when the process died. Else it was probably the head, unless that or one of its sender's
      -- before it was waiting for a retry. It is innocent until this has happened often.
      select in_hand.message_id into v_in_hand from public.agent_deliveries in_hand
        where in_hand.agent_id = v_agent and in_hand.status = 'ready' and in_hand.token = v_lease.lease_token
          and in_hand.started_token = v_lease.lease_token
        order by in_hand.rank, in_hand.seq limit 1;
      if not found then
        select head.message_id into v_in_hand from public.agent_deliveries head
          where head.agent_id = v_agent and head.status = 'ready' and head.token = v_lease.lease_token
            and not exists (select from public.agent_deliveries first where first.agent_id = v_agent and first.status = 'ready'
              and first.token = v_lease.lease_token and first.rank = head.rank and first.seq <= head.seq
              and first.from_agent = head.from_agent and first.retry_at > v_lease.lease_expires_at)
          order by head.rank, head.seq limit 1;
      end if;
    end if;
    -- A run that was announced and has no end was no attempt: nobody threw, and no thread that ran it alone died.
    update public.agent_deliveries d set token = null, started_token = null,
      attempts = d.attempts - case when d.started_token = d.token then 1 else 0 end
      where d.agent_id = v_agent and d.status = 'ready' and d.token is not null;
    update public.agent_deliveries d set interruptions = d.interruptions + 1,
      status = case when d.interruptions + 1 >= troupe.max_interruptions() then 'dead' else d.status end,
      dead_reason = case when d.interruptions + 1 >= troupe.max_interruptions() then 'interrupted' end,
      finished_at = case when d.interruptions + 1 >= troupe.max_interruptions() then p_now end
      where d.message_id = v_in_hand and d.agent_id = v_agent;
  end if;
  -- What was addressed to this name before it was known. An end that is not the message's own was the patience of an unknown address.
  update public.agent_deliveries d set is_unknown = false,
    expires_at = (select m.expires_at from public.agent_messages m where m.id = d.message_id and m.expires_at = d.expires_at)
    where d.agent_id = v_agent and d.is_unknown and d.status in ('scheduled', 'ready');
  return (
    select jsonb_build_object('verdict', 'ok', 'lease_token', l.lease_token, 'supervision', l.supervision, 'unclean', v_unclean,
      'state', (select jsonb_build_object('version', s.version, 'value', s.state) from public.agent_state s where s.agent_id = v_agent))
    from public.agent_leases l where l.agent_id = v_agent);
end $$;

create or replace function public.schema_version() returns text
language sql immutable set search_path = '' as $$ select '20261129000300' $$;

do $$ begin perform
  troupe.seal_functions('public', array['schema_version']),
  troupe.seal_functions('troupe'); end $$;

notify pgrst, 'reload schema';

-- 20261129000400_fewer_calls =====================================================================================

-- What is sent is described, and given its times, without a call for each row: each call of a function that has settings of its own takes
-- about as long as the row's insert.

-- Puts messages into the mailboxes they are for. Called with the messages just inserted.
-- p_stamps maps agents to the lease token of the incarnation that takes them at once, into memory: its rows are stamped,
-- and polling will not see them again. While anything waits in the table for that agent, new rows wait behind it: a
-- sender's second message must not overtake its first. The caller holds the leases of stamped_agents(p_stamps).
create or replace function troupe.deliver(p_ids uuid[], p_delays jsonb, p_stamps jsonb, p_log jsonb, p_now timestamptz) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_deliveries jsonb;
begin
  with delivered as (
    insert into public.agent_deliveries as d (message_id, agent_id, from_agent, rank, status, token, due_at, expires_at, finished_at, is_unknown)
    select m.id, receiver.agent_id, m.from_agent, case when m.priority in ('urgent', 'high') then 0 else 1 end,
      case when p_log ? m.id::text then 'done' when p_delays ? m.id::text then 'scheduled' else 'ready' end,
      case when not p_delays ? m.id::text and receiver.lease_token = (p_stamps ->> receiver.agent_id)::bigint
        and (select true from public.agent_deliveries w -- not exists: it would collect what waits for everybody, and hash it
          where w.agent_id = receiver.agent_id and w.token is null and w.status = 'ready' limit 1) is null
        then receiver.lease_token end,
      p_now + (p_delays ->> m.id::text)::float8 * interval '1 ms',
      case when receiver.lease_token is null then coalesce(m.expires_at, p_now + troupe.unknown_address_patience()) else m.expires_at end,
      case when p_log ? m.id::text then p_now end,
      receiver.lease_token is null
    from unnest(p_ids) with ordinality as told(id, place)
    join public.agent_messages m on m.id = told.id
    cross join lateral (
      select m.to_agent as agent_id, l.lease_token
        from (select) as direct left join public.agent_leases l on l.agent_id = m.to_agent and l.retired_at is null
        where m.to_agent is not null
          and (l.agent_id is not null or not exists (select from public.agent_status s where s.agent_id = m.to_agent
            and not exists (select from public.agent_leases gone where gone.agent_id = m.to_agent)))
      union all
      select l.agent_id, l.lease_token from public.agent_leases l
        where m.to_agent is null and l.retired_at is null and l.agent_id <> m.from_agent
    ) receiver
    where m.reply_to is null -- a reply goes to whoever waits for it, not into a mailbox
    order by told.place, receiver.agent_id
    on conflict do nothing
    returning d.*
  )
  select coalesce(jsonb_object_agg(message_id, given), '{}') into v_deliveries from (
    select d.message_id, jsonb_agg(jsonb_build_object('agent_id', d.agent_id, 'seq', d.seq, 'status', d.status,
        'stamped', d.status = 'ready' and coalesce(d.token = (p_stamps ->> d.agent_id)::bigint, false))
      || case when d.is_unknown then '{"unknown": true}'::jsonb else '{}' end order by d.seq) as given -- as describe_delivery
    from delivered d group by d.message_id) per_message;
  return v_deliveries;
end $$;

-- Inserts messages and their deliveries. Each element: {id?, from_agent, to_agent?: null is a broadcast, type, body?: JSON text,
-- content?, message_type?, priority?, expires_in_ms?, delay_ms?, reply_to?, correlation_id?, send_key?, headers?, log?: true}.
-- Give ids: only then can a repeat be told. log: the receiver keeps its mailbox in memory only (durability: async), the row
-- is a record. Answers in order:
--   {id, verdict: ok, deliveries: [{agent_id, seq, status, stamped, unknown?: true}]}; none for a reply or an agent outside Troupe
--   {id: of the first one, verdict: repeat, deliveries: as they are now, reply?: JSON text, status?: of its delivery, reason?: why
--    it died}; whoever did not get the first answer puts what is stamped into the mailbox, unless that id is there already
-- Raises TRFUL when a direct receiver has as many waiting as its mailbox_limit. An agent's own messages always go in: it would
-- wait for itself.
create or replace function troupe.insert_messages(p_messages jsonb, p_stamps jsonb, p_now timestamptz) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_batch jsonb;
  v_new uuid[];
  v_delays jsonb;
  v_log jsonb;
  v_deliveries jsonb;
  v_full text;
begin
  select jsonb_agg(e order by place),
    coalesce(jsonb_object_agg(e ->> 'id', e -> 'delay_ms') filter (where (e ->> 'delay_ms')::numeric > 0), '{}'),
    coalesce(jsonb_object_agg(e ->> 'id', true) filter (where (e ->> 'log')::boolean), '{}')
    into v_batch, v_delays, v_log
    from (
      select e || jsonb_build_object('id', coalesce((e ->> 'id')::uuid, gen_random_uuid())) as e, place
      from jsonb_array_elements(p_messages) with ordinality as t(e, place)
    ) named;
  -- One rule for every body, whoever gets it: what jsonb refuses (NUL, lone surrogates, no JSON at all) is refused.
  perform (e ->> 'body')::jsonb from jsonb_array_elements(v_batch) e;

  with told as (
    insert into public.agent_messages (id, message_type, from_agent, to_agent, subject, content, payload, body, priority, read, headers,
      reply_to, correlation_id, send_key, expires_at, created_at)
    select (e ->> 'id')::uuid, coalesce(e ->> 'message_type', case when e ->> 'reply_to' is null then 'command' else 'result' end),
      e ->> 'from_agent', e ->> 'to_agent', e ->> 'type', e ->> 'content',
      case when owner.is_ours then null else coalesce((e ->> 'body')::jsonb, 'null') end, -- only agents outside Troupe read it
      coalesce(e ->> 'body', 'null'), coalesce(e ->> 'priority', 'normal'), owner.is_ours,
      coalesce(nullif(e -> 'headers', 'null'), '{}'), (e ->> 'reply_to')::uuid, (e ->> 'correlation_id')::uuid, e ->> 'send_key',
      p_now + (e ->> 'expires_in_ms')::float8 * interval '1 ms', p_now
    from jsonb_array_elements(v_batch) with ordinality as t(e, place)
    cross join lateral (
      select e ->> 'reply_to' is not null
        or exists (select from public.agent_leases l where l.agent_id = e ->> 'to_agent' and l.retired_at is null) as is_ours
    ) owner
    order by place
    on conflict do nothing returning id
  )
  select coalesce(array_agg(id), '{}') into v_new from told;

  -- After the insert: a repeat takes no room.
  select l.agent_id into v_full from public.agent_leases l
    where l.mailbox_limit is not null
      and l.agent_id in (select e ->> 'to_agent' from jsonb_array_elements(v_batch) e
        where (e ->> 'id')::uuid = any (v_new) and e ->> 'from_agent' <> e ->> 'to_agent' and e ->> 'reply_to' is null
          and not v_log ? (e ->> 'id'))
      and (select count(*) from (select from public.agent_deliveries d
        where d.agent_id = l.agent_id and d.status = 'ready' limit l.mailbox_limit) waiting) >= l.mailbox_limit
    order by l.agent_id limit 1;
  if v_full is not null then
    perform troupe.refuse('TRFUL', format('MAILBOX_FULL: %s takes no more messages', v_full));
  end if;

  select troupe.deliver(array_agg((e ->> 'id')::uuid order by place), v_delays, p_stamps, v_log, p_now) into v_deliveries
    from jsonb_array_elements(v_batch) with ordinality as t(e, place) where (e ->> 'id')::uuid = any (v_new);

  return (
    select jsonb_agg(case
      when (e ->> 'id')::uuid = any (v_new) and nth = 1 then
        jsonb_build_object('id', e ->> 'id', 'verdict', 'ok', 'deliveries', coalesce(v_deliveries -> (e ->> 'id'), '[]'))
      else troupe.known_message(e, p_stamps) end order by place)
    from (
      select e, place, row_number() over (partition by e ->> 'id' order by place) as nth
      from jsonb_array_elements(v_batch) with ordinality as t(e, place)
    ) told);
end $$;

create or replace function public.schema_version() returns text
language sql immutable set search_path = '' as $$ select '20261129000400' $$;

do $$ begin perform
  troupe.seal_functions('public', array['schema_version']),
  troupe.seal_functions('troupe'); end $$;

notify pgrst, 'reload schema';

-- 20261129000410_late_steps ======================================================================================

-- A request that arrives after its turn is over, because it was given up and repeated while the server stood still, left a step behind
-- that nobody deletes, or called a function once more: the step that would have told is gone with its turn.

-- Whose steps a call means, and whether it may touch them now: a message's belong to the agent that handles it, until it has its end,
-- a job's to whoever holds the job. The caller holds the leases in p_held.
create or replace function troupe.step_owner(p_call jsonb, p_held jsonb, out is_holder boolean, out agent_id text, out message_id uuid)
language plpgsql set search_path = '' as $$
declare
  v_is_over boolean;
begin
  is_holder := troupe.is_holder(p_held, p_call ->> 'agent_id', p_call -> 'lease_token');
  if p_call ->> 'job_id' is null then
    agent_id := p_call ->> 'agent_id';
    message_id := (p_call ->> 'message_id')::uuid;
    -- Locked: the commit that ends it deletes its steps, and must see this one.
    select d.finished_at is not null into v_is_over from public.agent_deliveries d
      where d.message_id = step_owner.message_id and d.agent_id = step_owner.agent_id for share;
    is_holder := is_holder and v_is_over is not true;
  else
    agent_id := '';
    message_id := (p_call ->> 'job_id')::uuid;
    perform from public.agent_jobs j
      where j.id = message_id and j.lease_token = (p_call ->> 'job_token')::bigint and j.lease_expires_at is not null for share;
    is_holder := is_holder and found;
  end if;
end $$;

create or replace function public.schema_version() returns text
language sql immutable set search_path = '' as $$ select '20261129000410' $$;

do $$ begin perform
  troupe.seal_functions('public', array['schema_version']),
  troupe.seal_functions('troupe'); end $$;

notify pgrst, 'reload schema';

-- 20261130000100_dropped_letters =================================================================================

-- Whoever drops many dead letters at once does not note their ids: what was dropped can be listed, and so brought back, while it is kept.
create index if not exists agent_deliveries_dropped on public.agent_deliveries (finished_at) where status = 'dropped';
create or replace view public.v_dropped_letters with (security_invoker = true) as
  select d.message_id as id, d.agent_id, d.from_agent, m.subject as type, d.dead_reason as reason, d.error, d.attempts, d.interruptions,
    d.finished_at as died_at, m.created_at
  from public.agent_deliveries d join public.agent_messages m on m.id = d.message_id
  where d.status = 'dropped';

revoke all on public.v_dropped_letters from public, anon, authenticated;
grant select on public.v_dropped_letters to service_role;

create or replace function public.schema_version() returns text
language sql immutable set search_path = '' as $$ select '20261130000100' $$;

do $$ begin perform
  troupe.seal_functions('public', array['schema_version']); end $$;

notify pgrst, 'reload schema';

-- The ledger of the Supabase CLI, so that `supabase db push` and `troupe db migrate` know what is here.
create schema if not exists supabase_migrations;
create table if not exists supabase_migrations.schema_migrations (version text not null primary key);
alter table supabase_migrations.schema_migrations add column if not exists statements text[], add column if not exists name text;
insert into supabase_migrations.schema_migrations (version, name) values
  ('20261120000100', 'foundation'),
  ('20261120000200', 'tables'),
  ('20261120000300', 'jobs'),
  ('20261120000400', 'messages'),
  ('20261120000500', 'turns'),
  ('20261120000600', 'trading'),
  ('20261120000700', 'upkeep'),
  ('20261120000800', 'views'),
  ('20261120000900', 'realtime'),
  ('20261121000100', 'unread_claims'),
  ('20261121000110', 'group_commit'),
  ('20261121000120', 'endless_messages'),
  ('20261121000130', 'full_by_broadcast'),
  ('20261121000140', 'newest_opportunities'),
  ('20261121000150', 'usage'),
  ('20261121000160', 'baskets_and_events'),
  ('20261121000170', 'people_decide'),
  ('20261129000100', 'replayed_letters'),
  ('20261129000110', 'timers_for_once'),
  ('20261129000120', 'failures_known_later'),
  ('20261129000130', 'one_rule_each'),
  ('20261129000140', 'usage_once'),
  ('20261129000200', 'release_unsent'),
  ('20261129000210', 'money_of_a_platform'),
  ('20261129000300', 'attempts_taken_back'),
  ('20261129000400', 'fewer_calls'),
  ('20261129000410', 'late_steps'),
  ('20261130000100', 'dropped_letters')
on conflict (version) do nothing;
grant usage on schema supabase_migrations to service_role;
grant select on supabase_migrations.schema_migrations to service_role;

commit;
