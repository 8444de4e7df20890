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
