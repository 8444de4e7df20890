import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { readMigrations } from '../../src/store/migrate.ts'
import { buildSchema, schemaFile } from '../../supabase/build.ts'

test('the paste-able schema is up to date: npm run schema', async () => {
  expect((await readFile(schemaFile, 'utf8')) === buildSchema(await readMigrations())).toBe(true)
})

test('it is one transaction that holds each migration and records it', async () => {
  const schema = buildSchema([
    { version: '20260101000000', name: 'one', sql: 'select 1;\n' },
    { version: '20260102000000', name: 'two', sql: 'select 2;\n' },
  ])
  expect(schema).toMatch(
    /\nbegin;\n(.|\n)*-- 20260101000000_one =+\n\nselect 1;\n(.|\n)*-- 20260102000000_two =+\n\nselect 2;\n(.|\n)*\ncommit;\n$/,
  )
  expect(schema).toContain("  ('20260101000000', 'one'),\n  ('20260102000000', 'two')\non conflict (version) do nothing;")
})
