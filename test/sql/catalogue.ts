import type { Client } from '../postgres-setup.ts'

/** Everything that a schema consists of, as text that can be compared: kind of object, its name, its definition. */
export type Catalogue = Record<string, Record<string, unknown>>

const schemas = `('public', 'troupe', 'supabase_migrations')`

const queries = {
  tables: `select c.oid::regclass::text as name, jsonb_build_object('kind', c.relkind, 'row_security', c.relrowsecurity, 'options', c.reloptions,
      'acl', (select jsonb_agg(a::text order by a::text) from unnest(c.relacl) a)) as definition
    from pg_class c where c.relnamespace::regnamespace::text in ${schemas} and c.relkind in ('r', 'v', 'S', 'm')`,
  columns: `select a.attrelid::regclass || '.' || a.attname as name, jsonb_build_object('type', format_type(a.atttypid, a.atttypmod),
      'not_null', a.attnotnull, 'identity', a.attidentity, 'default', pg_get_expr(d.adbin, d.adrelid),
      'acl', (select jsonb_agg(x::text order by x::text) from unnest(a.attacl) x)) as definition
    from pg_attribute a join pg_class c on c.oid = a.attrelid left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
    where c.relnamespace::regnamespace::text in ${schemas} and c.relkind in ('r', 'v') and a.attnum > 0 and not a.attisdropped`,
  constraints: `select conrelid::regclass || '.' || conname as name, pg_get_constraintdef(oid) as definition
    from pg_constraint where connamespace::regnamespace::text in ${schemas}`,
  indexes: `select indexrelid::regclass::text as name, pg_get_indexdef(indexrelid) as definition
    from pg_index join pg_class c on c.oid = indexrelid where c.relnamespace::regnamespace::text in ${schemas}`,
  functions: `select p.oid::regprocedure::text as name, jsonb_build_object('source', pg_get_functiondef(p.oid),
      'acl', (select jsonb_agg(a::text order by a::text) from unnest(p.proacl) a)) as definition
    from pg_proc p where p.pronamespace::regnamespace::text in ${schemas}`,
  triggers: `select tgrelid::regclass || '.' || tgname as name, pg_get_triggerdef(t.oid) as definition
    from pg_trigger t join pg_class c on c.oid = tgrelid where not tgisinternal and c.relnamespace::regnamespace::text in ${schemas}`,
  policies: `select tablename || '.' || policyname as name, to_jsonb(p) as definition from pg_policies p where schemaname in ${schemas}`,
  views: `select viewname::text as name, p.definition from pg_views p where schemaname in ${schemas}`,
  publications: `select p.pubname || '.' || t.tablename as name, to_jsonb(t) as definition
    from pg_publication p left join pg_publication_tables t on t.pubname = p.pubname`,
  schemas: `select nspname::text as name, (select jsonb_agg(a::text order by a::text) from unnest(nspacl) a) as definition
    from pg_namespace where nspname in ${schemas}`,
  callable: `select name, 'callable' as definition from troupe.callable_functions`,
} as const

export type Query = (sql: string) => Promise<readonly Record<string, unknown>[]>

/** Reads the catalogue of a database through whatever runs SQL. */
export async function readCatalogue(query: Query): Promise<Catalogue> {
  const catalogue: Catalogue = {}
  for (const [kind, text] of Object.entries(queries)) {
    const rows = await query(`${text} order by 1`)
    catalogue[kind] = Object.fromEntries(rows.map(({ name, definition }) => [String(name), definition]))
  }
  return catalogue
}

/** The catalogue as seen through a postgres.js client. */
export function catalogueOf(sql: Client): Promise<Catalogue> {
  return readCatalogue((text) => sql.unsafe(text))
}
