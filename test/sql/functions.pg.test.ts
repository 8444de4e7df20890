import { expect, test } from 'vitest'
import { freshDatabase } from '../postgres.ts'
import { failure } from './rest.ts'
import { runWorkload } from './workload.ts'

test('68: every function runs, those of triggers and loading too', async () => {
  await using db = await freshDatabase({ max: 1 })
  const [{ name } = {}] = await db.sql`select current_database() as name`
  await db.sql`alter database ${db.sql(String(name))} set track_functions = 'all'`
  await runWorkload(db)
  const idle = () => db.sql`
    select p.oid::regprocedure::text as function from pg_proc p left join pg_stat_user_functions s on s.funcid = p.oid
    where p.pronamespace in ('public'::regnamespace, 'troupe'::regnamespace) and coalesce(s.calls, 0) = 0 order by 1`
  const refuse = { function: 'troupe.refuse(text,text,text)' } // a call that raises is not counted
  expect(await idle()).toEqual([refuse])
  expect(await failure(db.sql`select troupe.refuse('PT418', 'no', 'never')`)).toEqual({ code: 'PT418', message: 'no' })
  await db.sql`create function public.nobody_calls_me() returns void language sql set search_path = '' as ''`
  expect(await idle()).toEqual([{ function: 'nobody_calls_me()' }, refuse])
})
