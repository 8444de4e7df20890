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
