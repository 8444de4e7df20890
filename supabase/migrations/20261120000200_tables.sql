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
