-- A dead letter that is replayed has no end of its own any more: what died of age would die again at once. It did all the same when its
-- receiver was not there, for then it got the message's own end back as soon as that registered.

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
        select m.id, case when not own.is_unknown or own.expires_at = m.expires_at then own.expires_at end as expires_at
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
  -- What was addressed to this name before it was known. An end that is not the message's own was the patience of an unknown address.
  update public.agent_deliveries d set is_unknown = false,
    expires_at = (select m.expires_at from public.agent_messages m where m.id = d.message_id and m.expires_at = d.expires_at)
    where d.agent_id = v_agent and d.is_unknown and d.status in ('scheduled', 'ready');
  return (
    select jsonb_build_object('verdict', 'ok', 'lease_token', l.lease_token, 'supervision', l.supervision, 'unclean', v_unclean,
      'state', (select jsonb_build_object('version', s.version, 'value', s.state) from public.agent_state s where s.agent_id = v_agent))
    from public.agent_leases l where l.agent_id = v_agent);
end $$;

create or replace function public.schema_version() returns text
language sql immutable set search_path = '' as $$ select '20261129000100' $$;

do $$ begin perform
  troupe.seal_functions('public', array['schema_version']),
  troupe.seal_functions('troupe'); end $$;

notify pgrst, 'reload schema';
