-- Whoever drops many dead letters at once does not note their ids: what was dropped can be listed, and so brought back, while it is kept.
create index if not exists agent_deliveries_dropped on public.agent_deliveries (finished_at) where status = 'dropped';
create or replace view public.v_dropped_letters with (security_invoker = true) as
  select d.message_id as id, d.agent_id, d.from_agent, m.subject as type, d.dead_reason as reason, d.error, d.attempts, d.interruptions,
    d.finished_at as died_at, m.created_at
  from public.agent_deliveries d join public.agent_messages m on m.id = d.message_id
  where d.status = 'dropped';

revoke all on public.v_dropped_letters from public, anon, authenticated;
grant select on public.v_dropped_letters to service_role;

create or replace function public.schema_version() returns text
language sql immutable set search_path = '' as $$ select '20261130000100' $$;

do $$ begin perform
  troupe.seal_functions('public', array['schema_version']); end $$;

notify pgrst, 'reload schema';
