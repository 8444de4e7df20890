-- A request that arrives after its turn is over, because it was given up and repeated while the server stood still, left a step behind
-- that nobody deletes, or called a function once more: the step that would have told is gone with its turn.

-- Whose steps a call means, and whether it may touch them now: a message's belong to the agent that handles it, until it has its end,
-- a job's to whoever holds the job. The caller holds the leases in p_held.
create or replace function troupe.step_owner(p_call jsonb, p_held jsonb, out is_holder boolean, out agent_id text, out message_id uuid)
language plpgsql set search_path = '' as $$
declare
  v_is_over boolean;
begin
  is_holder := troupe.is_holder(p_held, p_call ->> 'agent_id', p_call -> 'lease_token');
  if p_call ->> 'job_id' is null then
    agent_id := p_call ->> 'agent_id';
    message_id := (p_call ->> 'message_id')::uuid;
    -- Locked: the commit that ends it deletes its steps, and must see this one.
    select d.finished_at is not null into v_is_over from public.agent_deliveries d
      where d.message_id = step_owner.message_id and d.agent_id = step_owner.agent_id for share;
    is_holder := is_holder and v_is_over is not true;
  else
    agent_id := '';
    message_id := (p_call ->> 'job_id')::uuid;
    perform from public.agent_jobs j
      where j.id = message_id and j.lease_token = (p_call ->> 'job_token')::bigint and j.lease_expires_at is not null for share;
    is_holder := is_holder and found;
  end if;
end $$;

create or replace function public.schema_version() returns text
language sql immutable set search_path = '' as $$ select '20261129000410' $$;

do $$ begin perform
  troupe.seal_functions('public', array['schema_version']),
  troupe.seal_functions('troupe'); end $$;

notify pgrst, 'reload schema';
