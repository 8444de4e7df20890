// Writes supabase/agent_coordination_schema.sql: the migrations as one file to paste into Supabase's SQL editor or to run with psql.
// npm run schema; with -- --check it only says whether the file is up to date.

import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { latestVersion, lockKey, type Migration, readMigrations } from '../src/store/migrate.ts'

/** The file that `npm run schema` writes. */
export const schemaFile = join(import.meta.dirname, 'agent_coordination_schema.sql')

/** Joins migrations into one script that may run any number of times. */
export function buildSchema(migrations: readonly Migration[]): string {
  const version = latestVersion(migrations)
  const records = migrations.map(({ version, name }) => `  ('${version}', '${name}')`).join(',\n')
  return `-- The whole schema of Troupe (${version}) in one go: paste it into the SQL editor of Supabase, or
--   psql "$DATABASE_URL" -v ON_ERROR_STOP=1 -f supabase/agent_coordination_schema.sql
-- Running it again changes nothing, an installation of the original Python system keeps its rows, a failure changes nothing.
-- Generated from supabase/migrations by \`npm run schema\`: change those, not this.

begin;

do $$ begin
  set local lock_timeout = '60s';
  perform pg_advisory_xact_lock(${lockKey}); -- as \`troupe db migrate\` does, so that one waits for the other
  if to_regprocedure('public.schema_version()') is not null then
    if public.schema_version() > '${version}' then
      raise exception 'This database has schema %, this file would take it back to ${version}', public.schema_version()
        using hint = 'Take the file of the newer Troupe.';
    end if;
  end if;
end $$;

${migrations.map(({ version, name, sql }) => `-- ${version}_${name} ${'='.repeat(96 - name.length)}\n\n${sql.trim()}\n`).join('\n')}
-- The ledger of the Supabase CLI, so that \`supabase db push\` and \`troupe db migrate\` know what is here.
create schema if not exists supabase_migrations;
create table if not exists supabase_migrations.schema_migrations (version text not null primary key);
alter table supabase_migrations.schema_migrations add column if not exists statements text[], add column if not exists name text;
insert into supabase_migrations.schema_migrations (version, name) values
${records}
on conflict (version) do nothing;
grant usage on schema supabase_migrations to service_role;
grant select on supabase_migrations.schema_migrations to service_role;

commit;
`
}

if (import.meta.main) {
  const schema = buildSchema(await readMigrations())
  if (process.argv.includes('--check')) {
    const isFresh = (await readFile(schemaFile, 'utf8').catch(() => '')) === schema
    console.log(isFresh ? `${schemaFile} is up to date` : `${schemaFile} is stale: run npm run schema`)
    process.exitCode = isFresh ? 0 : 1
  } else {
    await writeFile(schemaFile, schema)
    console.log(`${schemaFile}: ${schema.length} bytes`)
  }
}
