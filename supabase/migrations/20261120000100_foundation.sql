-- What everything else stands on: the API roles, the private schema and the tools that later migrations use.
-- Every migration is idempotent, because supabase/agent_coordination_schema.sql is their concatenation.

-- Hosted Supabase has these roles. Plain PostgreSQL and the embedded database may not, and roles belong to the whole
-- server, so two databases being loaded at once may both try: losing that race is fine.
do $$
declare
  v_role text;
begin
  foreach v_role in array array['anon', 'authenticated', 'service_role'] loop
    if not exists (select from pg_catalog.pg_roles where rolname = v_role) then
      begin
        execute format('create role %I nologin %s', v_role, case v_role when 'service_role' then 'bypassrls' else '' end);
      exception when duplicate_object or unique_violation then
        null;
      end;
    end if;
  end loop;
end $$;

-- Never exposed through the API: helpers live here, so that the public schema shows only what agents may call.
create schema if not exists troupe;
revoke all on schema troupe from public;
grant usage on schema troupe to service_role;
grant usage on schema public to service_role, authenticated;

-- The server's clock, the only one that decides. Tests move it by `set troupe.clock_offset = '1 hour'`; a role that
-- comes through the API cannot set it.
-- In plpgsql, as all small functions that are called from others: an SQL function is parsed and planned again by every statement.
create or replace function troupe.now() returns timestamptz
language plpgsql volatile set search_path = '' as $$
begin
  return clock_timestamp() + coalesce(nullif(current_setting('troupe.clock_offset', true), '')::interval, interval '0');
end $$;

create or replace function troupe.ms(p_ms numeric) returns interval
language plpgsql immutable set search_path = '' as $$
begin
  return make_interval(secs => p_ms / 1000.0);
end $$;

-- Exponential backoff: base * 2^(attempt - 1), at most p_max_ms, with 20 % jitter so that a herd spreads out.
create or replace function troupe.backoff(p_attempt integer, p_base_ms integer, p_max_ms integer) returns interval
language sql volatile set search_path = '' as $$
  select troupe.ms((least(p_max_ms, p_base_ms * power(2, least(greatest(p_attempt, 1) - 1, 30))) * (0.8 + 0.4 * random()))::numeric)
$$;

-- Refuses a call with an HTTP status that PostgREST understands (PT404 is 404) and a hint for whoever reads it.
create or replace function troupe.refuse(p_code text, p_message text, p_hint text default null) returns void
language plpgsql set search_path = '' as $$
begin
  raise exception using errcode = p_code, message = p_message, hint = coalesce(p_hint, '');
end $$;

-- Adds a constraint once. The seven coordination tables may exist already, from the original Python system.
create or replace function troupe.constrain(p_table text, p_name text, p_definition text) returns void
language plpgsql set search_path = '' as $$
begin
  if not exists (
    select from pg_catalog.pg_constraint c
    where c.conrelid = format('public.%I', p_table)::regclass and c.conname = p_name
  ) then
    execute format('alter table public.%I add constraint %I %s', p_table, p_name, p_definition);
  end if;
exception when check_violation then -- PostgreSQL only says that some row is in the way
  perform troupe.name_offender(p_table, p_name, 'not ' || substr(p_definition, length('check ') + 1));
  raise;
end $$;

-- Fails with the first row of an existing installation that stands in the way, so that a person can mend it.
create or replace function troupe.name_offender(p_table text, p_rule text, p_condition text) returns void
language plpgsql set search_path = '' as $$
declare
  v_row jsonb;
begin
  execute format('select to_jsonb(t) from public.%I t where %s limit 1', p_table, p_condition) into v_row;
  if v_row is not null then
    raise exception using errcode = 'check_violation', detail = left(v_row::text, 1000),
      message = format('%s: row %s breaks %s', p_table, coalesce(v_row ->> 'id', v_row ->> 'agent_id', v_row ->> 'key'), p_rule),
      hint = 'Nothing was changed. Mend or delete this row, then load the schema again.';
  end if;
end $$;

-- Closes tables to everybody but the service role. Supabase projects created before the change of defaults grant every
-- new public table to anon and authenticated, so the revoke is needed as much as the grant.
create or replace function troupe.seal_tables(p_tables text[]) returns void
language plpgsql set search_path = '' as $$
declare
  v_table text;
begin
  foreach v_table in array p_tables loop
    execute format('alter table public.%I enable row level security', v_table);
    execute format('revoke all on public.%I from public, anon, authenticated', v_table);
    execute format('grant select, insert, update, delete on public.%I to service_role', v_table);
    execute format('drop policy if exists service_role_all on public.%I', v_table);
    execute format('create policy service_role_all on public.%I for all to service_role using (true) with check (true)', v_table);
  end loop;
end $$;

-- Makes every function of a schema, named or all, executable by the service role alone.
create or replace function troupe.seal_functions(p_schema text, p_names text[] default null) returns void
language plpgsql set search_path = '' as $$
declare
  v_function regprocedure;
begin
  for v_function in
    select p.oid::regprocedure
    from pg_catalog.pg_proc p
    where p.pronamespace = p_schema::regnamespace and (p_names is null or p.proname = any (p_names))
  loop
    execute format('revoke all on function %s from public, anon, authenticated', v_function);
    execute format('grant execute on function %s to service_role', v_function);
  end loop;
end $$;

-- Fixes how functions that are called all the time reach their rows: planned once a session, and through an index in its order.
-- Left alone, the planner plans some of their statements anew at each call, which takes longer than running them; and it scans
-- or sorts a table while that is small, or thought to be, which a session then still does when it has grown: the embedded
-- database gathers no statistics that would make it think again.
create or replace function troupe.pin_plans(p_functions regproc[]) returns void
language plpgsql set search_path = '' as $$
declare
  v_function regprocedure;
begin
  foreach v_function in array p_functions::oid[]::regprocedure[] loop
    execute format('alter function %s set plan_cache_mode = force_generic_plan', v_function);
    execute format('alter function %s set enable_seqscan = off', v_function);
    execute format('alter function %s set enable_bitmapscan = off', v_function);
    execute format('alter function %s set jit = off', v_function); -- a scan that cannot be avoided has a cost that would start it
  end loop;
end $$;
