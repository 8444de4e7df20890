import { expect, test } from 'vitest'
import { mergeSettings } from '../../src/store/merge-settings.ts'

function recorder() {
  const sent: unknown[][] = []
  const record = async (sql: string, parameters?: unknown) => sent.push(parameters ? [sql, parameters] : [sql])
  return { sent, query: mergeSettings(record as never, (value) => ({ value })) }
}

test('settings of a request leave in one statement, in their order, before what they are for', async () => {
  const { query, sent } = recorder()
  await query('BEGIN')
  const answer = await query("SELECT set_config('role', $1, true)", ['service_role'])
  await query("SELECT set_config('response.status', '', true)")
  await query('select 1')
  await query('select 2')
  expect(answer).toEqual({ value: 'service_role' })
  expect(sent).toEqual([
    ['BEGIN'],
    ['select set_config($1, $2, true), set_config($3, $4, true)', ['role', 'service_role', 'response.status', '']],
    ['select 1'],
    ['select 2'],
  ])
})

test('settings that nothing followed end with their transaction', async () => {
  const { query, sent } = recorder()
  await query("SELECT set_config('role', $1, true)", ['anon'])
  await query('ROLLBACK')
  await query('select current_user')
  expect(sent).toEqual([['ROLLBACK'], ['select current_user']])
})

test('a setting for the whole session is nobody else’s business and leaves at once', async () => {
  const { query, sent } = recorder()
  await query("select set_config('role', $1, false)", ['anon'])
  expect(sent).toEqual([["select set_config('role', $1, false)", ['anon']]])
})
