-- Turns that only settle what they handled, save their state and send are committed together, by one statement for all of them: that
-- is most turns, and one by one each costs several times as much. What apply_turn does stays the rule: whenever anything is not as it
-- ordinarily is, everything done together is undone, and the turns are applied one by one.

-- Saves the states of turns: of an agent's several the last, if each was made from the one before.
create or replace function troupe.save_states(p_turns jsonb, p_now timestamptz) returns void
language plpgsql set search_path = '' as $$
declare
  v_agents text[];
  v_tokens bigint[];
  v_first bigint[];
  v_last bigint[];
  v_values text[];
  v_chained boolean;
  v_saved integer;
  v_new integer;
begin
  select array_agg(agent_id), array_agg(token), array_agg(first), array_agg(last), array_agg(value), bool_and(chained)
    into v_agents, v_tokens, v_first, v_last, v_values, v_chained
    from (
      select agent_id, max(token) as token, min(version) as first, max(version) as last, (array_agg(value order by place desc))[1] as value,
        bool_and(coalesce(version = first + nth - 1, false) and value::jsonb is not null) as chained
      from (
        select *, row_number() over by_agent as nth, first_value(version) over by_agent as first
        from (
          select place, t ->> 'agent_id' as agent_id, (t ->> 'lease_token')::bigint as token,
            (t -> 'state' ->> 'version')::bigint as version, t -> 'state' ->> 'value' as value
          from jsonb_array_elements(p_turns) with ordinality as x(t, place) where t ? 'state'
        ) given
        window by_agent as (partition by agent_id order by place)
      ) numbered
      group by agent_id
    ) saved;
  if v_agents is null then
    return;
  elsif not v_chained then
    perform troupe.refuse('TRONE', 'these turns are to be applied one by one');
  end if;
  update public.agent_state s set version = given.last + 1, state = given.value, token = given.token, updated_at = p_now
    from unnest(v_agents, v_tokens, v_first, v_last, v_values) as given(agent_id, token, first, last, value)
    where s.agent_id = given.agent_id and s.version = given.first and given.first > 0;
  get diagnostics v_saved = row_count;
  insert into public.agent_state (agent_id, version, state, token, updated_at)
    select given.agent_id, given.last + 1, given.value, given.token, p_now
    from unnest(v_agents, v_tokens, v_first, v_last, v_values) as given(agent_id, token, first, last, value)
    where given.first = 0
    on conflict do nothing;
  get diagnostics v_new = row_count;
  if v_saved + v_new < cardinality(v_agents) then
    perform troupe.refuse('TRONE', 'these turns are to be applied one by one');
  end if;
end $$;

-- Sends the messages of turns, each turn's reply behind them. Gives for each turn what insert_messages says of its own.
create or replace function troupe.tell_all(p_turns jsonb, p_stamps jsonb, p_now timestamptz) returns jsonb[]
language plpgsql set search_path = '' as $$
declare
  v_messages jsonb;
  v_counts integer[];
  v_full boolean;
begin
  select jsonb_agg(m order by place, nth) into v_messages
    from (
      select place, nth, m || jsonb_build_object('from_agent', t -> 'agent_id') as m
      from jsonb_array_elements(p_turns) with ordinality as x(t, place)
      cross join lateral jsonb_array_elements(t -> 'messages') with ordinality as y(m, nth)
      union all
      select place, null, jsonb_build_object('id', t -> 'reply' ->> 'id', 'to_agent', t -> 'reply' ->> 'to_agent', 'type', 'reply',
        'body', t -> 'reply' ->> 'body', 'reply_to', t -> 'message' ->> 'id', 'from_agent', t -> 'agent_id')
      from jsonb_array_elements(p_turns) with ordinality as x(t, place) where t ? 'reply'
    ) told;
  if v_messages is null then
    return array_fill('[]'::jsonb, array[jsonb_array_length(p_turns)]);
  end if;
  -- Together they might take more room than is left, of which the first could have had some.
  select true into v_full from (
      select m ->> 'to_agent' as agent_id, count(*) as coming from jsonb_array_elements(v_messages) m
      where m ->> 'reply_to' is null group by 1
    ) given
    join public.agent_leases l on l.agent_id = given.agent_id and l.mailbox_limit is not null
    where (select count(*) from (select from public.agent_deliveries d
      where d.agent_id = l.agent_id and d.status = 'ready' limit l.mailbox_limit) waiting) + given.coming > l.mailbox_limit
    limit 1;
  if v_full then
    perform troupe.refuse('TRONE', 'these turns are to be applied one by one');
  end if;
  v_counts := array(
    select coalesce(jsonb_array_length(t -> 'messages'), 0) + case when t ? 'reply' then 1 else 0 end
    from jsonb_array_elements(p_turns) with ordinality as x(t, place) order by place);
  return troupe.split(troupe.insert_messages(v_messages, p_stamps, p_now), v_counts);
end $$;

-- Cuts a list into as many as there are counts.
create or replace function troupe.split(p_list jsonb, p_counts integer[]) returns jsonb[]
language plpgsql immutable set search_path = '' as $$
declare
  v_list jsonb[] := array(select one from jsonb_array_elements(p_list) with ordinality as t(one, at) order by at);
  v_pieces jsonb[] := '{}';
  v_at integer := 0;
begin
  for v_nth in 1 .. cardinality(p_counts) loop
    v_pieces := v_pieces || to_jsonb(v_list[v_at + 1 : v_at + p_counts[v_nth]]);
    v_at := v_at + p_counts[v_nth];
  end loop;
  return v_pieces;
end $$;

-- Writes plain turns together, or raises: then they are to be applied one by one. The caller has checked the leases and holds them.
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
    select jsonb_agg(j || jsonb_build_object('created_by', t -> 'agent_id') order by place, nth) into v_created
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

-- Applies one turn, all or nothing, and gives its verdict. Raises what is not about this turn's data.
create or replace function troupe.try_turn(p_turn jsonb, p_stamps jsonb, p_now timestamptz) returns jsonb
language plpgsql set search_path = '' as $$
begin
  return troupe.apply_turn(p_turn, p_stamps, p_now);
exception
  when transaction_rollback or operator_intervention or insufficient_resources or system_error or connection_exception
    or invalid_transaction_state or lock_not_available then
    raise;
  when sqlstate 'TRSTL' then
    return '{"verdict": "stale", "reason": "state"}';
  when sqlstate 'TRFUL' then
    return jsonb_build_object('verdict', 'failed', 'code', 'MAILBOX_FULL', 'error', sqlerrm);
  when others then
    return jsonb_build_object('verdict', 'failed', 'code', sqlstate, 'error', sqlerrm);
end $$;

-- Applies plain turns together; null when they have to be applied one by one, and then nothing is written.
create or replace function troupe.try_turns(p_turns jsonb, p_stamps jsonb, p_now timestamptz) returns jsonb[]
language plpgsql set search_path = '' as $$
begin
  return troupe.apply_turns(p_turns, p_stamps, p_now);
exception
  when transaction_rollback or operator_intervention or insufficient_resources or system_error or connection_exception
    or invalid_transaction_state or lock_not_available then
    raise;
  when others then
    return null;
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
  v_run record;
  v_turn jsonb;
  v_agent text;
  v_verdict jsonb;
  v_together jsonb[];
  v_verdicts jsonb[] := '{}';
begin
  v_held := troupe.lock_leases(troupe.stamped_agents(v_stamps)
    || array(select t ->> 'agent_id' from jsonb_array_elements(p_batch -> 'turns') t)
    || array(select r ->> 'agent_id' from jsonb_array_elements(v_refills) r));
  -- Runs of plain turns of agents that are held, and each other turn for itself.
  for v_run in
    select jsonb_agg(t order by place) as turns, count(*) > 1 as together, array_agg(t ->> 'agent_id') as agents
    from (
      select t, place, case when not plain then place else place - row_number() over (partition by plain order by place) end as run, plain
      from (
        select t, place, coalesce(t ->> 'outcome', 'done') = 'done'
            and coalesce(v_held -> (t ->> 'agent_id') = t -> 'lease_token', false)
            and coalesce(t -> 'message' ->> 'id', t -> 'job' ->> 'id') is not null
            and coalesce(t -> 'writes', '[]') = '[]' and coalesce(t -> 'timers', '[]') = '[]'
            and not t @? '$.jobs[*].dedupe_key' -- a job that ends later in the batch may have the key
          as plain
        from jsonb_array_elements(p_batch -> 'turns') with ordinality as x(t, place)
      ) told
    ) grouped
    group by plain, run order by min(place)
  loop
    v_together := null;
    if v_run.together and not v_fallen ?| v_run.agents then
      v_together := troupe.try_turns(v_run.turns, v_stamps, v_now);
    end if;
    if v_together is not null then
      v_verdicts := v_verdicts || v_together;
      continue;
    end if;
    for v_turn in select t from jsonb_array_elements(v_run.turns) with ordinality as x(t, place) order by place loop
      v_agent := v_turn ->> 'agent_id';
      if not troupe.is_holder(v_held, v_agent, v_turn -> 'lease_token') then
        v_verdict := '{"verdict": "stale", "reason": "lease"}';
      elsif v_fallen ? v_agent then
        v_verdict := '{"verdict": "stale", "reason": "follows"}';
      else
        v_verdict := troupe.try_turn(v_turn, v_stamps, v_now);
        if v_verdict ->> 'verdict' not in ('ok', 'repeat') then
          v_fallen := v_fallen || jsonb_build_object(v_agent, true);
        end if;
      end if;
      v_verdicts := v_verdicts || v_verdict; -- not into a jsonb, which would be written anew each time
    end loop;
  end loop;
  return jsonb_build_object(
    'turns', to_jsonb(v_verdicts),
    'refills', case when v_refills = '[]' then '[]' else public.take_messages(v_refills) end,
    'replies', case when v_awaiting = '{}' then '[]' else public.read_replies(v_awaiting) end);
end $$;

create or replace function public.schema_version() returns text
language sql immutable set search_path = '' as $$ select '20261121000110' $$;

do $$ begin perform
  troupe.seal_functions('public', array['commit_turns', 'schema_version']),
  troupe.seal_functions('troupe'),
  troupe.pin_plans(array['public.commit_turns']::regproc[]); end $$;

notify pgrst, 'reload schema';
