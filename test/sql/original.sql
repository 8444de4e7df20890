-- The original Python system as its agents know it, with what was wrong in it: no NOT NULL on status, foreign keys that block
-- deletes, views with `select *`, policies that let everybody in, narrow checks and types; filled with rows as those agents
-- leave them behind. For tests of the upgrade.

create table public.agent_jobs (
  id uuid primary key default gen_random_uuid(),
  job_type text not null,
  payload jsonb not null default '{}',
  status text default 'pending' check (status in ('pending', 'assigned', 'in_progress', 'completed', 'failed')),
  priority integer default 5 check (priority between 1 and 10),
  created_by text not null,
  assigned_to text,
  created_at timestamptz default now(),
  assigned_at timestamptz,
  started_at timestamptz,
  completed_at timestamptz,
  result jsonb,
  error_message text
);
create index idx_agent_jobs_queue on public.agent_jobs (priority, created_at);

create table public.agent_messages (
  id uuid primary key default gen_random_uuid(),
  message_type text not null check (message_type in ('command', 'alert', 'status', 'result')),
  from_agent text not null,
  to_agent text,
  subject text not null,
  content text not null,
  payload jsonb default '{}',
  priority text default 'normal' check (priority in ('low', 'normal', 'high', 'urgent')),
  read boolean default false,
  created_at timestamptz default now(),
  read_at timestamptz
);

create table public.agent_status (
  agent_id text primary key,
  agent_name text not null,
  agent_type text not null check (agent_type in ('scanner', 'trader', 'researcher', 'reporter', 'coordinator')),
  status text default 'idle' check (status in ('idle', 'working', 'blocked', 'error', 'offline')),
  current_job uuid references public.agent_jobs (id),
  last_heartbeat timestamptz default now(),
  last_activity timestamptz default now(),
  capabilities jsonb default '[]',
  current_load integer default 0,
  max_load integer default 5,
  jobs_completed integer default 0,
  jobs_failed integer default 0,
  total_profit numeric(12, 2) default 0,
  blocked_reason text,
  blocked_since timestamptz,
  config jsonb default '{}',
  version varchar(20)
);

create table public.trade_opportunities (
  id uuid primary key default gen_random_uuid(),
  market_id text not null,
  market_question text not null,
  platform text default 'polymarket',
  side text not null,
  current_price numeric(10, 4) not null,
  target_price numeric(10, 4),
  suggested_position numeric(10, 2),
  confidence numeric(5, 4),
  edge numeric(5, 4),
  research_summary text,
  discovered_by text not null,
  discovery_method text check (discovery_method in ('perplexity_research', 'smart_money', 'hedge_scan')),
  status text default 'pending' check (status in ('pending', 'approved', 'rejected', 'expired')),
  discovered_at timestamptz default now(),
  expires_at timestamptz,
  reviewed_by text,
  reviewed_at timestamptz
);

create table public.trade_executions (
  id uuid primary key default gen_random_uuid(),
  opportunity_id uuid references public.trade_opportunities (id),
  job_id uuid references public.agent_jobs (id),
  market_id text not null,
  side text not null,
  amount numeric(10, 2) not null,
  entry_price numeric(10, 4) not null,
  status text default 'pending' check (status in ('pending', 'executed', 'failed', 'settled')),
  tx_hash text,
  exit_price numeric(10, 4),
  pnl numeric(10, 2),
  executed_by text not null,
  created_at timestamptz default now(),
  executed_at timestamptz,
  settled_at timestamptz
);

create table public.agent_performance (
  id uuid primary key default gen_random_uuid(),
  agent_id text not null,
  period text not null,
  period_start date not null,
  jobs_completed integer default 0,
  jobs_failed integer default 0,
  trades_executed integer default 0,
  trades_profitable integer default 0,
  total_pnl numeric(12, 2) default 0,
  avg_trade_size numeric(10, 2),
  avg_confidence numeric(5, 4),
  avg_job_duration interval,
  uptime_minutes integer default 0,
  created_at timestamptz default now()
);

create table public.system_config (
  key text primary key,
  value jsonb not null,
  description text,
  updated_at timestamptz default now(),
  updated_by text
);

create view public.v_active_jobs as
  select j.*, extract(epoch from (now() - j.created_at)) / 60 as age_minutes from public.agent_jobs j
  where j.status in ('pending', 'assigned', 'in_progress') order by j.priority;
create view public.v_agent_dashboard as
  select s.*, 'healthy' as health_status from public.agent_status s;
create view public.v_opportunity_pipeline as
  select o.*, 'normal' as urgency from public.trade_opportunities o where o.status = 'pending';

create function public.claim_next_job(agent_id text) returns table (job_id uuid, job_type text, payload jsonb, priority integer)
language plpgsql as $$ begin return; end $$;
create function public.complete_job(p_job_id uuid, p_success boolean, p_result jsonb default null, p_error text default null) returns void
language plpgsql as $$ begin update agent_jobs set status = 'completed' where id = p_job_id; end $$;
create function public.update_agent_heartbeat(p_agent_id text, p_status text default null, p_current_job uuid default null) returns void
language plpgsql as $$ begin insert into agent_status (agent_id) values (p_agent_id); end $$;
create function public.broadcast_message(p_from_agent text, p_subject text, p_content text, p_payload jsonb default '{}',
  p_priority text default 'normal') returns void
language plpgsql as $$ begin insert into agent_messages (from_agent) values (p_from_agent); end $$;

alter table public.agent_jobs enable row level security;
alter table public.system_config enable row level security;
create policy "Allow all" on public.agent_jobs for all using (true);
create policy "Service role full access" on public.system_config for all using (true) with check (true);

insert into public.agent_jobs (id, job_type, payload, status, priority, created_by, assigned_to, assigned_at, completed_at, error_message) values
  ('00000000-0000-0000-0000-000000000001', 'execute_trade', '{"amount": 5}', 'pending', 3, 'scanner-1', null, null, null, null),
  ('00000000-0000-0000-0000-000000000002', 'deep_research', '{}', 'assigned', 5, 'coordinator-1', 'trader-1', now(), null, null),
  ('00000000-0000-0000-0000-000000000003', 'scan_markets', '{}', null, null, 'cron', null, null, null, null),
  ('00000000-0000-0000-0000-000000000004', 'report', '{}', 'completed', 5, 'coordinator-1', 'reporter-1', now(), now(), null),
  ('00000000-0000-0000-0000-000000000005', 'execute_trade', '{}', 'failed', 5, 'scanner-1', 'trader-1', now(), null, 'CLI timed out');
insert into public.agent_messages (id, message_type, from_agent, to_agent, subject, content, read) values
  ('00000000-0000-0000-0000-000000000011', 'alert', 'scanner-1', null, 'New Trade Opportunity', 'YES', true),
  ('00000000-0000-0000-0000-000000000012', 'command', 'coordinator-1', 'trader-1', 'Check', 'now', null);
insert into public.agent_status (agent_id, agent_name, agent_type, status, current_job, total_profit, capabilities, version) values
  ('trader-1', 'Trader', 'trader', null, '00000000-0000-0000-0000-000000000002', 12.5, '["execute_trade"]', '1.0.0'),
  ('scanner-1', 'Scanner', 'scanner', 'working', null, null, null, null);
insert into public.trade_opportunities (id, market_id, market_question, side, current_price, confidence, discovered_by, discovery_method, status) values
  ('00000000-0000-0000-0000-000000000021', 'm1', 'Rain?', 'YES', 0.4, 0.75, 'scanner-1', 'hedge_scan', 'pending'),
  ('00000000-0000-0000-0000-000000000022', 'm2', 'Snow?', 'NO', 0.3, 0.75, 'scanner-1', 'smart_money', null);
insert into public.trade_executions (id, opportunity_id, job_id, market_id, side, amount, entry_price, status, tx_hash, pnl, executed_by,
  created_at, executed_at) values
  ('00000000-0000-0000-0000-000000000031', '00000000-0000-0000-0000-000000000021', '00000000-0000-0000-0000-000000000005', 'm1', 'YES', 5, 0.4,
    'executed', '0x1', null, 'trader-1', '2026-01-02 03:04Z', '2026-01-02 03:04Z'),
  ('00000000-0000-0000-0000-000000000032', null, null, 'm2', 'NO', 2.5, 0.3, 'pending', null, null, 'trader-1', '2026-01-02 03:04Z', null),
  ('00000000-0000-0000-0000-000000000033', null, null, 'm3', 'NO', 1, 0.5, 'settled', '0x3', 1, 'trader-1', '2026-01-02 03:04Z', '2026-01-02 03:05Z'),
  ('00000000-0000-0000-0000-000000000034', null, null, 'm3', 'NO', 1, 0.5, null, null, null, 'trader-1', '2026-01-02 03:04Z', null);
insert into public.agent_performance (id, agent_id, period, period_start, trades_executed, created_at) values
  ('00000000-0000-0000-0000-000000000041', 'trader-1', 'daily', '2026-01-02', 1, '2026-01-02 12:00Z'),
  ('00000000-0000-0000-0000-000000000042', 'trader-1', 'daily', '2026-01-02', 3, '2026-01-03 00:00Z');
insert into public.system_config (key, value) values ('max_daily_exposure', '50');
