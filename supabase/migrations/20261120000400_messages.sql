-- Messages. A row in agent_messages is what was said; a row in agent_deliveries is its place in the mailbox of one agent
-- that Troupe runs, and stays behind as the receipt. Agents of the original system have no deliveries: they read the
-- messages themselves. Who is who is decided here, by agent_leases and agent_status, never by a process's own config.

-- A message for a name that nobody has registered waits this long before it is dead.
create or replace function troupe.unknown_address_patience() returns interval
language sql immutable set search_path = '' as $$ select interval '1 day' $$;

-- Locks leases against a takeover until the transaction ends and gives {agent: token}. Whoever needs several takes them
-- here, at once and before anything else: always in this order, so that commits and heartbeats cannot deadlock.
create or replace function troupe.lock_leases(p_agents text[]) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_held jsonb;
begin
  with held as (
    select l.agent_id, l.lease_token from public.agent_leases l where l.agent_id = any (p_agents) order by l.agent_id for share
  )
  select coalesce(jsonb_object_agg(agent_id, lease_token), '{}') into v_held from held;
  return v_held;
end $$;

-- Whether a call comes from the incarnation that lock_leases found. Without a token nobody is.
create or replace function troupe.is_holder(p_held jsonb, p_agent text, p_token jsonb) returns boolean
language plpgsql immutable set search_path = '' as $$
begin
  return coalesce(jsonb_typeof(p_token) = 'number' and p_held -> p_agent = p_token, false);
end $$;

-- The agents whose leases decide where messages go: an incarnation that is named in a stamp must not be replaced while rows
-- are stamped for it, or its successor would never see them.
create or replace function troupe.stamped_agents(p_stamps jsonb) returns text[]
language sql immutable set search_path = '' as $$
  select array(select jsonb_object_keys(coalesce(p_stamps, '{}')))
$$;

-- What a sender's host learns of a delivery. stamped: it belongs into the mailbox in memory that p_stamps names.
create or replace function troupe.describe_delivery(p_delivery public.agent_deliveries, p_stamps jsonb) returns jsonb
language plpgsql immutable set search_path = '' as $$
begin
  return jsonb_build_object('agent_id', p_delivery.agent_id, 'seq', p_delivery.seq, 'status', p_delivery.status,
    'stamped', p_delivery.status = 'ready' and coalesce(p_delivery.token = (p_stamps ->> p_delivery.agent_id)::bigint, false))
    || case when p_delivery.is_unknown then '{"unknown": true}'::jsonb else '{}' end;
end $$;

-- Puts messages into the mailboxes they are for. Called with the messages just inserted.
-- p_stamps maps agents to the lease token of the incarnation that takes them at once, into memory: its rows are stamped,
-- and polling will not see them again. While anything waits in the table for that agent, new rows wait behind it: a
-- sender's second message must not overtake its first. The caller holds the leases of stamped_agents(p_stamps).
create or replace function troupe.deliver(p_ids uuid[], p_delays jsonb, p_stamps jsonb, p_log jsonb, p_now timestamptz) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_deliveries jsonb;
begin
  with delivered as (
    insert into public.agent_deliveries as d (message_id, agent_id, from_agent, rank, status, token, due_at, expires_at, finished_at, is_unknown)
    select m.id, receiver.agent_id, m.from_agent, case when m.priority in ('urgent', 'high') then 0 else 1 end,
      case when p_log ? m.id::text then 'done' when p_delays ? m.id::text then 'scheduled' else 'ready' end,
      case when not p_delays ? m.id::text and receiver.lease_token = (p_stamps ->> receiver.agent_id)::bigint
        and (select true from public.agent_deliveries w -- not exists: it would collect what waits for everybody, and hash it
          where w.agent_id = receiver.agent_id and w.token is null and w.status = 'ready' limit 1) is null
        then receiver.lease_token end,
      p_now + troupe.ms((p_delays ->> m.id::text)::numeric),
      case when receiver.lease_token is null then coalesce(m.expires_at, p_now + troupe.unknown_address_patience()) else m.expires_at end,
      case when p_log ? m.id::text then p_now end,
      receiver.lease_token is null
    from unnest(p_ids) with ordinality as told(id, place)
    join public.agent_messages m on m.id = told.id
    cross join lateral (
      select m.to_agent as agent_id, l.lease_token
        from (select) as direct left join public.agent_leases l on l.agent_id = m.to_agent and l.retired_at is null
        where m.to_agent is not null
          and (l.agent_id is not null or not exists (select from public.agent_status s where s.agent_id = m.to_agent
            and not exists (select from public.agent_leases gone where gone.agent_id = m.to_agent)))
      union all
      select l.agent_id, l.lease_token from public.agent_leases l
        where m.to_agent is null and l.retired_at is null and l.agent_id <> m.from_agent
    ) receiver
    where m.reply_to is null -- a reply goes to whoever waits for it, not into a mailbox
    order by told.place, receiver.agent_id
    on conflict do nothing
    returning d.*
  )
  select coalesce(jsonb_object_agg(message_id, given), '{}') into v_deliveries from (
    select d.message_id, jsonb_agg(troupe.describe_delivery(d, p_stamps) order by d.seq) as given
    from delivered d group by d.message_id) per_message;
  return v_deliveries;
end $$;

-- What an insert by an agent of the original system, or by hand, needs as well.
create or replace function troupe.deliver_foreign() returns trigger
language plpgsql set search_path = '' as $$
begin
  perform troupe.deliver(array[new.id], '{}', '{}', '{}', troupe.now());
  return null;
end $$;
drop trigger if exists deliver_foreign on public.agent_messages;
create trigger deliver_foreign after insert on public.agent_messages
  for each row when (new.headers is null)
  execute function troupe.deliver_foreign();

-- Inserts messages and their deliveries. Each element: {id?, from_agent, to_agent?: null is a broadcast, type, body?: JSON text,
-- content?, message_type?, priority?, expires_in_ms?, delay_ms?, reply_to?, correlation_id?, send_key?, headers?, log?: true}.
-- Give ids: only then can a repeat be told. log: the receiver keeps its mailbox in memory only (durability: async), the row
-- is a record. Answers in order:
--   {id, verdict: ok, deliveries: [{agent_id, seq, status, stamped, unknown?: true}]}; none for a reply or an agent outside Troupe
--   {id: of the first one, verdict: repeat, deliveries: as they are now, reply?: JSON text, status?: of its delivery, reason?: why
--    it died}; whoever did not get the first answer puts what is stamped into the mailbox, unless that id is there already
-- Raises TRFUL when a direct receiver has as many waiting as its mailbox_limit. An agent's own messages always go in: it would
-- wait for itself.
create or replace function troupe.insert_messages(p_messages jsonb, p_stamps jsonb, p_now timestamptz) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_batch jsonb;
  v_new uuid[];
  v_delays jsonb;
  v_log jsonb;
  v_deliveries jsonb;
  v_full text;
begin
  select jsonb_agg(e order by place),
    coalesce(jsonb_object_agg(e ->> 'id', e -> 'delay_ms') filter (where (e ->> 'delay_ms')::numeric > 0), '{}'),
    coalesce(jsonb_object_agg(e ->> 'id', true) filter (where (e ->> 'log')::boolean), '{}')
    into v_batch, v_delays, v_log
    from (
      select e || jsonb_build_object('id', coalesce((e ->> 'id')::uuid, gen_random_uuid())) as e, place
      from jsonb_array_elements(p_messages) with ordinality as t(e, place)
    ) named;
  -- One rule for every body, whoever gets it: what jsonb refuses (NUL, lone surrogates, no JSON at all) is refused.
  perform (e ->> 'body')::jsonb from jsonb_array_elements(v_batch) e;

  with told as (
    insert into public.agent_messages (id, message_type, from_agent, to_agent, subject, content, payload, body, priority, read, headers,
      reply_to, correlation_id, send_key, expires_at, created_at)
    select (e ->> 'id')::uuid, coalesce(e ->> 'message_type', case when e ->> 'reply_to' is null then 'command' else 'result' end),
      e ->> 'from_agent', e ->> 'to_agent', e ->> 'type', e ->> 'content',
      case when owner.is_ours then null else coalesce((e ->> 'body')::jsonb, 'null') end, -- only agents outside Troupe read it
      coalesce(e ->> 'body', 'null'), coalesce(e ->> 'priority', 'normal'), owner.is_ours,
      coalesce(nullif(e -> 'headers', 'null'), '{}'), (e ->> 'reply_to')::uuid, (e ->> 'correlation_id')::uuid, e ->> 'send_key',
      p_now + troupe.ms((e ->> 'expires_in_ms')::numeric), p_now
    from jsonb_array_elements(v_batch) with ordinality as t(e, place)
    cross join lateral (
      select e ->> 'reply_to' is not null
        or exists (select from public.agent_leases l where l.agent_id = e ->> 'to_agent' and l.retired_at is null) as is_ours
    ) owner
    order by place
    on conflict do nothing returning id
  )
  select coalesce(array_agg(id), '{}') into v_new from told;

  -- After the insert: a repeat takes no room.
  select l.agent_id into v_full from public.agent_leases l
    where l.mailbox_limit is not null
      and l.agent_id in (select e ->> 'to_agent' from jsonb_array_elements(v_batch) e
        where (e ->> 'id')::uuid = any (v_new) and e ->> 'from_agent' <> e ->> 'to_agent' and e ->> 'reply_to' is null
          and not v_log ? (e ->> 'id'))
      and (select count(*) from (select from public.agent_deliveries d
        where d.agent_id = l.agent_id and d.status = 'ready' limit l.mailbox_limit) waiting) >= l.mailbox_limit
    order by l.agent_id limit 1;
  if v_full is not null then
    perform troupe.refuse('TRFUL', format('MAILBOX_FULL: %s takes no more messages', v_full));
  end if;

  select troupe.deliver(array_agg((e ->> 'id')::uuid order by place), v_delays, p_stamps, v_log, p_now) into v_deliveries
    from jsonb_array_elements(v_batch) with ordinality as t(e, place) where (e ->> 'id')::uuid = any (v_new);

  return (
    select jsonb_agg(case
      when (e ->> 'id')::uuid = any (v_new) and nth = 1 then
        jsonb_build_object('id', e ->> 'id', 'verdict', 'ok', 'deliveries', coalesce(v_deliveries -> (e ->> 'id'), '[]'))
      else troupe.known_message(e, p_stamps) end order by place)
    from (
      select e, place, row_number() over (partition by e ->> 'id' order by place) as nth
      from jsonb_array_elements(v_batch) with ordinality as t(e, place)
    ) told);
end $$;

-- The message that an element repeats, where it is now and the reply it got.
create or replace function troupe.known_message(p_message jsonb, p_stamps jsonb) returns jsonb
language sql stable set search_path = '' as $$
  select '{"verdict": "repeat"}' || coalesce((
    select jsonb_strip_nulls(jsonb_build_object('id', m.id, 'reply', r.body, 'status', d.status, 'reason', d.dead_reason))
      || jsonb_build_object('deliveries', coalesce((
        select jsonb_agg(troupe.describe_delivery(every, p_stamps) order by every.seq)
        from public.agent_deliveries every where every.message_id = m.id), '[]'))
    from (
      (select known.id from public.agent_messages known where known.id = (p_message ->> 'id')::uuid)
      union all
      (select known.id from public.agent_messages known
        where known.from_agent = p_message ->> 'from_agent' and known.send_key = p_message ->> 'send_key')
      union all
      (select known.id from public.agent_messages known where known.reply_to = (p_message ->> 'reply_to')::uuid)
      limit 1
    ) first
    join public.agent_messages m on m.id = first.id
    left join public.agent_messages r on r.reply_to = m.id
    left join public.agent_deliveries d on d.message_id = m.id and d.agent_id = m.to_agent), '{}')
$$;

-- Messages that do not wait for a turn's commit: asks, now-sends, and those from outside. p_batch: {messages: [as
-- insert_messages, each with lease_token? of its sender], stamps?: {agent: lease token of the mailbox in memory}}. Each stands
-- alone: a wrong one is {id, verdict: failed, code: MAILBOX_FULL or an SQLSTATE, error}, one whose sender lost its lease
-- {id, verdict: stale}, and the others go out.
create or replace function public.send_messages(p_batch jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_now timestamptz := troupe.now();
  v_stamps jsonb := coalesce(nullif(p_batch -> 'stamps', 'null'), '{}');
  v_held jsonb;
  v_message jsonb;
  v_answers jsonb := '[]';
begin
  v_held := troupe.lock_leases(troupe.stamped_agents(v_stamps)
    || array(select m ->> 'from_agent' from jsonb_array_elements(p_batch -> 'messages') m where m ? 'lease_token'));
  if not exists (
    select from jsonb_array_elements(p_batch -> 'messages') m
    where m ? 'lease_token' and not troupe.is_holder(v_held, m ->> 'from_agent', m -> 'lease_token')
  ) then
    begin -- all at once is the ordinary case; one by one only when something is wrong with one
      return coalesce(troupe.insert_messages(p_batch -> 'messages', v_stamps, v_now), '[]');
    exception when data_exception or integrity_constraint_violation or program_limit_exceeded or sqlstate 'TRFUL' then
      null;
    end;
  end if;
  for v_message in select m from jsonb_array_elements(p_batch -> 'messages') with ordinality as t(m, place) order by place loop
    if v_message ? 'lease_token' and not troupe.is_holder(v_held, v_message ->> 'from_agent', v_message -> 'lease_token') then
      v_answers := v_answers || jsonb_build_array(jsonb_build_object('id', v_message ->> 'id', 'verdict', 'stale'));
    else
      begin
        v_answers := v_answers || troupe.insert_messages(jsonb_build_array(v_message), v_stamps, v_now);
      exception when data_exception or integrity_constraint_violation or program_limit_exceeded or sqlstate 'TRFUL' then
        v_answers := v_answers || jsonb_build_array(jsonb_build_object('id', v_message ->> 'id', 'verdict', 'failed',
          'code', case sqlstate when 'TRFUL' then 'MAILBOX_FULL' else sqlstate end, 'error', sqlerrm));
      end;
    end if;
  end loop;
  return v_answers;
end $$;

-- Turns due timers and due delayed messages of one agent into ready ones. A timer that missed ticks fires once, and not
-- while its last message still waits: a slow actor would collect them without end.
create or replace function troupe.wake(p_agent text, p_now timestamptz) returns void
language plpgsql set search_path = '' as $$
declare
  v_timer public.agent_timers;
  v_message uuid;
begin
  for v_timer in
    select * from public.agent_timers t where t.agent_id = p_agent and t.due_at <= p_now order by t.due_at limit 100 for update skip locked
  loop
    v_message := null;
    if not exists (select from public.agent_deliveries d
      where d.message_id = v_timer.message_id and d.agent_id = p_agent and d.finished_at is null)
    then
      v_message := gen_random_uuid();
      perform troupe.insert_messages(jsonb_build_array(jsonb_build_object('id', v_message, 'from_agent', p_agent, 'to_agent', p_agent,
        'type', v_timer.type, 'body', v_timer.body, 'headers', jsonb_build_object('timer', v_timer.name))), '{}', p_now);
    end if;
    if v_timer.every_ms is null then
      delete from public.agent_timers t where t.agent_id = p_agent and t.name = v_timer.name;
    else
      update public.agent_timers t set fired = t.fired + case when v_message is null then 0 else 1 end,
        message_id = coalesce(v_message, t.message_id),
        due_at = t.due_at + troupe.ms(t.every_ms * (1 + floor(extract(epoch from p_now - t.due_at) * 1000 / t.every_ms)))
        where t.agent_id = p_agent and t.name = v_timer.name;
    end if;
  end loop;
  for v_message in
    select d.message_id from public.agent_deliveries d
    where d.agent_id = p_agent and d.status = 'scheduled' and d.due_at <= p_now
    order by d.due_at, d.seq limit 500 for update skip locked
  loop -- one by one: they get their place in the mailbox in the order in which they were due
    update public.agent_deliveries d set status = 'ready', seq = nextval('troupe.delivery_seq')
      where d.message_id = v_message and d.agent_id = p_agent;
  end loop;
end $$;

-- Moves up to p_limit waiting messages, together about p_bytes but at least one, into the memory of the incarnation with this
-- token. A quarter of the room is kept for ordinary messages, so that express ones cannot starve them.
-- p_have: ids that are in its memory. What is stamped for it and not among them is given again: that answer was lost.
-- Ordered by token, too: that it is null does not tell the planner that the index is in the order of seq.
create or replace function troupe.take(p_agent text, p_token bigint, p_limit integer, p_bytes bigint, p_have jsonb, p_now timestamptz)
returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_ids uuid[] := '{}';
  v_room integer := p_limit;
  v_messages jsonb;
begin
  perform troupe.wake(p_agent, p_now);
  if jsonb_typeof(p_have) = 'array' then
    v_ids := array(
      select d.message_id from public.agent_deliveries d
      where d.agent_id = p_agent and d.token = p_token and d.status = 'ready' and not p_have ? d.message_id::text
      order by d.rank, d.seq limit p_limit);
    v_room := p_limit - cardinality(v_ids);
  end if;
  v_ids := v_ids || array(
    select d.message_id from public.agent_deliveries d
    where d.agent_id = p_agent and d.token is null and d.rank = 0 and d.status = 'ready'
    order by d.token, d.seq limit least(v_room, greatest(1, v_room - v_room / 4)) for update skip locked);
  v_ids := v_ids || array(
    select d.message_id from public.agent_deliveries d
    where d.agent_id = p_agent and d.token is null and d.rank = 1 and d.status = 'ready'
    order by d.token, d.seq limit p_limit - cardinality(v_ids) for update skip locked);
  v_ids := array(
    select sized.id from (
      select waiting.id, waiting.place, sum(size.bytes) over (order by waiting.place) - size.bytes as before
      from unnest(v_ids) with ordinality as waiting(id, place)
      join public.agent_messages m on m.id = waiting.id
      cross join lateral (select coalesce(octet_length(m.body), pg_column_size(m.payload), 0) as bytes) size
    ) sized where sized.before < p_bytes order by sized.place);
  with taken as (
    update public.agent_deliveries d set
      status = case when due.expires_at <= p_now then 'dead' else 'ready' end,
      dead_reason = case when due.expires_at <= p_now then 'expired' end,
      finished_at = case when due.expires_at <= p_now then p_now end,
      token = p_token, is_unknown = false, expires_at = due.expires_at
      from ( -- is_unknown: it was sent while this agent registered, and need not wait for that any more
        select m.id, case when own.is_unknown then m.expires_at else own.expires_at end as expires_at
        from public.agent_deliveries own join public.agent_messages m on m.id = own.message_id
        where own.message_id = any (v_ids) and own.agent_id = p_agent
      ) due
      where d.message_id = due.id and d.agent_id = p_agent
      returning d.*
  )
  select coalesce(jsonb_agg(jsonb_build_object('id', m.id, 'seq', t.seq, 'from_agent', m.from_agent, 'to_agent', m.to_agent,
      'type', m.subject, 'message_type', m.message_type, 'content', m.content, 'body', coalesce(m.body, m.payload::text, 'null'),
      'priority', m.priority, 'headers', m.headers, 'correlation_id', m.correlation_id, 'created_at', m.created_at,
      'attempts', t.attempts, 'interruptions', t.interruptions,
      'retry_in_ms', ceil(extract(epoch from t.retry_at - p_now) * 1000),
      'expires_in_ms', ceil(extract(epoch from t.expires_at - p_now) * 1000)) order by t.rank, t.seq), '[]')
    into v_messages
    from taken t join public.agent_messages m on m.id = t.message_id where t.status = 'ready';
  return jsonb_build_object('agent_id', p_agent, 'verdict', 'ok', 'messages', v_messages,
    'more', exists (select from public.agent_deliveries d where d.agent_id = p_agent and d.token is null and d.status = 'ready'),
    'next_in_ms', (
      select ceil(extract(epoch from min(due_at) - p_now) * 1000) from (
        (select t.due_at from public.agent_timers t where t.agent_id = p_agent order by t.due_at limit 1)
        union all
        (select d.due_at from public.agent_deliveries d where d.agent_id = p_agent and d.status = 'scheduled' order by d.due_at limit 1)
      ) due));
end $$;

-- One answer stays below what a client can read and jsonb can hold (256 MB).
create or replace function troupe.answer_bytes() returns bigint
language sql immutable set search_path = '' as $$ select 33554432::bigint $$;

-- Takes waiting messages for several agents. Each element: {agent_id, lease_token, limit?: 100, have?: [ids]}. Answers in order:
-- {agent_id, verdict: ok | stale, messages: [...], more: whether others wait, next_in_ms: until the next timer or delayed one}.
-- What was given once is not given again, except by have: the ids that the incarnation holds or handles, said after an answer
-- may have been lost and now and then while idle; everything else that is stamped for it comes again, as part of the limit.
-- A repeated request must carry the same have, and is best sent in the lane of commit_turns, so that puts and refills have one order.
create or replace function public.take_messages(p_batch jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_now timestamptz := troupe.now();
  v_held jsonb := troupe.lock_leases(array(select e ->> 'agent_id' from jsonb_array_elements(p_batch) e));
  v_bytes bigint := troupe.answer_bytes() / greatest(jsonb_array_length(p_batch), 1);
  v_one jsonb;
  v_answers jsonb[] := '{}';
begin
  for v_one in select e from jsonb_array_elements(p_batch) with ordinality as t(e, place) order by place loop
    v_answers := v_answers || case
      when troupe.is_holder(v_held, v_one ->> 'agent_id', v_one -> 'lease_token') then
        troupe.take(v_one ->> 'agent_id', (v_one ->> 'lease_token')::bigint,
          least(greatest(coalesce((v_one ->> 'limit')::integer, 100), 1), 1000), v_bytes, v_one -> 'have', v_now)
      else jsonb_build_object('agent_id', v_one ->> 'agent_id', 'verdict', 'stale', 'messages', '[]'::jsonb) end;
  end loop;
  return to_jsonb(v_answers);
end $$;

-- What became of asks: [message id, ...] gives in order {id, status: waiting | replied | done | dead | unknown, reply?, reason?}.
-- A reply that would make the answer too large is left for the next call: its ask still waits.
create or replace function public.read_replies(p_ids uuid[]) returns jsonb
language sql stable set search_path = '' as $$
  select coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object('id', asked.id,
    'status', case when asked.before >= troupe.answer_bytes() and asked.bytes > 0 then 'waiting'
      when asked.reply_id is not null then 'replied' when asked.message_id is null then 'unknown'
      when asked.delivery in ('dead', 'dropped') then 'dead' when asked.delivery = 'done' then 'done' else 'waiting' end,
    'reply', case when asked.before < troupe.answer_bytes() then asked.reply end, 'reason', asked.dead_reason)) order by asked.place), '[]')
  from (
    select wanted.id, wanted.place, m.id as message_id, r.id as reply_id, r.body as reply, d.status as delivery, d.dead_reason,
      coalesce(octet_length(r.body), 0) as bytes,
      sum(coalesce(octet_length(r.body), 0)) over (order by wanted.place) - coalesce(octet_length(r.body), 0) as before
    from unnest(p_ids) with ordinality as wanted(id, place)
    left join public.agent_messages m on m.id = wanted.id
    left join public.agent_messages r on r.reply_to = wanted.id
    left join public.agent_deliveries d on d.message_id = wanted.id and d.agent_id = m.to_agent
  ) asked
$$;

-- Dead letters --------------------------------------------------------------------------------------------------------------

-- Gives dead letters another life, behind what waits already. Each element: {id: message, agent_id}.
create or replace function public.replay_messages(p_batch jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_now timestamptz := troupe.now();
  v_one record;
  v_unknown boolean;
  v_answers jsonb := '[]';
begin
  for v_one in
    select (e ->> 'id')::uuid as id, e ->> 'agent_id' as agent_id from jsonb_array_elements(p_batch) with ordinality as t(e, place) order by place
  loop
    v_unknown := not exists (select from public.agent_leases l where l.agent_id = v_one.agent_id and l.retired_at is null);
    update public.agent_deliveries d set status = 'ready', token = null, attempts = 0, interruptions = 0, finished_at = null,
      dead_reason = null, retry_at = null, seq = nextval('troupe.delivery_seq'), is_unknown = v_unknown,
      -- what died of age would die again at once
      expires_at = case when v_unknown then v_now + troupe.unknown_address_patience() end
      where d.message_id = v_one.id and d.agent_id = v_one.agent_id and d.status in ('dead', 'dropped');
    v_answers := v_answers || jsonb_build_array(jsonb_build_object('id', v_one.id, 'agent_id', v_one.agent_id, 'verdict', case
      when found then 'ok'
      when exists (select from public.agent_deliveries d where d.message_id = v_one.id and d.agent_id = v_one.agent_id) then 'stale'
      else 'not_found' end));
  end loop;
  return v_answers;
end $$;

-- Puts dead letters away; replay_messages brings them back while they are kept. Each element: {id: message, agent_id}.
create or replace function public.drop_messages(p_batch jsonb) returns jsonb
language sql set search_path = '' as $$
  with dropped as (
    update public.agent_deliveries d set status = 'dropped'
      from jsonb_array_elements(p_batch) e
      where d.message_id = (e ->> 'id')::uuid and d.agent_id = e ->> 'agent_id' and d.status = 'dead'
      returning d.message_id, d.agent_id
  )
  select coalesce(jsonb_agg(jsonb_build_object('id', e ->> 'id', 'agent_id', e ->> 'agent_id', 'verdict', case
    when w.message_id is not null then 'ok' when d.status = 'dropped' then 'repeat' when d.status is not null then 'stale' else 'not_found' end)
    order by place), '[]')
  from jsonb_array_elements(p_batch) with ordinality as t(e, place)
  left join dropped w on w.message_id = (e ->> 'id')::uuid and w.agent_id = e ->> 'agent_id'
  left join public.agent_deliveries d on d.message_id = (e ->> 'id')::uuid and d.agent_id = e ->> 'agent_id'
$$;

-- The original call. Every agent registered now gets it once, offline or not.
create or replace function public.broadcast_message(p_from_agent text, p_subject text, p_content text, p_payload jsonb default '{}',
  p_priority text default 'normal') returns uuid
language sql set search_path = '' as $$
  insert into public.agent_messages (message_type, from_agent, subject, content, payload, priority, created_at)
  values ('alert', p_from_agent, p_subject, p_content, coalesce(p_payload, '{}'), coalesce(p_priority, 'normal'), troupe.now())
  returning id
$$;

-- Announcements that the database makes itself ---------------------------------------------------------------------------------

create or replace function troupe.announce_config() returns trigger
language plpgsql set search_path = '' as $$
begin
  perform public.broadcast_message(coalesce(new.updated_by, 'system_config'), 'System Config Changed',
    format('%s is now %s', new.key, new.value),
    jsonb_build_object('key', new.key, 'value', new.value, 'previous', case when tg_op = 'UPDATE' then old.value end), 'high');
  return null;
end $$;
drop trigger if exists announce_config on public.system_config;
create trigger announce_config after update on public.system_config
  for each row when (old.value is distinct from new.value)
  execute function troupe.announce_config();
drop trigger if exists announce_new_config on public.system_config;
create trigger announce_new_config after insert on public.system_config
  for each row execute function troupe.announce_config();

create or replace function troupe.stamp_config() returns trigger
language plpgsql set search_path = '' as $$
begin
  new.updated_at := troupe.now();
  return new;
end $$;
drop trigger if exists stamp_config on public.system_config;
create trigger stamp_config before update on public.system_config
  for each row when (old.value is distinct from new.value)
  execute function troupe.stamp_config();

-- Once per change, whoever makes it: the original agents write agent_status themselves.
create or replace function troupe.announce_trouble() returns trigger
language plpgsql set search_path = '' as $$
begin
  perform public.broadcast_message(new.agent_id, 'Agent ' || initcap(new.status),
    coalesce(new.blocked_reason, format('%s is in state %s', new.agent_id, new.status)),
    jsonb_build_object('agent_id', new.agent_id, 'status', new.status, 'reason', new.blocked_reason), 'high');
  return null;
end $$;
drop trigger if exists announce_trouble on public.agent_status;
create trigger announce_trouble after update of status on public.agent_status
  for each row when (old.status is distinct from new.status and new.status in ('blocked', 'error'))
  execute function troupe.announce_trouble();
drop trigger if exists announce_first_trouble on public.agent_status;
create trigger announce_first_trouble after insert on public.agent_status
  for each row when (new.status in ('blocked', 'error'))
  execute function troupe.announce_trouble();

do $$ begin perform
  troupe.seal_functions('public', array['send_messages', 'take_messages', 'read_replies', 'replay_messages', 'drop_messages', 'broadcast_message']),
  troupe.seal_functions('troupe'),
  troupe.pin_plans(array['public.send_messages', 'public.take_messages', 'public.read_replies', 'public.replay_messages',
    'public.drop_messages', 'troupe.deliver_foreign']::regproc[]); end $$;
