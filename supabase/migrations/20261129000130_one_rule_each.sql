-- One rule in one place: claims hold and check leases as all other calls do, and a job of a turn that says who has created it is told the
-- same whether its turn is applied with others or alone.

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
  v_held jsonb := troupe.lock_leases(array(
    select e ->> 'agent_id' from jsonb_array_elements(p_batch) e where e ->> 'lease_token' is not null));
  v_one record;
  v_answer json;
  v_answers json[] := '{}';
begin
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
    if v_one.lease_token is not null and not troupe.is_holder(v_held, v_one.agent_id, to_jsonb(v_one.lease_token)) then
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

drop function if exists troupe.holds_lease(text, bigint);

-- Writes plain turns together, or raises: then they are to be applied one by one. The caller has checked the leases and holds them.
-- Locks have their one order (leases, deliveries and jobs, everything else, agent_status) within what is applied at once. Of turns that
-- are applied one by one each begins it anew: two calls may then wait for each other, of which PostgreSQL ends one, to be repeated.
create or replace function troupe.apply_turns(p_turns jsonb, p_stamps jsonb, p_now timestamptz) returns jsonb[]
language plpgsql set search_path = '' as $$
declare
  v_ids uuid[];
  v_agents text[];
  v_tokens bigint[];
  v_attempts integer[];
  v_interruptions integer[];
  v_settled integer;
  v_ended jsonb;
  v_created jsonb;
  v_told jsonb[];
  v_made jsonb[];
begin
  select array_agg((t -> 'message' ->> 'id')::uuid), array_agg(t ->> 'agent_id'), array_agg((t ->> 'lease_token')::bigint),
    array_agg(coalesce((t -> 'message' ->> 'attempts')::integer, 0)), array_agg((t -> 'message' ->> 'interruptions')::integer)
    into v_ids, v_agents, v_tokens, v_attempts, v_interruptions
    from jsonb_array_elements(p_turns) t where t -> 'message' ->> 'id' is not null;
  update public.agent_deliveries d set status = 'done', retry_at = null, finished_at = p_now
    from unnest(v_ids, v_agents, v_tokens, v_attempts, v_interruptions) as given(message_id, agent_id, token, attempts, interruptions)
    where d.message_id = given.message_id and d.agent_id = given.agent_id and d.finished_at is null and d.status <> 'scheduled'
      and d.token = given.token and d.attempts = given.attempts and d.interruptions = coalesce(given.interruptions, d.interruptions);
  get diagnostics v_settled = row_count;
  if v_settled < cardinality(v_ids) then
    perform troupe.refuse('TRONE', 'these turns are to be applied one by one');
  end if;

  select jsonb_agg((t -> 'job') || jsonb_build_object('job_id', t -> 'job' ->> 'id', 'outcome', 'completed')) into v_ended
    from jsonb_array_elements(p_turns) t where t -> 'message' ->> 'id' is null;
  if v_ended is not null and (
    (select count(distinct j ->> 'id') from jsonb_array_elements(v_ended) j) < jsonb_array_length(v_ended)
    or exists (select from json_array_elements(troupe.settle_jobs(v_ended, p_now)) ended where ended ->> 'verdict' <> 'ok')
  ) then
    perform troupe.refuse('TRONE', 'these turns are to be applied one by one');
  end if;

  perform troupe.save_states(p_turns, p_now);
  v_told := troupe.tell_all(p_turns, p_stamps, p_now);
  if p_turns @? '$[*].jobs[*]' then
    select jsonb_agg(j || jsonb_build_object('created_by', coalesce(j ->> 'created_by', t ->> 'agent_id')) order by place, nth) into v_created
      from jsonb_array_elements(p_turns) with ordinality as x(t, place)
      cross join lateral jsonb_array_elements(t -> 'jobs') with ordinality as y(j, nth);
    v_made := troupe.split(troupe.insert_jobs(v_created, null, p_now),
      array(select coalesce(jsonb_array_length(t -> 'jobs'), 0) from jsonb_array_elements(p_turns) with ordinality as x(t, place) order by place));
  end if;
  if p_turns @? '$[*] ? (@.steps == true)' then
    delete from public.agent_steps s using (
        select case when t -> 'message' ->> 'id' is null then '' else t ->> 'agent_id' end as agent_id,
          coalesce(t -> 'message' ->> 'id', t -> 'job' ->> 'id')::uuid as message_id
        from jsonb_array_elements(p_turns) t where (t ->> 'steps')::boolean
      ) over_now
      where s.agent_id = over_now.agent_id and s.message_id = over_now.message_id;
  end if;
  return array(
    select jsonb_build_object('verdict', 'ok', 'messages', v_told[nth], 'jobs', coalesce(v_made[nth], '[]'), 'writes', '[]'::jsonb)
    from generate_series(1, jsonb_array_length(p_turns)) nth);
end $$;

create or replace function public.schema_version() returns text
language sql immutable set search_path = '' as $$ select '20261129000130' $$;

do $$ begin perform
  troupe.seal_functions('public', array['claim_jobs', 'schema_version']),
  troupe.seal_functions('troupe'),
  troupe.pin_plans(array['public.claim_jobs']::regproc[]); end $$;

notify pgrst, 'reload schema';
