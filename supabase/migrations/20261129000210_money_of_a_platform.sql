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
