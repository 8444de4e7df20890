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
