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
