-- A turn's broadcast may fill a mailbox for a turn behind it: those are applied one by one as well.

-- Sends the messages of turns, each turn's reply behind them. Gives for each turn what insert_messages says of its own.
create or replace function troupe.tell_all(p_turns jsonb, p_stamps jsonb, p_now timestamptz) returns jsonb[]
language plpgsql set search_path = '' as $$
declare
  v_messages jsonb;
  v_counts integer[];
  v_broadcasts bigint;
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
  -- Together they might take more room than is left, of which the first could have had some. A broadcast is never refused, and takes
  -- room before what is told after it.
  select count(*) into v_broadcasts from jsonb_array_elements(v_messages) m where m ->> 'to_agent' is null;
  select true into v_full from (
      select m ->> 'to_agent' as agent_id, count(*) as coming from jsonb_array_elements(v_messages) m
      where m ->> 'reply_to' is null group by 1
    ) given
    join public.agent_leases l on l.agent_id = given.agent_id and l.mailbox_limit is not null
    where (select count(*) from (select from public.agent_deliveries d
      where d.agent_id = l.agent_id and d.status = 'ready' limit l.mailbox_limit) waiting) + given.coming + v_broadcasts > l.mailbox_limit
    limit 1;
  if v_full then
    perform troupe.refuse('TRONE', 'these turns are to be applied one by one');
  end if;
  v_counts := array(
    select coalesce(jsonb_array_length(t -> 'messages'), 0) + case when t ? 'reply' then 1 else 0 end
    from jsonb_array_elements(p_turns) with ordinality as x(t, place) order by place);
  return troupe.split(troupe.insert_messages(v_messages, p_stamps, p_now), v_counts);
end $$;

create or replace function public.schema_version() returns text
language sql immutable set search_path = '' as $$ select '20261121000130' $$;

do $$ begin perform
  troupe.seal_functions('public', array['schema_version']),
  troupe.seal_functions('troupe'); end $$;

notify pgrst, 'reload schema';
