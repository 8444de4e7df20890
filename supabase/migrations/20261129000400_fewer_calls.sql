-- What is sent is described, and given its times, without a call for each row: each call of a function that has settings of its own takes
-- about as long as the row's insert.

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
      p_now + (p_delays ->> m.id::text)::float8 * interval '1 ms',
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
    select d.message_id, jsonb_agg(jsonb_build_object('agent_id', d.agent_id, 'seq', d.seq, 'status', d.status,
        'stamped', d.status = 'ready' and coalesce(d.token = (p_stamps ->> d.agent_id)::bigint, false))
      || case when d.is_unknown then '{"unknown": true}'::jsonb else '{}' end order by d.seq) as given -- as describe_delivery
    from delivered d group by d.message_id) per_message;
  return v_deliveries;
end $$;

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
      p_now + (e ->> 'expires_in_ms')::float8 * interval '1 ms', p_now
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

create or replace function public.schema_version() returns text
language sql immutable set search_path = '' as $$ select '20261129000400' $$;

do $$ begin perform
  troupe.seal_functions('public', array['schema_version']),
  troupe.seal_functions('troupe'); end $$;

notify pgrst, 'reload schema';
