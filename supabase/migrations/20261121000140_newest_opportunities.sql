-- Who watches a team looks for the newest opportunities, every two seconds.
create index if not exists trade_opportunities_newest on public.trade_opportunities (discovered_at);

create or replace function public.schema_version() returns text
language sql immutable set search_path = '' as $$ select '20261121000140' $$;

do $$ begin perform
  troupe.seal_functions('public', array['schema_version']); end $$;

notify pgrst, 'reload schema';
