-- What agents and teams have used of models in each window of their budgets: a budget holds for all processes, and across restarts.
create table if not exists public.agent_usage (
  scope text not null,
  id text not null,
  every text not null,
  window_start timestamptz not null,
  tokens bigint not null default 0,
  usd numeric not null default 0,
  primary key (scope, id, every, window_start),
  constraint agent_usage_scope_word check (scope in ('agent', 'team')),
  constraint agent_usage_every_word check (every in ('hour', 'day')),
  constraint agent_usage_range check (tokens >= 0 and usd >= 0)
);
do $$ begin perform troupe.seal_tables(array['agent_usage']); end $$;

-- Adds to what was used, and tells how much that is now. p_batch: [{scope: agent | team, id, every: hour | day, window_start, tokens,
-- usd}], tokens and usd 0 to be only told. Answers in order: [{tokens, usd}]. Repeated after a lost answer it counts twice, which is
-- on the safe side. Forgets windows of the same agent or team that began more than 35 days before.
create or replace function public.record_usage(p_batch jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_answer jsonb;
begin
  insert into public.agent_usage as known (scope, id, every, window_start, tokens, usd)
    select u ->> 'scope', u ->> 'id', u ->> 'every', (u ->> 'window_start')::timestamptz,
      sum(coalesce((u ->> 'tokens')::bigint, 0)), sum(coalesce((u ->> 'usd')::numeric, 0))
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
language sql immutable set search_path = '' as $$ select '20261121000150' $$;

do $$ begin perform
  troupe.seal_functions('public', array['record_usage', 'schema_version']); end $$;

notify pgrst, 'reload schema';
