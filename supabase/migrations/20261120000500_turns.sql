-- Turns: one message or job handled by one actor is one commit. Locks are taken in one order everywhere: agent_leases
-- (sorted), deliveries and jobs, everything else, agent_status last.

-- Functions that an actor may run inside its turn (db.write) or at once (db.call). Each takes one jsonb and returns jsonb,
-- and refuses by an exception. Later teams add theirs by migration.
create table if not exists troupe.callable_functions (name text primary key);
grant select on troupe.callable_functions to service_role;

create or replace function troupe.call_function(p_name text, p_args jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_result jsonb;
begin
  if not exists (select from troupe.callable_functions f where f.name = p_name) then
    perform troupe.refuse('PT403', format('%s is not a function that actors may call', p_name), 'see troupe.callable_functions');
  end if;
  execute format('select public.%I($1)', p_name) into v_result using coalesce(p_args, '{}');
  return v_result;
end $$;

-- What a turn did to the delivery it handled, by compare and set on status, token and counts: this is what makes a turn's
-- effects exist once. Gives ok, repeat or stale.
create or replace function troupe.settle_delivery(p_turn jsonb, p_now timestamptz) returns text
language plpgsql set search_path = '' as $$
declare
  v_message uuid := (p_turn -> 'message' ->> 'id')::uuid;
  v_attempts integer := coalesce((p_turn -> 'message' ->> 'attempts')::integer, 0);
  v_interruptions integer := (p_turn -> 'message' ->> 'interruptions')::integer;
  v_token bigint := (p_turn ->> 'lease_token')::bigint;
  v_outcome text := coalesce(p_turn ->> 'outcome', 'done');
  -- what the counts are afterwards
  v_tried integer := v_attempts + case
    when v_outcome = 'started' then 1
    when v_outcome in ('retry', 'dead') and (p_turn -> 'message' ->> 'counted')::boolean is not true then 1
    else 0 end;
  v_broken integer := v_interruptions + case v_outcome when 'interrupted' then 1 else 0 end;
  v_status text := case
    when v_outcome = 'interrupted' and v_broken >= troupe.max_interruptions() then 'dead'
    when v_outcome in ('retry', 'started', 'interrupted') then 'ready'
    else v_outcome end;
  v_found public.agent_deliveries;
begin
  if v_outcome = 'interrupted' and v_interruptions is null then
    perform troupe.refuse('PT400', 'commit_turns: message.interruptions is missing', 'interrupted is counted by compare and set');
  end if;
  update public.agent_deliveries d set
    status = v_status, attempts = v_tried, interruptions = coalesce(v_broken, d.interruptions),
    retry_at = case v_outcome when 'retry' then p_now + troupe.ms(coalesce((p_turn ->> 'retry_in_ms')::numeric, 0)) end,
    finished_at = case when v_status <> 'ready' then p_now end,
    dead_reason = case v_outcome when 'dead' then coalesce(p_turn ->> 'reason', 'failed')
      when 'interrupted' then case v_status when 'dead' then 'interrupted' end end,
    error = coalesce(left(p_turn ->> 'error', 10000), d.error)
    -- That is: ready. Said so, the planner would look for it among all that is ready in the agent's mailbox.
    where d.message_id = v_message and d.agent_id = p_turn ->> 'agent_id' and d.finished_at is null and d.status <> 'scheduled'
      and d.token = v_token and d.attempts = v_attempts and d.interruptions = coalesce(v_interruptions, d.interruptions);
  if found then
    return 'ok';
  end if;
  select * into v_found from public.agent_deliveries d where d.message_id = v_message and d.agent_id = p_turn ->> 'agent_id';
  return case
    when v_found.token = v_token and v_found.status = v_status and v_found.attempts = v_tried
      and v_found.interruptions = coalesce(v_broken, v_found.interruptions) then 'repeat'
    else 'stale' end;
end $$;

-- Deaths of the process or of a shared thread that a message survives, if it was not alone there, before it is dead itself.
create or replace function troupe.max_interruptions() returns integer
language sql immutable set search_path = '' as $$ select 10 $$;

-- Saves an actor's state by compare and set on its version. Gives ok, repeat or stale.
create or replace function troupe.save_state(p_agent text, p_token bigint, p_state jsonb, p_now timestamptz) returns text
language plpgsql set search_path = '' as $$
declare
  v_version bigint := (p_state ->> 'version')::bigint; -- the version this one was made from; 0: there was none
  v_found public.agent_state;
begin
  if v_version is null or p_state ->> 'value' is null then
    perform troupe.refuse('PT400', format('commit_turns: the state of %s has no version or value', p_agent), 'version 0 is the first');
  end if;
  perform (p_state ->> 'value')::jsonb; -- what is not JSON would only be noticed at the next start
  if v_version = 0 then
    insert into public.agent_state (agent_id, version, state, token, updated_at)
      values (p_agent, 1, p_state ->> 'value', p_token, p_now) on conflict do nothing;
  else
    update public.agent_state s set version = v_version + 1, state = p_state ->> 'value', token = p_token, updated_at = p_now
      where s.agent_id = p_agent and s.version = v_version;
  end if;
  if found then
    return 'ok';
  end if;
  select * into v_found from public.agent_state s where s.agent_id = p_agent;
  return case when v_found.version = v_version + 1 and v_found.token = p_token and v_found.state = p_state ->> 'value' then 'repeat' else 'stale' end;
end $$;

-- Sets and clears timers. Each: {name, type, body?: JSON text, every_ms?, due_in_ms} or {name, cancel: true}. Setting the same
-- periodic timer again, as every init does, keeps its phase.
create or replace function troupe.set_timers(p_agent text, p_timers jsonb, p_now timestamptz) returns void
language plpgsql set search_path = '' as $$
declare
  v_timer jsonb;
begin
  for v_timer in select t from jsonb_array_elements(p_timers) t loop
    if (v_timer ->> 'cancel')::boolean then
      delete from public.agent_timers t where t.agent_id = p_agent and t.name = v_timer ->> 'name';
    else
      perform (v_timer ->> 'body')::jsonb;
      insert into public.agent_timers as known (agent_id, name, type, body, every_ms, due_at)
        values (p_agent, v_timer ->> 'name', v_timer ->> 'type', coalesce(v_timer ->> 'body', 'null'), (v_timer ->> 'every_ms')::bigint,
          p_now + troupe.ms(coalesce((v_timer ->> 'due_in_ms')::numeric, (v_timer ->> 'every_ms')::numeric, 0)))
        on conflict (agent_id, name) do update set type = excluded.type, body = excluded.body, every_ms = excluded.every_ms,
          due_at = case when known.every_ms = excluded.every_ms then known.due_at else excluded.due_at end;
    end if;
  end loop;
end $$;

-- Writes one turn, or raises. The caller has checked the lease and holds it.
create or replace function troupe.apply_turn(p_turn jsonb, p_stamps jsonb, p_now timestamptz) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_agent text := p_turn ->> 'agent_id';
  v_token bigint := (p_turn ->> 'lease_token')::bigint;
  v_message uuid := (p_turn -> 'message' ->> 'id')::uuid;
  v_job uuid := (p_turn -> 'job' ->> 'id')::uuid;
  v_turn uuid := (p_turn ->> 'turn_id')::uuid;
  v_outcome text := coalesce(p_turn ->> 'outcome', 'done');
  v_verdict text := 'ok';
  v_messages jsonb := coalesce(p_turn -> 'messages', '[]');
  v_told jsonb := '[]';
  v_jobs jsonb := '[]';
  v_results jsonb := '[]';
  v_write jsonb;
begin
  if v_outcome not in ('done', 'retry', 'dead', 'released', 'started', 'interrupted') or (v_outcome = 'released' and v_job is null)
    or (v_outcome in ('started', 'interrupted') and v_message is null)
  then
    perform troupe.refuse('PT400', format('commit_turns: outcome %L', v_outcome),
      'done, retry, dead; released for a job; started, interrupted for a message');
  end if;
  if v_message is not null then
    v_verdict := troupe.settle_delivery(p_turn, p_now);
  elsif v_job is not null then
    v_verdict := troupe.settle_jobs(jsonb_build_array((p_turn -> 'job') || jsonb_build_object('job_id', v_job,
      'outcome', case v_outcome when 'done' then 'completed' when 'released' then 'released' else 'failed' end,
      'error', p_turn ->> 'error', 'retryable', v_outcome <> 'dead', 'retry_in_ms', p_turn -> 'retry_in_ms')), p_now) -> 0 ->> 'verdict';
  elsif v_turn is not null then
    insert into public.agent_steps (agent_id, message_id, key, status, token, started_at, finished_at)
      values (v_agent, v_turn, 'turn', 'finished', v_token, p_now, p_now) on conflict do nothing;
    v_verdict := case when found then 'ok' else 'repeat' end;
  end if;
  if v_verdict in ('stale', 'not_found') then
    return jsonb_build_object('verdict', 'stale', 'reason', case when v_message is null then 'job' else 'delivery' end);
  elsif v_outcome <> 'done' then
    return jsonb_build_object('verdict', v_verdict);
  end if;

  if p_turn ? 'reply' then
    v_messages := v_messages || jsonb_build_array(jsonb_build_object('id', p_turn -> 'reply' ->> 'id', 'to_agent', p_turn -> 'reply' ->> 'to_agent',
      'type', 'reply', 'body', p_turn -> 'reply' ->> 'body', 'reply_to', v_message));
  end if;
  select coalesce(jsonb_agg(m || jsonb_build_object('from_agent', v_agent) order by place), '[]') into v_messages
    from jsonb_array_elements(v_messages) with ordinality as t(m, place);
  if v_verdict = 'ok' and p_turn ? 'state' then
    v_verdict := troupe.save_state(v_agent, v_token, p_turn -> 'state', p_now);
    if v_verdict = 'stale' or (v_verdict = 'repeat' and coalesce(v_message, v_job, v_turn) is not null) then
      perform troupe.refuse('TRSTL', format('the state of %s has another version than %s', v_agent, p_turn -> 'state' ->> 'version'));
    end if; -- else an init, told apart by its state alone
  end if;
  if v_verdict = 'repeat' then -- whoever missed the first answer still has to hand these to their mailboxes
    return jsonb_build_object('verdict', 'repeat', 'messages', (
      select coalesce(jsonb_agg(troupe.known_message(m, p_stamps) order by place), '[]')
      from jsonb_array_elements(v_messages) with ordinality as t(m, place)));
  end if;

  if v_messages <> '[]' then
    v_told := troupe.insert_messages(v_messages, p_stamps, p_now);
  end if;
  if p_turn ? 'jobs' then
    v_jobs := troupe.insert_jobs(p_turn -> 'jobs', v_agent, p_now);
  end if;
  if p_turn ? 'timers' then
    perform troupe.set_timers(v_agent, p_turn -> 'timers', p_now);
  end if;
  for v_write in select w from jsonb_array_elements(coalesce(p_turn -> 'writes', '[]')) with ordinality as t(w, place) order by place loop
    v_results := v_results || jsonb_build_array(troupe.call_function(v_write ->> 'fn', v_write -> 'args'));
  end loop;
  if (p_turn ->> 'steps')::boolean then -- the turn cannot be repeated any more, so nobody will ask for its steps
    delete from public.agent_steps s
      where s.agent_id = case when v_message is null then '' else v_agent end and s.message_id = coalesce(v_message, v_job);
  end if;
  return jsonb_build_object('verdict', 'ok', 'messages', v_told, 'jobs', v_jobs, 'writes', v_results);
end $$;

-- Commits turns. p_batch: {turns, stamps?: {agent: lease token of the mailbox in memory}, refills?: as take_messages, awaiting?:
-- ids of asks}. Each turn:
--   {agent_id, lease_token, message: {id, attempts, interruptions?, counted?} | job: {id, lease_token, result?} | turn_id: what makes
--    a repeat known where there is neither (a message that was only in memory, an init without state), outcome?: done | retry | dead |
--    released | started | interrupted, error?, reason?, retry_in_ms?, state?: {version: that it was made from, value: JSON text},
--    reply?: {id, to_agent, body}, messages?: as insert_messages, jobs?: as create_jobs, timers?, writes?: [{fn, args}], steps?: true
--    when it saved any}
-- Outcomes of a message: retry and dead count an attempt, unless counted says that started has counted it already. started is
-- written before a suspect message runs alone, so that the attempt survives what it may do to the process. interrupted counts an
-- interruption, and needs message.interruptions: the thread died, but perhaps of another's message.
-- Answer: {turns: [{verdict, ...}], refills, replies}, each in order. A turn is all or nothing, with its own verdict:
--   ok      with what became of its messages, jobs and writes
--   repeat  it was committed before; with its messages as they are now, if they came with ids
--   stale   nothing was written; reason: lease (another incarnation has the agent), delivery, job or state (it belongs to
--           somebody else), follows (an earlier turn of the agent in this batch did not stand, and this one was built on it)
--   failed  its data was refused: code (MAILBOX_FULL or an SQLSTATE) and error say why
-- Only then may its messages be handed to their mailboxes. Deadlocks, serialisation failures and everything that is not about
-- one turn's data fail the call: repeat it as it is.
create or replace function public.commit_turns(p_batch jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_now timestamptz := troupe.now();
  v_stamps jsonb := coalesce(nullif(p_batch -> 'stamps', 'null'), '{}');
  v_refills jsonb := coalesce(nullif(p_batch -> 'refills', 'null'), '[]');
  v_awaiting uuid[] := array(select (a #>> '{}')::uuid from jsonb_array_elements(nullif(p_batch -> 'awaiting', 'null')) a);
  v_held jsonb;
  v_fallen jsonb := '{}'; -- agents of which a turn did not stand
  v_turn jsonb;
  v_agent text;
  v_verdict jsonb;
  v_verdicts jsonb[] := '{}';
begin
  v_held := troupe.lock_leases(troupe.stamped_agents(v_stamps)
    || array(select t ->> 'agent_id' from jsonb_array_elements(p_batch -> 'turns') t)
    || array(select r ->> 'agent_id' from jsonb_array_elements(v_refills) r));
  for v_turn in select t from jsonb_array_elements(p_batch -> 'turns') with ordinality as x(t, place) order by place loop
    v_agent := v_turn ->> 'agent_id';
    if not troupe.is_holder(v_held, v_agent, v_turn -> 'lease_token') then
      v_verdict := '{"verdict": "stale", "reason": "lease"}';
    elsif v_fallen ? v_agent then
      v_verdict := '{"verdict": "stale", "reason": "follows"}';
    else
      begin
        v_verdict := troupe.apply_turn(v_turn, v_stamps, v_now);
      exception
        when transaction_rollback or operator_intervention or insufficient_resources or system_error or connection_exception
          or invalid_transaction_state or lock_not_available then
          raise;
        when sqlstate 'TRSTL' then
          v_verdict := '{"verdict": "stale", "reason": "state"}';
        when sqlstate 'TRFUL' then
          v_verdict := jsonb_build_object('verdict', 'failed', 'code', 'MAILBOX_FULL', 'error', sqlerrm);
        when others then
          v_verdict := jsonb_build_object('verdict', 'failed', 'code', sqlstate, 'error', sqlerrm);
      end;
      if v_verdict ->> 'verdict' not in ('ok', 'repeat') then
        v_fallen := v_fallen || jsonb_build_object(v_agent, true);
      end if;
    end if;
    v_verdicts := v_verdicts || v_verdict; -- not into a jsonb, which would be written anew each time
  end loop;
  return jsonb_build_object(
    'turns', to_jsonb(v_verdicts),
    'refills', case when v_refills = '[]' then '[]' else public.take_messages(v_refills) end,
    'replies', case when v_awaiting = '{}' then '[]' else public.read_replies(v_awaiting) end);
end $$;

-- Whose steps a call means, and whether it may touch them now: a message's belong to the agent that handles it, a job's to
-- whoever holds the job. The caller holds the leases in p_held.
create or replace function troupe.step_owner(p_call jsonb, p_held jsonb, out is_holder boolean, out agent_id text, out message_id uuid)
language plpgsql set search_path = '' as $$
begin
  is_holder := troupe.is_holder(p_held, p_call ->> 'agent_id', p_call -> 'lease_token');
  if p_call ->> 'job_id' is null then
    agent_id := p_call ->> 'agent_id';
    message_id := (p_call ->> 'message_id')::uuid;
  else
    agent_id := '';
    message_id := (p_call ->> 'job_id')::uuid;
    perform from public.agent_jobs j
      where j.id = message_id and j.lease_token = (p_call ->> 'job_token')::bigint and j.lease_expires_at is not null for share;
    is_holder := is_holder and found;
  end if;
end $$;

-- Steps: what a turn does at once and must not do twice. Each element: {agent_id, lease_token, message_id | job_id and job_token,
-- key, phase: start | finish, run?: names the run of the handler, result?: JSON text}. Answers in order: {key, verdict: ok}; {key,
-- verdict: repeat, status: started | finished, result?} for one that is there already, except a start of the same run, which is
-- ok again: its answer was lost; {verdict: stale} without the lease; {verdict: not_found} for the end of what was never
-- started; {verdict: failed, code, error}.
create or replace function public.save_steps(p_batch jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_now timestamptz := troupe.now();
  v_held jsonb := troupe.lock_leases(array(select e ->> 'agent_id' from jsonb_array_elements(p_batch) e));
  v_step jsonb;
  v_owner record;
  v_known public.agent_steps;
  v_answer jsonb;
  v_answers jsonb := '[]';
begin
  for v_step in select e from jsonb_array_elements(p_batch) with ordinality as t(e, place) order by place loop
    v_answer := null;
    begin
      v_owner := troupe.step_owner(v_step, v_held);
      if not v_owner.is_holder then
        v_answer := '{"verdict": "stale"}';
      elsif v_step ->> 'phase' = 'start' then
        insert into public.agent_steps (agent_id, message_id, key, token, run, started_at)
          values (v_owner.agent_id, v_owner.message_id, v_step ->> 'key', (v_step ->> 'lease_token')::bigint, v_step ->> 'run', v_now)
          on conflict do nothing;
        v_answer := case when found then '{"verdict": "ok"}'::jsonb end;
      elsif v_step ->> 'phase' = 'finish' then
        perform (v_step ->> 'result')::jsonb;
        update public.agent_steps s set status = 'finished', result = coalesce(v_step ->> 'result', 'null'), finished_at = v_now,
          token = (v_step ->> 'lease_token')::bigint
          where s.agent_id = v_owner.agent_id and s.message_id = v_owner.message_id and s.key = v_step ->> 'key' and s.status = 'started';
        v_answer := case when found then '{"verdict": "ok"}'::jsonb end;
      else
        perform troupe.refuse('PT400', format('save_steps: phase %L', v_step ->> 'phase'), 'start or finish');
      end if;
      if v_answer is null then
        select * into v_known from public.agent_steps s
          where s.agent_id = v_owner.agent_id and s.message_id = v_owner.message_id and s.key = v_step ->> 'key';
        v_answer := case
          when v_known.key is null then '{"verdict": "not_found"}'::jsonb
          when v_step ->> 'phase' = 'start' and v_known.status = 'started' and v_known.run = v_step ->> 'run' then '{"verdict": "ok"}'
          else jsonb_strip_nulls(jsonb_build_object('verdict', 'repeat', 'status', v_known.status, 'result', v_known.result)) end;
      end if;
    exception when data_exception or integrity_constraint_violation or program_limit_exceeded or sqlstate 'PT400' then
      v_answer := jsonb_build_object('verdict', 'failed', 'code', sqlstate, 'error', sqlerrm);
    end;
    v_answers := v_answers || jsonb_build_array(jsonb_build_object('key', v_step ->> 'key') || v_answer);
  end loop;
  return v_answers;
end $$;

-- Calls functions at once (db.call). Each element: {agent_id, lease_token, message_id | job_id and job_token, key, fn, args}. The
-- result is kept under the key in the same transaction, so that a repeated turn gets it again: {key, verdict: ok | repeat, result} |
-- stale | failed with code and error.
create or replace function public.call_functions(p_batch jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_now timestamptz := troupe.now();
  v_held jsonb := troupe.lock_leases(array(select e ->> 'agent_id' from jsonb_array_elements(p_batch) e));
  v_call jsonb;
  v_owner record;
  v_known text;
  v_answer jsonb;
  v_answers jsonb := '[]';
begin
  for v_call in select e from jsonb_array_elements(p_batch) with ordinality as t(e, place) order by place loop
    begin
      v_owner := troupe.step_owner(v_call, v_held);
      if not v_owner.is_holder then
        v_answer := '{"verdict": "stale"}';
      else
        -- Before the function runs: a repetition that comes while the first call is under way waits here for its result.
        insert into public.agent_steps (agent_id, message_id, key, token, started_at)
          values (v_owner.agent_id, v_owner.message_id, v_call ->> 'key', (v_call ->> 'lease_token')::bigint, v_now) on conflict do nothing;
        if found then
          v_answer := jsonb_build_object('verdict', 'ok', 'result', troupe.call_function(v_call ->> 'fn', v_call -> 'args'));
          update public.agent_steps s set status = 'finished', result = (v_answer -> 'result')::text, finished_at = v_now
            where s.agent_id = v_owner.agent_id and s.message_id = v_owner.message_id and s.key = v_call ->> 'key';
        else
          select s.result into v_known from public.agent_steps s
            where s.agent_id = v_owner.agent_id and s.message_id = v_owner.message_id and s.key = v_call ->> 'key' and s.status = 'finished';
          if not found then
            perform troupe.refuse('PT409', format('call_functions: %L is a step of this turn', v_call ->> 'key'), 'give calls keys of their own');
          end if;
          v_answer := jsonb_build_object('verdict', 'repeat', 'result', v_known::jsonb);
        end if;
      end if;
    exception
      when transaction_rollback or operator_intervention or insufficient_resources or system_error or connection_exception
        or invalid_transaction_state or lock_not_available then
        raise;
      when others then
        v_answer := jsonb_build_object('verdict', 'failed', 'code', sqlstate, 'error', sqlerrm);
    end;
    v_answers := v_answers || jsonb_build_array(jsonb_build_object('key', v_call ->> 'key') || v_answer);
  end loop;
  return v_answers;
end $$;

-- Leases of agents -----------------------------------------------------------------------------------------------------------

-- Takes an agent's lease for a node: verdict ok with a new token, what the incarnation starts from, and whether its last
-- holder left without a word; busy while another node holds it; older when this node's config is older than the last holder's.
create or replace function troupe.take_lease(p_agent jsonb, p_node text, p_lease_ms numeric, p_now timestamptz) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_agent text := p_agent ->> 'agent_id';
  v_until timestamptz := p_now + troupe.ms(p_lease_ms);
  v_stamp bigint := coalesce((p_agent ->> 'spec_stamp')::bigint, 0);
  v_lease public.agent_leases;
  v_unclean boolean := false;
begin
  -- A standby asks all the time: it must not hold up the commits of whoever has the lease.
  select * into v_lease from public.agent_leases l where l.agent_id = v_agent and l.spec_stamp <= v_stamp
    and l.node_id <> p_node and l.lease_expires_at > p_now;
  if found then
    return jsonb_build_object('verdict', 'busy', 'node_id', v_lease.node_id,
      'expires_in_ms', ceil(extract(epoch from v_lease.lease_expires_at - p_now) * 1000));
  end if;
  insert into public.agent_leases (agent_id, agent_type, node_id, lease_expires_at, is_clean, spec_version, spec_stamp, mailbox_limit, registered_at)
    values (v_agent, coalesce(p_agent ->> 'agent_type', 'unknown'), p_node, v_until, false, p_agent ->> 'spec_version', v_stamp,
      (p_agent ->> 'mailbox_limit')::integer, p_now)
    on conflict (agent_id) do nothing;
  if not found then
    select * into v_lease from public.agent_leases l where l.agent_id = v_agent for update;
    if v_lease.spec_stamp > v_stamp then
      return jsonb_build_object('verdict', 'older');
    end if;
    if v_lease.node_id <> p_node and v_lease.lease_expires_at > p_now then
      return jsonb_build_object('verdict', 'busy', 'node_id', v_lease.node_id,
        'expires_in_ms', ceil(extract(epoch from v_lease.lease_expires_at - p_now) * 1000));
    end if;
    v_unclean := not v_lease.is_clean and v_lease.node_id <> p_node;
    update public.agent_leases l set agent_type = coalesce(p_agent ->> 'agent_type', l.agent_type), node_id = p_node,
      lease_token = l.lease_token + 1, lease_expires_at = v_until, is_clean = false, spec_version = p_agent ->> 'spec_version',
      spec_stamp = v_stamp, mailbox_limit = (p_agent ->> 'mailbox_limit')::integer, retired_at = null
      where l.agent_id = v_agent;
    if v_unclean then
      -- The message at the head was probably in hand when the process died, unless it or one of its sender's before it was
      -- waiting for a retry. It is innocent until this has happened often.
      update public.agent_deliveries d set interruptions = d.interruptions + 1,
        status = case when d.interruptions + 1 >= troupe.max_interruptions() then 'dead' else d.status end,
        dead_reason = case when d.interruptions + 1 >= troupe.max_interruptions() then 'interrupted' end,
        finished_at = case when d.interruptions + 1 >= troupe.max_interruptions() then p_now end
        where d.agent_id = v_agent and d.message_id = (
          select head.message_id from public.agent_deliveries head
          where head.agent_id = v_agent and head.status = 'ready' and head.token = v_lease.lease_token
            and not exists (select from public.agent_deliveries first where first.agent_id = v_agent and first.status = 'ready'
              and first.token = v_lease.lease_token and first.rank = head.rank and first.seq <= head.seq
              and first.from_agent = head.from_agent and first.retry_at > v_lease.lease_expires_at)
          order by head.rank, head.seq limit 1);
    end if;
    update public.agent_deliveries d set token = null where d.agent_id = v_agent and d.status = 'ready' and d.token is not null;
  end if;
  -- What was addressed to this name before it was known.
  update public.agent_deliveries d set is_unknown = false,
    expires_at = (select m.expires_at from public.agent_messages m where m.id = d.message_id)
    where d.agent_id = v_agent and d.is_unknown and d.status in ('scheduled', 'ready');
  return (
    select jsonb_build_object('verdict', 'ok', 'lease_token', l.lease_token, 'supervision', l.supervision, 'unclean', v_unclean,
      'state', (select jsonb_build_object('version', s.version, 'value', s.state) from public.agent_state s where s.agent_id = v_agent))
    from public.agent_leases l where l.agent_id = v_agent);
end $$;

-- Gives a lease back. A retired agent is in no config any more: what waits for it has an unknown address again, and a process
-- whose config is older than its retirement does not bring it back.
create or replace function troupe.end_lease(p_agent jsonb, p_node text, p_now timestamptz) returns text
language plpgsql set search_path = '' as $$
declare
  v_agent text := p_agent ->> 'agent_id';
  v_token bigint := (p_agent ->> 'lease_token')::bigint; -- read here, or a plan may never look at a wrong one
  v_retires boolean := p_agent ->> 'action' = 'retire';
begin
  update public.agent_leases l set lease_expires_at = null, node_id = null, is_clean = true,
    retired_at = case when v_retires then p_now else l.retired_at end,
    spec_stamp = case when v_retires then greatest(l.spec_stamp, (p_agent ->> 'spec_stamp')::bigint) else l.spec_stamp end,
    supervision = coalesce(p_agent -> 'supervision', l.supervision)
    where l.agent_id = v_agent and l.lease_token = v_token and l.node_id = p_node;
  if not found then
    return case when exists (select from public.agent_leases l where l.agent_id = v_agent and l.node_id is null
      and l.lease_token = v_token and (l.retired_at is not null) = v_retires) then 'repeat' else 'stale' end;
  end if;
  if v_retires then
    -- Two statements, as there are two indexes.
    update public.agent_deliveries d set is_unknown = true, token = null,
      expires_at = coalesce(d.expires_at, p_now + troupe.unknown_address_patience())
      where d.agent_id = v_agent and d.status = 'ready';
    update public.agent_deliveries d set is_unknown = true, expires_at = coalesce(d.expires_at, p_now + troupe.unknown_address_patience())
      where d.agent_id = v_agent and d.status = 'scheduled';
  end if;
  return 'ok';
end $$;

create or replace function troupe.sync_lease(p_agent jsonb, p_node text, p_lease_ms numeric, p_now timestamptz) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_action text := coalesce(p_agent ->> 'action', 'hold');
  v_token bigint := (p_agent ->> 'lease_token')::bigint;
begin
  case v_action
    when 'take' then
      return troupe.take_lease(p_agent, p_node, p_lease_ms, p_now);
    when 'release', 'retire' then
      return jsonb_build_object('verdict', troupe.end_lease(p_agent, p_node, p_now));
    when 'hold' then -- an expired lease with an unchanged token is still its holder's
      update public.agent_leases l set lease_expires_at = p_now + troupe.ms(p_lease_ms),
        supervision = coalesce(p_agent -> 'supervision', l.supervision)
        where l.agent_id = p_agent ->> 'agent_id' and l.lease_token = v_token and l.node_id = p_node;
      return jsonb_build_object('verdict', case when found then 'ok' else 'stale' end);
    else
      perform troupe.refuse('PT400', format('sync_node: action %L', v_action), 'take, hold, release or retire');
  end case;
end $$;

-- A node's heartbeat: takes, renews and gives back leases of agents, renews leases of jobs, reports what the agents are doing.
-- p_batch: {node_id, lease_ms?: 15000, agents: [{agent_id, agent_type?, action: take | hold | release | retire, lease_token?,
-- spec_version?, spec_stamp?, mailbox_limit?, supervision?, agent_name?, status?, blocked_reason?, current_job?, current_load?,
-- max_load?, capabilities?, version?}], jobs: as renew_jobs}. Answer: {agents: [{agent_id, verdict, ...}], jobs: [{job_id, verdict}]},
-- the verdicts of take: ok with lease_token, state, supervision and unclean; busy with node_id and expires_in_ms; older. Of hold: ok or
-- stale. Of release and retire: ok, repeat or stale.
create or replace function public.sync_node(p_batch jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_now timestamptz := troupe.now();
  v_node text := p_batch ->> 'node_id';
  v_lease_ms numeric := coalesce((p_batch ->> 'lease_ms')::numeric, 15000);
  v_agent jsonb;
  v_verdict jsonb;
  v_verdicts jsonb := '{}';
  v_jobs jsonb;
begin
  if coalesce(v_node, '') = '' then
    perform troupe.refuse('PT400', 'sync_node: node_id is missing', 'each process start has one');
  end if;
  if v_lease_ms not between 100 and 3600000 then
    perform troupe.refuse('PT400', format('sync_node: lease_ms is %s', v_lease_ms), 'lease_ms must be 100 to 3600000');
  end if;
  if exists (select from jsonb_array_elements(p_batch -> 'agents') a group by a ->> 'agent_id'
    having count(*) > 1 or coalesce(a ->> 'agent_id', '') = '')
  then
    perform troupe.refuse('PT400', 'sync_node: an agent without agent_id, or named twice', 'one element for each agent');
  end if;
  for v_agent in
    select a from jsonb_array_elements(coalesce(p_batch -> 'agents', '[]')) a order by a ->> 'agent_id'
  loop
    v_verdict := troupe.sync_lease(v_agent, v_node, v_lease_ms, v_now);
    v_verdicts := v_verdicts || jsonb_build_object(v_agent ->> 'agent_id', v_verdict);
  end loop;
  v_jobs := public.renew_jobs(coalesce(p_batch -> 'jobs', '[]'));
  insert into public.agent_status as s (agent_id, agent_name, agent_type, status, current_job, last_heartbeat, last_activity, capabilities,
    current_load, max_load, blocked_reason, blocked_since, version)
  select a ->> 'agent_id', coalesce(a ->> 'agent_name', a ->> 'agent_id'), coalesce(a ->> 'agent_type', 'unknown'),
    coalesce(a ->> 'status', 'idle'), (select j.id from public.agent_jobs j where j.id = (a ->> 'current_job')::uuid), v_now, v_now,
    coalesce(a -> 'capabilities', '[]'), coalesce((a ->> 'current_load')::integer, 0), coalesce((a ->> 'max_load')::integer, 5),
    a ->> 'blocked_reason', case when a ->> 'status' = 'blocked' then v_now end, a ->> 'version'
  from jsonb_array_elements(coalesce(p_batch -> 'agents', '[]')) a
  where v_verdicts -> (a ->> 'agent_id') ->> 'verdict' = 'ok' and a ? 'status'
  order by a ->> 'agent_id'
  on conflict (agent_id) do update set
    agent_name = excluded.agent_name,
    agent_type = case when excluded.agent_type = 'unknown' then s.agent_type else excluded.agent_type end,
    status = excluded.status, current_job = excluded.current_job, last_heartbeat = v_now,
    last_activity = case when s.status is distinct from excluded.status then v_now else s.last_activity end,
    capabilities = case when excluded.capabilities = '[]' then s.capabilities else excluded.capabilities end,
    current_load = excluded.current_load, max_load = excluded.max_load, blocked_reason = excluded.blocked_reason,
    blocked_since = case when excluded.status = 'blocked' then coalesce(s.blocked_since, v_now) end,
    version = coalesce(excluded.version, s.version);
  return jsonb_build_object(
    'agents', (
      select coalesce(jsonb_agg(jsonb_build_object('agent_id', a ->> 'agent_id') || (v_verdicts -> (a ->> 'agent_id')) order by place), '[]')
      from jsonb_array_elements(coalesce(p_batch -> 'agents', '[]')) with ordinality as t(a, place)),
    'jobs', v_jobs);
end $$;

do $$ begin perform
  troupe.seal_functions('public', array['commit_turns', 'save_steps', 'call_functions', 'sync_node']),
  troupe.seal_functions('troupe'),
  troupe.pin_plans(array['public.commit_turns', 'public.save_steps', 'public.call_functions', 'public.sync_node']::regproc[]); end $$;
