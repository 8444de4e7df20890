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
