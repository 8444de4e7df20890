-- What was used of models is added once, however often it is told: an answer may get lost, and who did not get it tells it again.
create table if not exists public.agent_usage_requests (
  id uuid primary key,
  at timestamptz not null
);
create index if not exists agent_usage_requests_at on public.agent_usage_requests (at);
do $$ begin perform troupe.seal_tables(array['agent_usage_requests']); end $$;

-- One function with a default in place of the one without: of two, nobody could say which is meant.
drop function if exists public.record_usage(jsonb);

-- Adds to what was used, and tells how much that is now. p_batch: [{scope: agent | team, id, every: hour | day, window_start, tokens,
-- usd}], tokens and usd 0 to be only told. p_request: the id of this very batch; repeated within a week it adds nothing, and is told what
-- there is. Without one, a batch that is repeated after a lost answer counts twice. Answers in order: [{tokens, usd}]. Forgets windows of
-- the same agent or team that began more than 35 days before.
create or replace function public.record_usage(p_batch jsonb, p_request uuid default null) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_now timestamptz := troupe.now();
  v_is_new boolean := true;
  v_answer jsonb;
begin
  if p_request is not null then
    insert into public.agent_usage_requests (id, at) values (p_request, v_now) on conflict do nothing;
    v_is_new := found;
    delete from public.agent_usage_requests r where r.at < v_now - interval '7 days';
  end if;
  insert into public.agent_usage as known (scope, id, every, window_start, tokens, usd)
    select u ->> 'scope', u ->> 'id', u ->> 'every', (u ->> 'window_start')::timestamptz,
      case when v_is_new then sum(coalesce((u ->> 'tokens')::bigint, 0)) else 0 end,
      case when v_is_new then sum(coalesce((u ->> 'usd')::numeric, 0)) else 0 end
    from jsonb_array_elements(p_batch) u
    group by 1, 2, 3, 4 order by 1, 2, 3, 4 -- in one order, so that two processes never wait for each other
    on conflict (scope, id, every, window_start) do update
      set tokens = known.tokens + excluded.tokens, usd = known.usd + excluded.usd;
  delete from public.agent_usage old using jsonb_array_elements(p_batch) u
    where old.scope = u ->> 'scope' and old.id = u ->> 'id' and old.every = u ->> 'every'
      and old.window_start < (u ->> 'window_start')::timestamptz - interval '35 days';
  select jsonb_agg(jsonb_build_object('tokens', known.tokens, 'usd', known.usd) order by place) into v_answer
    from jsonb_array_elements(p_batch) with ordinality as t(u, place)
    join public.agent_usage known on known.scope = u ->> 'scope' and known.id = u ->> 'id' and known.every = u ->> 'every'
      and known.window_start = (u ->> 'window_start')::timestamptz;
  return coalesce(v_answer, '[]');
end $$;

create or replace function public.schema_version() returns text
language sql immutable set search_path = '' as $$ select '20261129000140' $$;

do $$ begin perform
  troupe.seal_functions('public', array['record_usage', 'schema_version']); end $$;

notify pgrst, 'reload schema';
