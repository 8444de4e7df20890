-- What a database linter looks for, and what none sees. Each finding is one row: rule, object, detail.
with api_role(oid, name) as (
  select oid, rolname::text from pg_roles where rolname in ('anon', 'authenticated')
),
-- What the API shows: everything in public.
relation as (
  select c.oid, c.relname::text as name, c.relkind, c.relrowsecurity, c.reloptions, c.relacl
  from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f')
    and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')
),
own_index as (
  select i.*, c.relname::text as name, t.relname::text as table_name, pg_get_indexdef(i.indexrelid) as definition
  from pg_index i join pg_class c on c.oid = i.indexrelid join pg_class t on t.oid = i.indrelid
  where t.relnamespace in ('public'::regnamespace, 'troupe'::regnamespace)
),
routine as (
  select p.*, p.oid::regprocedure::text as name, p.pronamespace::regnamespace::text as schema
  from pg_proc p where p.pronamespace in ('public'::regnamespace, 'troupe'::regnamespace)
    and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')
),
policy as (
  select p.*, c.relname::text as table_name, c.relrowsecurity,
    coalesce(pg_get_expr(p.polqual, p.polrelid), '') as qual, coalesce(pg_get_expr(p.polwithcheck, p.polrelid), '') as with_check
  from pg_policy p join pg_class c on c.oid = p.polrelid where c.relnamespace = 'public'::regnamespace
),
findings(rule, object, detail) as (
  select 'foreign_key_without_index', c.conrelid::regclass::text, c.conname::text
  from pg_constraint c where c.contype = 'f' and c.connamespace in ('public'::regnamespace, 'troupe'::regnamespace)
    and not exists (select from own_index i where i.indrelid = c.conrelid and i.indpred is null
      and (i.indkey::int2[])[0:cardinality(c.conkey) - 1] = c.conkey)
  union all
  select 'no_primary_key', c.oid::regclass::text, ''
  from pg_class c where c.relkind in ('r', 'p') and c.relnamespace in ('public'::regnamespace, 'troupe'::regnamespace)
    and not exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary)
  union all
  select 'unused_index', i.name, 'no query of the workload used it'
  from own_index i join pg_stat_user_indexes s on s.indexrelid = i.indexrelid
  where not i.indisunique and s.idx_scan = 0
  union all
  select 'duplicate_index', i.name, other.name
  from own_index i join own_index other on other.indrelid = i.indrelid and other.name < i.name
    and regexp_replace(other.definition, ' INDEX .*? ON ', ' INDEX ON ') = regexp_replace(i.definition, ' INDEX .*? ON ', ' INDEX ON ')
  union all
  select 'duplicate_index', i.name, 'a prefix of ' || other.name
  from own_index i join own_index other on other.indrelid = i.indrelid and other.indexrelid <> i.indexrelid
  where not i.indisunique and i.indpred is not distinct from other.indpred and i.indexprs is null and other.indexprs is null
    and cardinality(i.indkey::int2[]) < cardinality(other.indkey::int2[])
    and (other.indkey::int2[])[0:cardinality(i.indkey::int2[]) - 1] = (i.indkey::int2[])[0:cardinality(i.indkey::int2[]) - 1]
  union all
  select 'row_security_off', name, '' from relation where relkind in ('r', 'p') and not relrowsecurity
  union all
  select 'row_security_without_policy', name, '' from relation r
  where relkind in ('r', 'p') and relrowsecurity and not exists (select from pg_policy p where p.polrelid = r.oid)
  union all
  select 'policy_without_row_security', table_name, polname::text from policy where not relrowsecurity
  union all
  select 'several_permissive_policies', table_name, format('%s may %s by %s', role.rolname, action.name, string_agg(polname, ', '))
  from policy
  join pg_roles role on role.rolname in ('anon', 'authenticated', 'service_role') and (role.oid = any (polroles) or polroles = '{0}')
  join (values ('r', 'select'), ('a', 'insert'), ('w', 'update'), ('d', 'delete')) action(letter, name) on polcmd::text in ('*', action.letter)
  where polpermissive
  group by table_name, role.rolname, action.name having count(*) > 1
  union all
  select 'policy_calls_per_row', table_name, polname::text from policy
  where regexp_replace(lower(qual || ' ' || with_check), '\( *select (auth\.\w+\(\)|current_setting\([^)]*\))', '', 'g') ~ 'auth\.\w+\(|current_setting\('
  union all
  select 'write_policy_always_true', table_name, polname::text from policy
  where polpermissive and polcmd <> 'r' and (polroles = '{0}' or exists (select from api_role a where a.oid = any (polroles)))
    and (polcmd in ('*', 'w', 'd') and qual in ('', 'true') or polcmd in ('*', 'a', 'w') and with_check in ('', 'true'))
  union all
  select 'view_with_owner_rights', r.name, a.name from relation r cross join api_role a
  where r.relkind = 'v' and has_table_privilege(a.oid, r.oid, 'select')
    and not coalesce(r.reloptions && array['security_invoker=true', 'security_invoker=on', 'security_invoker=1'], false)
  union all
  select 'function_search_path', name, coalesce(array_to_string(proconfig, ' '), 'none') from routine
  where not coalesce(exists (select from unnest(proconfig) setting where setting like 'search\_path=%'), false)
  union all
  select 'security_definer', name, '' from routine where prosecdef
  union all
  select 'function_for_everybody', r.name, a.name from routine r cross join api_role a where has_function_privilege(a.oid, r.oid, 'execute')
  union all
  select 'overloaded_function', schema || '.' || proname, string_agg(name, ' ') from routine group by schema, proname having count(*) > 1
  union all
  select 'extension_in_public', extname::text, '' from pg_extension where extnamespace = 'public'::regnamespace
  union all
  select 'relation_in_api', name, relkind::text from relation where relkind in ('m', 'f')
  union all
  select 'secret_column', r.name || '.' || a.attname, role.name
  from relation r join pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped cross join api_role role
  where a.attname ~* '(token|secret|password|passwd|api_?key|private_?key|credential|session_?id|ssn|otp|jwt|access_?key|refresh)'
    and has_column_privilege(role.oid, r.oid, a.attnum, 'select')
  union all
  select 'reg_type', a.attrelid::regclass || '.' || a.attname, a.atttypid::regtype::text
  from pg_attribute a join pg_class c on c.oid = a.attrelid
  where c.relnamespace in ('public'::regnamespace, 'troupe'::regnamespace) and c.relkind in ('r', 'p') and a.atttypid::regtype::text like 'reg%'
  union all
  select 'bloat', relname::text, n_dead_tup || ' dead rows' from pg_stat_user_tables where n_dead_tup > 10000 and n_dead_tup > n_live_tup
  -- What no linter sees.
  union all
  select 'open_to_anon', r.name, privilege from relation r
  cross join unnest(array['select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger']) privilege
  where has_table_privilege('anon', r.oid, privilege)
    or (privilege in ('select', 'insert', 'update', 'references') and has_any_column_privilege('anon', r.oid, privilege))
  union all
  select 'writable_by_authenticated', r.name, privilege from relation r
  cross join unnest(array['insert', 'update', 'delete', 'truncate', 'references', 'trigger']) privilege
  where has_table_privilege('authenticated', r.oid, privilege)
    or (privilege in ('insert', 'update', 'references') and has_any_column_privilege('authenticated', r.oid, privilege))
  union all
  select 'open_sequence', c.oid::regclass::text, a.name from pg_class c cross join api_role a
  where c.relkind = 'S' and c.relnamespace in ('public'::regnamespace, 'troupe'::regnamespace)
    and (has_sequence_privilege(a.oid, c.oid, 'usage') or has_sequence_privilege(a.oid, c.oid, 'select') or has_sequence_privilege(a.oid, c.oid, 'update'))
  union all
  select 'open_schema', 'troupe', a.name from api_role a where has_schema_privilege(a.oid, 'troupe', 'usage')
  union all
  select 'closed_to_service_role', r.name, privilege from relation r cross join unnest(array['select', 'insert', 'update', 'delete']) privilege
  where not has_table_privilege('service_role', r.oid, privilege) and (r.relkind in ('r', 'p') or privilege = 'select')
  union all
  select 'closed_to_service_role', name, 'execute' from routine where not has_function_privilege('service_role', oid, 'execute')
  union all
  -- A plan that avoids something switched off looks dear, and what looks dear is compiled for seconds.
  select 'pinned_plan_is_compiled', name, '' from routine
  where proconfig @> array['enable_seqscan=off'] and not proconfig @> array['jit=off']
  union all
  select 'loose_status', r.name || '.' || a.attname, case when a.attnotnull then 'no check' else 'null allowed' end
  from relation r join pg_attribute a on a.attrelid = r.oid and a.attname in ('status', 'stage')
  where r.relkind in ('r', 'p') and not (a.attnotnull and exists (
    select from pg_constraint c where c.conrelid = r.oid and c.contype = 'c' and c.conkey = array[a.attnum]))
  union all
  select 'view_with_star', r.name, '' from relation r where r.relkind = 'v' and pg_get_viewdef(r.oid) ~ '\*(?! |\))'
)
select rule, object, detail from findings order by rule, object, detail
