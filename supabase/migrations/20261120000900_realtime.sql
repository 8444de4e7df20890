-- Realtime publishes the seven coordination tables. Last, and guarded: a database without it works by polling.
do $$
declare
  v_table text;
begin
  if not exists (select from pg_catalog.pg_publication where pubname = 'supabase_realtime') then
    create publication supabase_realtime;
  end if;
  if exists (select from pg_catalog.pg_publication where pubname = 'supabase_realtime' and puballtables) then
    return;
  end if;
  foreach v_table in array array['agent_jobs', 'agent_messages', 'agent_status', 'trade_opportunities', 'trade_executions',
    'agent_performance', 'system_config'] loop
    if not exists (
      select from pg_catalog.pg_publication_tables
      where pubname = 'supabase_realtime' and schemaname = 'public' and tablename = v_table
    ) then
      execute format('alter publication supabase_realtime add table public.%I', v_table);
    end if;
  end loop;
end $$;

-- The newest migration in this database, for clients that cannot read the migration ledger. Each migration that follows
-- replaces it with its own number.
create or replace function public.schema_version() returns text
language sql immutable set search_path = '' as $$ select '20261120000900' $$;
do $$ begin perform troupe.seal_functions('public', array['schema_version']); end $$;

notify pgrst, 'reload schema';
