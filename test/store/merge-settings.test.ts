import type { PGliteInterface } from '@electric-sql/pglite'
import { expect, test } from 'vitest'
import { mergeSettings } from '../../src/store/merge-settings.ts'

function recordingDriver() {
  const sent: [string, unknown[]?][] = []
  const driver = {
    async query(sql: string, parameters?: unknown[]) {
      sent.push(parameters ? [sql, parameters] : [sql])
      return { rows: [], fields: [] }
    },
  } as unknown as Pick<PGliteInterface, 'query'>
  mergeSettings(driver)
  return { driver, sent }
}

test('settings of a request leave in one statement, in their order, before what they are for', async () => {
  const { driver, sent } = recordingDriver()
  await driver.query('BEGIN')
  const { rows } = await driver.query("SELECT set_config('role', $1, true)", ['service_role'])
  await driver.query("SELECT set_config('response.status', '', true)")
  await driver.query('select 1')
  await driver.query('select 2')
  expect(rows).toEqual([{ set_config: 'service_role' }])
  expect(sent).toEqual([
    ['BEGIN'],
    ['select set_config($1, $2, true), set_config($3, $4, true)', ['role', 'service_role', 'response.status', '']],
    ['select 1'],
    ['select 2'],
  ])
})

test('settings that nothing followed end with their transaction', async () => {
  const { driver, sent } = recordingDriver()
  await driver.query("SELECT set_config('role', $1, true)", ['anon'])
  await driver.query('ROLLBACK')
  await driver.query('select current_user')
  expect(sent).toEqual([['ROLLBACK'], ['select current_user']])
})

test('a setting for the whole session is nobody else’s business and leaves at once', async () => {
  const { driver, sent } = recordingDriver()
  await driver.query("select set_config('role', $1, false)", ['anon'])
  expect(sent).toEqual([["select set_config('role', $1, false)", ['anon']]])
})
