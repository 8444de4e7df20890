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
