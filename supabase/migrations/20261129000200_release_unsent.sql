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
