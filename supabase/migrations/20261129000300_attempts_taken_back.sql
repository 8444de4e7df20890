-- Attempts are throws, and deaths of the thread that ran the message alone. The attempt that `started` writes before such a run is
-- taken back when the run comes to another end: the process dies or loses the agent (then it is an interruption), it is told to stop,
-- or the agent is blocked. Else a message that never threw would be dead after a few deaths of its process, where it has ten.

-- Lease token of the incarnation that announced that it runs this alone; as long as it has this, that run has no end.
alter table public.agent_deliveries add column if not exists started_token bigint;

-- What a turn did to the delivery it handled, by compare and set on status, token and counts: this is what makes a turn's
-- effects exist once. Gives ok, repeat or stale. An outcome of retry or interrupted whose message says taken_back takes back the
-- attempt that started has counted.
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
    else 0 end
    - case when (p_turn -> 'message' ->> 'taken_back')::boolean then 1 else 0 end;
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
    started_token = case v_outcome when 'started' then v_token end,
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
  v_in_hand uuid;
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
      -- What had been announced was in hand when the process died. Else it was probably the head, unless that or one of its sender's
      -- before it was waiting for a retry. It is innocent until this has happened often.
      select in_hand.message_id into v_in_hand from public.agent_deliveries in_hand
        where in_hand.agent_id = v_agent and in_hand.status = 'ready' and in_hand.token = v_lease.lease_token
          and in_hand.started_token = v_lease.lease_token
        order by in_hand.rank, in_hand.seq limit 1;
      if not found then
        select head.message_id into v_in_hand from public.agent_deliveries head
          where head.agent_id = v_agent and head.status = 'ready' and head.token = v_lease.lease_token
            and not exists (select from public.agent_deliveries first where first.agent_id = v_agent and first.status = 'ready'
              and first.token = v_lease.lease_token and first.rank = head.rank and first.seq <= head.seq
              and first.from_agent = head.from_agent and first.retry_at > v_lease.lease_expires_at)
          order by head.rank, head.seq limit 1;
      end if;
    end if;
    -- A run that was announced and has no end was no attempt: nobody threw, and no thread that ran it alone died.
    update public.agent_deliveries d set token = null, started_token = null,
      attempts = d.attempts - case when d.started_token = d.token then 1 else 0 end
      where d.agent_id = v_agent and d.status = 'ready' and d.token is not null;
    update public.agent_deliveries d set interruptions = d.interruptions + 1,
      status = case when d.interruptions + 1 >= troupe.max_interruptions() then 'dead' else d.status end,
      dead_reason = case when d.interruptions + 1 >= troupe.max_interruptions() then 'interrupted' end,
      finished_at = case when d.interruptions + 1 >= troupe.max_interruptions() then p_now end
      where d.message_id = v_in_hand and d.agent_id = v_agent;
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
language sql immutable set search_path = '' as $$ select '20261129000300' $$;

do $$ begin perform
  troupe.seal_functions('public', array['schema_version']),
  troupe.seal_functions('troupe'); end $$;

notify pgrst, 'reload schema';
