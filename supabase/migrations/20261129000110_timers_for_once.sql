-- A timer for once that takes the place of a periodic one keeps the name of its last message. While that waited, it was put away unfired.

-- Turns due timers and due delayed messages of one agent into ready ones. A periodic timer that missed ticks fires once, and not while
-- its last message still waits: a slow actor would collect them without end.
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
    if v_timer.every_ms is null or not exists (select from public.agent_deliveries d
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

create or replace function public.schema_version() returns text
language sql immutable set search_path = '' as $$ select '20261129000110' $$;

do $$ begin perform
  troupe.seal_functions('public', array['schema_version']),
  troupe.seal_functions('troupe'); end $$;

notify pgrst, 'reload schema';
