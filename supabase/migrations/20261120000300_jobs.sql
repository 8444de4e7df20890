-- The job queue. A job is held by a lease whose token only grows; every change of a running job names the token, and the
-- answer is one verdict per job:
--   ok         done as asked
--   repeat     this very change was made before (its answer got lost), nothing happens twice
--   stale      somebody else holds the job now, or it has ended otherwise
--   not_found  no such job

-- A running job is one with a lease (a constraint says so). Statements that know the id ask for the lease and not for the status: the
-- status would let the planner walk agent_jobs_running, which it takes for empty, instead of looking the id up.

-- Work addressed to an agent is pending work with a target. The original agents insert it as 'assigned'.
create or replace function troupe.address_job() returns trigger
language plpgsql set search_path = '' as $$
begin
  new.status := 'pending';
  new.target_agent := coalesce(new.target_agent, new.assigned_to);
  new.assigned_at := null;
  return new;
end $$;
drop trigger if exists address_job on public.agent_jobs;
create trigger address_job before insert on public.agent_jobs
  for each row when (new.lease_expires_at is null and new.status in ('pending', 'assigned', 'in_progress')
    and (new.assigned_to is not null or new.status <> 'pending'))
  execute function troupe.address_job();

-- Keeps the last ten endings of a job's attempts. The token tells which holder's ending it was.
create or replace function troupe.remember(p_history jsonb, p_attempt integer, p_token bigint, p_outcome text, p_agent text, p_error text,
  p_now timestamptz) returns jsonb
language sql stable set search_path = '' as $$
  select case when jsonb_array_length(p_history) >= 10 then p_history - 0 else p_history end
    || jsonb_build_array(jsonb_strip_nulls(jsonb_build_object(
      'attempt', p_attempt, 'token', p_token, 'outcome', p_outcome, 'agent', p_agent, 'error', left(p_error, 500), 'at', p_now)))
$$;

-- Ends expired leases: the job becomes pending again, or dead when its attempts are used up. The token grows here too,
-- so that the former holder is refused even before somebody else has claimed the job. At most p_limit rows.
create or replace function troupe.reap_jobs(p_limit integer, p_now timestamptz) returns integer
language plpgsql set search_path = '' as $$
declare
  v_ids uuid[];
  v_count integer;
begin
  v_ids := array(
    select j.id from public.agent_jobs j
    where j.status in ('assigned', 'in_progress') and j.reap_at <= p_now
    order by j.reap_at limit p_limit for update skip locked);
  if v_ids = '{}' then
    return 0;
  end if;
  update public.agent_jobs j set reap_at = j.lease_expires_at -- it was renewed since: look again then
    where j.id = any (v_ids) and j.lease_expires_at > p_now;
  update public.agent_jobs j set
    status = case when j.attempt >= j.max_attempts then 'failed' else 'pending' end,
    completed_at = case when j.attempt >= j.max_attempts then p_now end,
    dead_reason = case when j.attempt >= j.max_attempts then 'lease_expired' end,
    error_message = format('The lease of %s expired', j.assigned_to),
    history = troupe.remember(j.history, j.attempt, j.lease_token, 'lease_expired', j.assigned_to, null, p_now),
    run_at = p_now, assigned_to = j.target_agent, lease_token = j.lease_token + 1,
    lease_expires_at = null, reap_at = null, legacy_claim = false
    where j.id = any (v_ids) and j.lease_expires_at <= p_now;
  get diagnostics v_count = row_count;
  return v_count;
end $$;

-- Whether the agent's lease still carries this token; the row stays locked against a takeover until the transaction ends.
-- Reading it without the lock is no fence: a takeover may commit between the check and the writes.
create or replace function troupe.holds_lease(p_agent text, p_token bigint) returns boolean
language plpgsql set search_path = '' as $$
begin
  perform from public.agent_leases l where l.agent_id = p_agent and l.lease_token = p_token for share;
  return found;
end $$;

-- All job types that have pending work addressed to nobody: one index probe per type.
create or replace function troupe.pending_job_types() returns text[]
language sql stable set search_path = '' as $$
  with recursive kind(job_type) as (
    (select j.job_type from public.agent_jobs j
     where j.status = 'pending' and j.target_agent is null order by j.job_type limit 1)
    union all
    select (select j.job_type from public.agent_jobs j
            where j.status = 'pending' and j.target_agent is null and j.job_type > kind.job_type order by j.job_type limit 1)
    from kind where kind.job_type is not null
  )
  select coalesce(array_agg(job_type), '{}') from kind where job_type is not null
$$;

-- What a repeated claim request answers: those of its jobs that are still held under the same token.
create or replace function troupe.reclaimed_jobs(p_ids uuid[], p_tokens bigint[]) returns json
language sql stable set search_path = '' as $$
  select coalesce(json_agg(job), '[]') from (
    select j.id as job_id, j.job_type, j.payload, j.priority, j.attempt, j.max_attempts, j.lease_token, j.created_by, j.created_at, j.timeout_ms
    from unnest(p_ids, p_tokens) as given(job_id, lease_token)
    join public.agent_jobs j on j.id = given.job_id and j.lease_token = given.lease_token and j.lease_expires_at is not null
    order by j.priority, j.run_at, j.seq
  ) job
$$;

-- Picks and locks up to p_limit pending jobs that are addressed to nobody, by priority, due time and age, and gives where they lie: a
-- locked row stays there, and need not be looked up by its id. p_types null means any type.
-- p_floor_at, p_floor_seq: for each priority the place before which nothing is pending any more; starting there spares the
-- walk over index entries of jobs that are gone but cannot be vacuumed while somebody's transaction is old.
create or replace function troupe.pick_jobs(p_types text[], p_limit integer, p_floor_at timestamptz[], p_floor_seq bigint[], p_now timestamptz)
returns tid[]
language plpgsql set search_path = '' as $$
declare
  v_types text[] := coalesce(p_types, troupe.pending_job_types());
begin
  if cardinality(v_types) = 1 then
    return array(
      select job.place from unnest(p_floor_at, p_floor_seq) with ordinality as floor(run_at, seq, priority)
      cross join lateral (
        select j.ctid as place from public.agent_jobs j
        where j.status = 'pending' and j.target_agent is null and j.job_type = v_types[1] and j.priority = floor.priority
          and j.run_at <= p_now and (j.run_at, j.seq) >= (floor.run_at, floor.seq)
        order by j.run_at, j.seq limit p_limit for update skip locked
      ) job limit p_limit);
  end if;
  -- Several types: within a priority their heads are merged by age, a sort of at most limit * types rows.
  return array(
    select job.place from unnest(p_floor_at, p_floor_seq) with ordinality as floor(run_at, seq, priority)
    cross join lateral (
      select head.place from unnest(v_types) as kind(job_type)
      cross join lateral (
        select j.ctid as place, j.run_at, j.seq from public.agent_jobs j
        where j.status = 'pending' and j.target_agent is null and j.job_type = kind.job_type and j.priority = floor.priority
          and j.run_at <= p_now and (j.run_at, j.seq) >= (floor.run_at, floor.seq)
        order by j.run_at, j.seq limit p_limit for update skip locked
      ) head order by head.run_at, head.seq limit p_limit
    ) job limit p_limit);
end $$;

-- One claim: the jobs addressed to the agent first, then others. FOR UPDATE SKIP LOCKED sits in an array because a plain join makes the
-- planner expect a tenth of the table. p_cursor comes from the agent's last answer: {"at", "seq": the floors of pick_jobs, "full_at": when
-- to look everywhere again}. A server clock that was set back makes it void: new jobs would lie below the floors, and full_at too far away.
create or replace function troupe.claim(p_agent text, p_types text[], p_limit integer, p_lease_ms integer, p_claim_id uuid,
  p_cursor jsonb, p_legacy boolean, p_now timestamptz) returns json
language plpgsql set search_path = '' as $$
declare
  v_floor_at timestamptz[] := p_cursor ->> 'at';
  v_floor_seq bigint[] := p_cursor ->> 'seq';
  v_full_at timestamptz := p_cursor ->> 'full_at';
  v_full boolean := coalesce(v_full_at <= p_now or v_full_at > p_now + interval '1 minute' or p_now < any (v_floor_at)
    or cardinality(v_floor_at) <> 10 or cardinality(v_floor_seq) <> 10, true);
  v_began timestamptz;
  v_claim public.agent_claims;
  v_places tid[];
  v_picked tid[];
  v_left integer;
  v_last record;
  v_below integer := 11; -- priorities before this one are exhausted
  v_jobs json;
  v_ids uuid[];
  v_tokens bigint[];
begin
  if p_claim_id is not null then
    -- The first request may still be under way when its repetition arrives.
    perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended(p_claim_id::text, 1));
    select * into v_claim from public.agent_claims c where c.claim_id = p_claim_id;
    if found then
      return json_build_object('agent_id', p_agent, 'verdict', 'repeat', 'cursor', p_cursor, 'jobs',
        case when v_claim.agent_id = p_agent then troupe.reclaimed_jobs(v_claim.job_ids, v_claim.lease_tokens) else '[]' end);
    end if;
  end if;

  if v_full then
    v_began := clock_timestamp();
    perform troupe.reap_jobs(greatest(p_limit, 10), p_now);
    v_floor_at := array_fill('-infinity'::timestamptz, array[10]);
    v_floor_seq := array_fill(0::bigint, array[10]);
  end if;
  v_places := array(
    select j.ctid from public.agent_jobs j
    where j.status = 'pending' and j.target_agent = p_agent and j.run_at <= p_now
      and (p_legacy or p_types is null or j.job_type = any (p_types))
    order by j.priority, j.run_at, j.seq limit p_limit for update skip locked);
  v_left := p_limit - cardinality(v_places);
  if v_left > 0 then
    v_picked := troupe.pick_jobs(p_types, v_left, v_floor_at, v_floor_seq, p_now);
    v_places := v_places || v_picked;
    if cardinality(v_picked) = v_left then
      select j.priority, j.run_at, j.seq into v_last from public.agent_jobs j where j.ctid = v_picked[v_left];
      v_below := v_last.priority;
      v_floor_at[v_below] := v_last.run_at;
      v_floor_seq[v_below] := v_last.seq;
    end if;
    -- Where nothing was left, there is only what is being inserted now: five seconds for slow transactions.
    for v_priority in 1 .. v_below - 1 loop
      if v_floor_at[v_priority] < p_now - interval '5 seconds' then
        v_floor_at[v_priority] := p_now - interval '5 seconds';
        v_floor_seq[v_priority] := 0;
      end if;
    end loop;
  end if;
  if v_full then
    -- Looking everywhere takes at most a twentieth of the time, however many dead entries there are.
    v_full_at := p_now + least(greatest(interval '1 second', 20 * (clock_timestamp() - v_began)), interval '1 minute');
  end if;

  if v_places <> '{}' then
    with given as (
      update public.agent_jobs j set
        status = 'assigned', assigned_to = p_agent, assigned_at = p_now, started_at = null, attempt = j.attempt + 1,
        lease_token = j.lease_token + 1, lease_expires_at = p_now + least(p_lease_ms, j.timeout_ms) * interval '1 ms',
        reap_at = p_now + least(p_lease_ms, j.timeout_ms) * interval '1 ms', legacy_claim = p_legacy
        where j.ctid = any (v_places)
        returning j.id as job_id, j.job_type, j.payload, j.priority, j.attempt, j.max_attempts, j.lease_token, j.created_by,
          j.created_at, j.timeout_ms, j.run_at, j.seq
    )
    select json_agg(job), array_agg(job.job_id), array_agg(job.lease_token) into v_jobs, v_ids, v_tokens
      from (
        select g.job_id, g.job_type, g.payload, g.priority, g.attempt, g.max_attempts, g.lease_token, g.created_by, g.created_at, g.timeout_ms
        from given g order by g.priority, g.run_at, g.seq
      ) job;
    if p_claim_id is not null then
      insert into public.agent_claims (claim_id, agent_id, job_ids, lease_tokens, created_at)
        values (p_claim_id, p_agent, v_ids, v_tokens, p_now);
    end if;
  end if;
  return json_build_object('agent_id', p_agent, 'verdict', 'ok', 'jobs', coalesce(v_jobs, '[]'),
    'cursor', json_build_object('at', v_floor_at::text, 'seq', v_floor_seq::text, 'full_at', v_full_at));
end $$;

-- Claims jobs for many agents in one call. Each element:
--   {agent_id, lease_token?: the agent's own (fences the claim), job_types?: [text] or null for any, limit: 1..500,
--    lease_ms: default 60000, claim_id?: uuid (a repeated request gets the same jobs and tokens), cursor?: from the last answer}
-- and its answer: {agent_id, verdict: ok | repeat | stale, jobs: [...], cursor}. Expired leases are ended on the way, so
-- recovery needs no leader and no cron. Priority is strict: a lower one waits while higher ones are pending.
create or replace function public.claim_jobs(p_batch jsonb) returns json
language plpgsql set search_path = '' as $$
declare
  v_now timestamptz := troupe.now();
  v_one record;
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
    v_answers := v_answers || case
      when v_one.lease_token is not null and not troupe.holds_lease(v_one.agent_id, v_one.lease_token)
        then json_build_object('agent_id', v_one.agent_id, 'verdict', 'stale', 'jobs', '[]'::json)
      else troupe.claim(v_one.agent_id, v_one.job_types, coalesce(v_one."limit", 1), coalesce(v_one.lease_ms, 60000), v_one.claim_id,
        v_one.cursor, false, v_now) end;
  end loop;
  return array_to_json(v_answers);
end $$;

-- Counts what agents have done. These rows are the busiest of all and are locked last, in the order of their names.
create or replace function troupe.count_jobs(p_completed text[], p_failed text[], p_now timestamptz) returns void
language plpgsql set search_path = '' as $$
declare
  v_one record;
begin
  for v_one in
    select ended.agent, sum(ended.completed) as completed, sum(ended.failed) as failed
    from (select unnest(p_completed) as agent, 1 as completed, 0 as failed union all select unnest(p_failed), 0, 1) ended
    group by ended.agent order by ended.agent
  loop
    update public.agent_status s set jobs_completed = s.jobs_completed + v_one.completed, jobs_failed = s.jobs_failed + v_one.failed,
      last_activity = p_now
      where s.agent_id = v_one.agent;
  end loop;
end $$;

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
  -- A token may end its job once, in one way: what the row says under that token decides, so that one batch may name a job twice.
  return (
    select json_agg(json_build_object('job_id', i.job_id, 'verdict', case
      when j.id is null then 'not_found'
      when j.lease_token = i.lease_token and case i.outcome
        when 'completed' then j.status = 'completed'
        when 'failed' then (j.history -> -1 ->> 'token')::bigint = i.lease_token
        when 'released' then j.status = 'pending' and (j.history -> -1 ->> 'token')::bigint is distinct from i.lease_token end
        then case when i.job_id = any (v_done) or i.job_id = any (v_back) then 'ok' else 'repeat' end
      else 'stale' end) order by i.place)
    from (
      select place, (e ->> 'job_id')::uuid as job_id, (e ->> 'lease_token')::bigint as lease_token, e ->> 'outcome' as outcome
      from jsonb_array_elements(p_batch) with ordinality as t(e, place)
    ) i left join public.agent_jobs j on j.id = i.job_id);
end $$;

-- Ends running jobs. Each element: {job_id, lease_token, outcome: completed | failed | released, result?: jsonb, error?: text,
-- retryable?: false makes a failure final, retry_in_ms?: instead of the job's own backoff}. Released gives the job back
-- without burning an attempt. Answer: [{job_id, verdict}], in order.
create or replace function public.finish_jobs(p_batch jsonb) returns json
language plpgsql set search_path = '' as $$
declare
  v_wrong jsonb;
begin
  select e - 'result' - 'error' into v_wrong from jsonb_array_elements(p_batch) e
    where coalesce(e ->> 'outcome', '') not in ('completed', 'failed', 'released') or e ->> 'job_id' is null or e ->> 'lease_token' is null
      or (e ->> 'retry_in_ms')::numeric < 0
    limit 1;
  if found then
    perform troupe.refuse('PT400', format('finish_jobs: %s', left(v_wrong::text, 500)),
      'each element needs job_id, lease_token and outcome completed, failed or released; retry_in_ms is not negative');
  end if;
  if jsonb_array_length(p_batch) = 0 then
    return '[]';
  end if;
  return troupe.settle_jobs(p_batch, troupe.now());
end $$;

-- Extends leases of running jobs and notes their start. Each element: {job_id, lease_token, lease_ms?: 60000, started?: true}.
-- A job with timeout_ms is never extended beyond it: the verdict is stale and the lease runs out, though its handler lives.
create or replace function public.renew_jobs(p_batch jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_now timestamptz := troupe.now();
  v_ids uuid[];
  v_renewed uuid[];
  v_wrong jsonb;
begin
  select e into v_wrong from jsonb_array_elements(p_batch) e
    where e ->> 'job_id' is null or e ->> 'lease_token' is null or (e ->> 'lease_ms')::numeric not between 100 and 86400000
    limit 1;
  if found then
    perform troupe.refuse('PT400', format('renew_jobs: %s', left(v_wrong::text, 500)),
      'each element needs job_id and lease_token; lease_ms is 100 to 86400000');
  end if;
  select coalesce(array_agg(i.job_id order by i.job_id), '{}') into v_ids from jsonb_to_recordset(p_batch) as i(job_id uuid);
  with renewed as (
    update public.agent_jobs j set
      lease_expires_at = least(v_now + troupe.ms(coalesce(i.lease_ms, 60000)), j.assigned_at + troupe.ms(j.timeout_ms)),
      reap_at = least(j.reap_at, v_now + troupe.ms(coalesce(i.lease_ms, 60000))), -- changes only for a lease that was shortened
      status = case when i.started then 'in_progress' else j.status end,
      started_at = case when i.started then coalesce(j.started_at, v_now) else j.started_at end
      from jsonb_to_recordset(p_batch) as i(job_id uuid, lease_token bigint, lease_ms integer, started boolean)
      where j.id = any (v_ids) and j.id = i.job_id and j.lease_token = i.lease_token and j.lease_expires_at is not null
        and (j.timeout_ms is null or j.assigned_at + troupe.ms(j.timeout_ms) > v_now)
      returning j.id
  )
  select coalesce(array_agg(id), '{}') into v_renewed from renewed;
  return (
    select coalesce(jsonb_agg(jsonb_build_object('job_id', i.job_id, 'verdict', case
      when j.id is null then 'not_found'
      when i.job_id = any (v_renewed) and j.lease_token = i.lease_token then 'ok'
      else 'stale' end) order by i.place), '[]')
    from (select place, (e ->> 'job_id')::uuid as job_id, (e ->> 'lease_token')::bigint as lease_token
      from jsonb_array_elements(p_batch) with ordinality as t(e, place)) i
    left join public.agent_jobs j on j.id = i.job_id and j.id = any (v_ids));
end $$;

-- Creates jobs. Each element: {id?, job_type, payload?, priority?, created_by?, target_agent?, dedupe_key?, delay_ms?,
-- max_attempts?, backoff_ms?, backoff_max_ms?, timeout_ms?}. Answer in order: {job_id, verdict: ok | repeat (this id exists) |
-- duplicate (job_id is the live job of that type and key)}.
create or replace function troupe.insert_jobs(p_batch jsonb, p_created_by text, p_now timestamptz) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_batch jsonb;
  v_created uuid[];
  v_new uuid[] := '{}';
  v_answers jsonb;
begin
  select jsonb_agg(e || jsonb_build_object('id', coalesce(e ->> 'id', gen_random_uuid()::text)) order by place) into v_batch
    from jsonb_array_elements(p_batch) with ordinality as t(e, place);
  if exists (select from jsonb_array_elements(v_batch) e where (e ->> 'delay_ms')::numeric < 0) then
    perform troupe.refuse('PT400', 'create_jobs: delay_ms is negative', 'delay_ms is 0 or more');
  end if;
  -- Whoever creates jobs of the same keys waits here, in one order for all: the index would let batches wait for each other.
  perform pg_catalog.pg_advisory_xact_lock(wanted.key) from (
    select distinct pg_catalog.hashtextextended(concat(e ->> 'job_type', ' ', e ->> 'dedupe_key'), 2) as key
    from jsonb_array_elements(v_batch) e where e ->> 'dedupe_key' is not null order by key) wanted;
  loop
    with created as (
      insert into public.agent_jobs (id, job_type, payload, priority, created_by, target_agent, assigned_to, dedupe_key, created_at,
        run_at, max_attempts, backoff_ms, backoff_max_ms, timeout_ms)
      select (e ->> 'id')::uuid, e ->> 'job_type', coalesce(e -> 'payload', '{}'), coalesce((e ->> 'priority')::integer, 5),
        coalesce(e ->> 'created_by', p_created_by), e ->> 'target_agent', e ->> 'target_agent', e ->> 'dedupe_key', p_now,
        p_now + troupe.ms(coalesce((e ->> 'delay_ms')::numeric, 0)), coalesce((e ->> 'max_attempts')::integer, 3),
        coalesce((e ->> 'backoff_ms')::integer, 1000),
        coalesce((e ->> 'backoff_max_ms')::integer, greatest(600000, coalesce((e ->> 'backoff_ms')::integer, 0))),
        (e ->> 'timeout_ms')::integer
      from jsonb_array_elements(v_batch) with ordinality as t(e, place) order by place
      on conflict do nothing returning id
    )
    select coalesce(array_agg(id), '{}') into v_created from created;
    v_new := v_new || v_created;
    v_answers := (
      select coalesce(jsonb_agg(case
        when wanted.id = any (v_new) then jsonb_build_object('job_id', wanted.id, 'verdict', 'ok')
        when exists (select from public.agent_jobs j where j.id = wanted.id) then jsonb_build_object('job_id', wanted.id, 'verdict', 'repeat')
        else jsonb_build_object('verdict', 'duplicate', 'job_id', (
          select j.id from public.agent_jobs j
          where j.job_type = wanted.job_type and j.dedupe_key = wanted.dedupe_key and j.dedupe_key is not null
            and j.status in ('pending', 'assigned', 'in_progress'))) end order by wanted.place), '[]')
      from (select place, (e ->> 'id')::uuid as id, e ->> 'job_type' as job_type, e ->> 'dedupe_key' as dedupe_key
        from jsonb_array_elements(v_batch) with ordinality as t(e, place)) wanted);
    exit when not v_answers @> '[{"job_id": null}]'; -- the job that had the key ended just now, so the key is free: again
  end loop;
  return v_answers;
end $$;

create or replace function public.create_jobs(p_batch jsonb) returns jsonb
language sql set search_path = '' as $$
  select troupe.insert_jobs(p_batch, null, troupe.now())
$$;

-- Cancels jobs that have not ended; a running one's holder is refused from then on. Each element: {job_id, reason?}.
create or replace function public.cancel_jobs(p_batch jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_now timestamptz := troupe.now();
  v_ids uuid[];
  v_cancelled uuid[];
begin
  select coalesce(array_agg(i.job_id order by i.job_id), '{}') into v_ids from jsonb_to_recordset(p_batch) as i(job_id uuid);
  with cancelled as (
    update public.agent_jobs j set status = 'cancelled', completed_at = v_now, lease_token = j.lease_token + 1,
      lease_expires_at = null, reap_at = null, error_message = coalesce(i.reason, j.error_message)
      from jsonb_to_recordset(p_batch) as i(job_id uuid, reason text)
      where j.id = any (v_ids) and j.id = i.job_id and j.status in ('pending', 'assigned', 'in_progress')
      returning j.id
  )
  select coalesce(array_agg(id), '{}') into v_cancelled from cancelled;
  return (
    select coalesce(jsonb_agg(jsonb_build_object('job_id', i.job_id, 'verdict', case
      when i.job_id = any (v_cancelled) then 'ok'
      when j.id is null then 'not_found'
      when j.status = 'cancelled' then 'repeat'
      else 'stale' end) order by i.place), '[]')
    from (select place, (e ->> 'job_id')::uuid as job_id from jsonb_array_elements(p_batch) with ordinality as t(e, place)) i
    left join public.agent_jobs j on j.id = i.job_id and j.id = any (v_ids));
end $$;

-- Gives dead or cancelled jobs a fresh set of attempts. Each element: {job_id}. Verdict duplicate: a live job has its key;
-- repeat: it was redriven, and nothing has ended since.
create or replace function public.redrive_jobs(p_batch jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_now timestamptz := troupe.now();
  v_id uuid;
  v_verdict text;
  v_answers jsonb := '[]';
begin
  for v_id in select (e ->> 'job_id')::uuid from jsonb_array_elements(p_batch) with ordinality as t(e, place) order by place loop
    begin
      update public.agent_jobs j set status = 'pending', completed_at = null, dead_reason = null, attempt = 0, run_at = v_now,
        assigned_to = j.target_agent, lease_token = j.lease_token + 1, legacy_claim = false,
        history = troupe.remember(j.history, j.attempt, j.lease_token, 'redriven', null, null, v_now)
        where j.id = v_id and j.status in ('failed', 'cancelled');
      v_verdict := case when found then 'ok'
        else coalesce((select case when j.history -> -1 ->> 'outcome' = 'redriven' and j.completed_at is null then 'repeat' else 'stale' end
          from public.agent_jobs j where j.id = v_id), 'not_found') end;
    exception when unique_violation then
      v_verdict := 'duplicate';
    end;
    v_answers := v_answers || jsonb_build_array(jsonb_build_object('job_id', v_id, 'verdict', v_verdict));
  end loop;
  return v_answers;
end $$;

-- What the original agents call ------------------------------------------------------------------------------------------

-- The job types an agent of the original system handles; null: any.
create or replace function troupe.legacy_job_types(p_agent text) returns text[]
language sql stable set search_path = '' as $$
  select case s.agent_type
    when 'trader' then array['execute_trade']
    when 'researcher' then array['deep_research', 'research']
    when 'scanner' then array['scan_markets']
    when 'reporter' then array['report'] end
  from public.agent_status s where s.agent_id = p_agent
$$;

-- The original call: one job with a lease of 30 minutes, which update_agent_heartbeat renews. Empty when there is none.
create or replace function public.claim_next_job(agent_id text)
returns table (job_id uuid, job_type text, payload jsonb, priority integer, lease_token bigint, attempt integer, created_by text)
language plpgsql set search_path = '' as $$
begin
  if coalesce(claim_next_job.agent_id, '') = '' then
    perform troupe.refuse('PT400', 'claim_next_job: agent_id is missing', 'name the agent that claims');
  end if;
  return query
    select (j ->> 'job_id')::uuid, j ->> 'job_type', (j -> 'payload')::jsonb, (j ->> 'priority')::integer, (j ->> 'lease_token')::bigint,
      (j ->> 'attempt')::integer, j ->> 'created_by'
    from json_array_elements(troupe.claim(claim_next_job.agent_id, troupe.legacy_job_types(claim_next_job.agent_id), 1, 1800000,
      null, null, true, troupe.now()) -> 'jobs') j;
end $$;

-- The original call, without a token: accepted while the job is held through claim_next_job. With p_lease_token the token decides.
-- A refused one is HTTP 409. Repeating a success is fine; a failure gave the job away, so only its token can repeat it.
create or replace function public.complete_job(p_job_id uuid, p_success boolean, p_result jsonb default null, p_error text default null,
  p_lease_token bigint default null) returns void
language plpgsql set search_path = '' as $$
declare
  v_job public.agent_jobs;
  v_verdict text;
begin
  if p_success is null then
    perform troupe.refuse('PT400', 'complete_job: p_success is missing', 'true or false');
  end if;
  select * into v_job from public.agent_jobs j where j.id = p_job_id for update;
  if not found then
    perform troupe.refuse('PT404', format('complete_job: there is no job %s', p_job_id));
  end if;
  if p_lease_token is null and v_job.legacy_claim and v_job.status = 'completed' and p_success then
    return; -- the answer to the first call was lost
  end if;
  if p_lease_token is null and not (v_job.legacy_claim and v_job.status in ('assigned', 'in_progress')) then
    perform troupe.refuse('PT409', format('complete_job: job %s is %s and not held through claim_next_job', p_job_id, v_job.status),
      'claim it first, or pass p_lease_token');
  end if;
  v_verdict := troupe.settle_jobs(jsonb_build_array(jsonb_build_object('job_id', p_job_id,
    'lease_token', coalesce(p_lease_token, v_job.lease_token), 'outcome', case when p_success then 'completed' else 'failed' end,
    'result', p_result, 'error', p_error)), troupe.now()) -> 0 ->> 'verdict';
  if v_verdict not in ('ok', 'repeat') then
    perform troupe.refuse('PT409', format('complete_job: token %s of job %s is stale', p_lease_token, p_job_id),
      'the job was taken over; drop its result');
  end if;
end $$;

-- The original call; also for an agent never seen before. p_current_job starts that job and renews a lease of claim_next_job.
create or replace function public.update_agent_heartbeat(p_agent_id text, p_status text default 'idle', p_current_job uuid default null)
returns void
language plpgsql set search_path = '' as $$
declare
  v_now timestamptz := troupe.now();
  v_job uuid;
begin
  if p_current_job is not null then
    select j.id into v_job from public.agent_jobs j where j.id = p_current_job; -- a pruned job must not fail the heartbeat
    update public.agent_jobs j set status = 'in_progress', started_at = coalesce(j.started_at, v_now),
      lease_expires_at = least(v_now + interval '30 minutes', j.assigned_at + troupe.ms(j.timeout_ms))
      where j.id = p_current_job and j.assigned_to = p_agent_id and j.legacy_claim and j.lease_expires_at is not null;
  end if;
  insert into public.agent_status as s (agent_id, agent_name, agent_type, status, current_job, last_heartbeat, last_activity)
    values (p_agent_id, p_agent_id, 'unknown', p_status, v_job, v_now, v_now)
    on conflict (agent_id) do update set status = excluded.status, current_job = excluded.current_job, last_heartbeat = v_now,
      last_activity = case when s.status is distinct from excluded.status or s.current_job is distinct from excluded.current_job
        then v_now else s.last_activity end,
      blocked_reason = case when excluded.status = 'blocked' then s.blocked_reason end,
      blocked_since = case when excluded.status = 'blocked' then s.blocked_since end;
end $$;

do $$ begin perform
  troupe.seal_functions('public', array['claim_jobs', 'finish_jobs', 'renew_jobs', 'create_jobs', 'cancel_jobs', 'redrive_jobs',
    'claim_next_job', 'complete_job', 'update_agent_heartbeat']),
  troupe.seal_functions('troupe'),
  troupe.pin_plans(array['public.claim_jobs', 'public.finish_jobs', 'public.renew_jobs', 'public.create_jobs', 'public.cancel_jobs',
    'public.redrive_jobs', 'public.claim_next_job', 'public.complete_job', 'public.update_agent_heartbeat']::regproc[]); end $$;
