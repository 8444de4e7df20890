import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { firstLine, inOwnFolder, runHere, runTroupe, startTroupe } from './run-troupe.ts'

const folder = inOwnFolder()

// In this order, as opening the folder takes a second or two: made, then served for everything else, then made anew.
test('the embedded store is made and shown by the first command', async () => {
  const { code, out, err } = await runHere(['db', 'status'])
  expect({ code, err }).toEqual({ code: 0, err: '' })
  expect(out).toMatch(
    /^store +embedded: .troupe, served at http:\/\/127\.0\.0\.1:\d+\ndatabase +PostgreSQL 18\.6\nschema +\d{14} \(\d+ migrations/,
  )
  expect(out).toMatch(/system_config +7\n/)
})

test('the embedded store is served until it is told to stop, and other commands go through the server', async () => {
  const server = startTroupe(['db', 'serve', '--port', '0', '--json'], { cwd: folder.path })
  const { url, pid, key } = JSON.parse(await firstLine(server))
  const rows = await runTroupe(['db', 'query', '-', '--json'], {
    cwd: folder.path,
    input: "select key, value from system_config where key = 'risk_mode'",
  })
  const statements = "create table t (a text); insert into t values (E'\\x1b[31m\\n'), (null); select a, 1 as b from t"
  const table = await runHere(['db', 'query', statements])
  const wrong = await runHere(['db', 'query', 'selec 1'])
  const status = await runHere(['db', 'status', '--json'])
  const migrate = await runHere(['db', 'migrate'])
  // Half of a hosted store in .env has nothing to do with it.
  const second = await runHere(['db', 'serve', '--port', '0'], { SUPABASE_URL: 'https://a.supabase.co' })
  const reset = await runHere(['db', 'reset', '--yes'])
  const answer = await fetch(`${url}/rest/v1/system_config?select=key&limit=1`, { headers: { apikey: key } })
  const ended = once(server, 'exit')
  server.kill('SIGTERM')
  expect({
    key,
    rows: JSON.parse(rows.out),
    table: table.out,
    wrong: [wrong.code, wrong.err],
    status: JSON.parse(status.out),
    migrate: [migrate.code, migrate.out.split(':')[0]],
    second: [second.code, second.err],
    reset: [reset.code, reset.err],
    answer: answer.status,
    ended: await ended,
    left: (await readdir(join(folder.path, '.troupe'))).sort(),
  }).toEqual({
    key: expect.stringMatching(/^sb_secret_.{32}$/),
    rows: [{ key: 'risk_mode', value: 'normal' }],
    table: 'a       b\n──────  ─\n·[31m⏎  1\n        1\n2 rows\n',
    wrong: [1, 'error syntax error at or near "selec"\n'],
    status: expect.objectContaining({
      store: 'embedded',
      where: `.troupe, joined through process ${pid} at ${url}`,
      applied: [],
      postgres: '18.6',
      health: expect.objectContaining({ status: 'ok' }),
    }),
    migrate: [0, 'Nothing to do'],
    second: [1, `error Process ${pid} serves .troupe already, at ${url}\n`],
    reset: [1, `error .troupe is in use by process ${pid} (${url}): end it first\n`],
    answer: 200,
    ended: [0, null],
    left: ['db', 'lock.db'],
  })
})

test('the embedded store is made anew by reset', async () => {
  const { code, out } = await runHere(['db', 'reset', '--yes', '--json'])
  expect({ code, ...JSON.parse(out) }).toEqual({
    code: 0,
    folder: '.troupe',
    applied: expect.arrayContaining([expect.stringMatching(/^\d{14}_/)]),
  })
})
