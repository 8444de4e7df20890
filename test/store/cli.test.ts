import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { tempFolder } from '../helpers.ts'
import { firstLine, runTroupe, startTroupe } from './run-troupe.ts'

let folder: Awaited<ReturnType<typeof tempFolder>>
beforeAll(async () => {
  folder = await tempFolder()
})
afterAll(() => folder?.[Symbol.asyncDispose]())

const troupe = (args: readonly string[], env: Record<string, string> = {}, input = '') => runTroupe(args, { cwd: folder.path, env, input })

describe('the command line', () => {
  test('helps', async () => {
    const [all, db, query] = await Promise.all([troupe(['--help']), troupe(['db', '--help']), troupe(['db', 'query', '--help'])])
    expect([all, db, query].map(({ code, err }) => ({ code, err }))).toEqual(Array(3).fill({ code: 0, err: '' }))
    expect(all.out).toMatch(/start .*\n(.*\n)*.*db status .*\n.*db serve /)
    expect(db.out).toContain('troupe db reset')
    expect(query.out).toContain('troupe db query "select * from v_active_jobs"')
    expect(all.out + db.out + query.out).not.toContain('\u001b')
  })

  test.each([
    [['strat'], {}, 'did you mean "troupe start"?'],
    [['db', 'migrat'], {}, 'did you mean "troupe db migrate"?'],
    [['frobnicate'], {}, 'Unknown command "frobnicate" See troupe --help'],
    [['start', '--what'], {}, "Unknown option '--what'"],
    [['db', 'query'], {}, 'the SQL is missing'],
    [['db', 'query', 'select', '1'], {}, '"1" is one word too many'],
    [['db', 'serve', '--port', 'x'], {}, '--port: expected a number from 0 to 65535, found "x"'],
    [['jobs', 'list', '--config', 'none.yaml'], {}, 'Cannot read the config file none.yaml'],
    [['ps'], { TROUPE_CONFIG: 'none.yaml' }, 'Cannot read the config file none.yaml'],
    [['db', 'reset'], {}, 'no terminal to ask on, pass --yes'],
    [['db', 'reset', '--yes'], { DATABASE_URL: 'postgres://h/d' }, 'for the embedded store only'],
    [
      ['db', 'status'],
      { ENABLE_SUPABASE: 'true' },
      'not available: ENABLE_SUPABASE is true: expected SUPABASE_URL and SUPABASE_SERVICE_KEY, found no',
    ],
    [['db', 'status'], { SUPABASE_URL: 'https://a.supabase.co' }, 'found none\nhint: SUPABASE_URL or SUPABASE_SERVICE_KEY is missing'],
    [
      ['db', 'query', 'select 1'],
      { SUPABASE_URL: 'https://a.supabase.co', SUPABASE_SERVICE_KEY: 'sb_secret_0123456789' },
      'set DATABASE_URL',
    ],
  ])('%j is refused with exit code 2', async (args, env, message) => {
    const { code, out, err } = await troupe(args, env as Record<string, string>)
    expect({ code, out, err }).toEqual({ code: 2, out: '', err: expect.stringContaining(message) })
  })

  test('fails with exit code 1 when the store is away, for people and for programs', async () => {
    const env = { DATABASE_URL: 'postgres://user:hidden@127.0.0.1:1/db' }
    const [people, programs] = await Promise.all([troupe(['db', 'migrate'], env), troupe(['db', 'migrate', '--json'], env)])
    expect({ codes: [people.code, programs.code], out: people.out + programs.out }).toEqual({ codes: [1, 1], out: '' })
    expect(people.err).toContain('ECONNREFUSED')
    expect(JSON.parse(programs.err)).toMatchObject({ error: { code: 'STORE_FAILED', details: { kind: 'unavailable', code: '08006' } } })
    expect(people.err + programs.err).not.toContain('hidden')
  })

  test('calls it by the name that users of the original know, and says what to do', async () => {
    const env = { SUPABASE_URL: 'http://127.0.0.1:1', SUPABASE_SERVICE_KEY: 'sb_secret_0123456789' }
    const [status, query] = await Promise.all([troupe(['db', 'status'], env), troupe(['jobs', 'list'], env)])
    expect([status.code, query.code]).toEqual([1, 1])
    const message = expect.stringMatching(
      /Could not initialize Supabase: .* fetch failed.*\nhint: The address does not answer, or the key is refused/,
    )
    expect([status.err, query.err]).toEqual([message, message])
  })
})

// In this order, as opening the folder takes a second or two: made, then served for everything else, then made anew.
describe('the embedded store', () => {
  test('is made and shown by the first command', async () => {
    const { code, out, err } = await troupe(['db', 'status'])
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toMatch(
      /^store +embedded: .troupe, served at http:\/\/127\.0\.0\.1:\d+\ndatabase +PostgreSQL 18\.6\nschema +\d{14} \(\d+ migrations/,
    )
    expect(out).toMatch(/system_config +7\n/)
  })

  test('is served until it is told to stop, and other commands go through the server', async () => {
    const server = startTroupe(['db', 'serve', '--port', '0', '--json'], { cwd: folder.path })
    const { url, pid, key } = JSON.parse(await firstLine(server))
    const [rows, table, wrong, status, migrate, second, reset, answer] = await Promise.all([
      troupe(['db', 'query', '-', '--json'], {}, "select key, value from system_config where key = 'risk_mode'"),
      troupe(['db', 'query', "create table t (a text); insert into t values (E'\\x1b[31m\\n'), (null); select a, 1 as b from t"]),
      troupe(['db', 'query', 'selec 1']),
      troupe(['db', 'status', '--json']),
      troupe(['db', 'migrate']),
      // Half of a hosted store in .env has nothing to do with it.
      troupe(['db', 'serve', '--port', '0'], { SUPABASE_URL: 'https://a.supabase.co' }),
      troupe(['db', 'reset', '--yes']),
      fetch(`${url}/rest/v1/system_config?select=key&limit=1`, { headers: { apikey: key } }),
    ])
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

  test('is made anew by reset', async () => {
    const { code, out } = await troupe(['db', 'reset', '--yes', '--json'])
    expect({ code, ...JSON.parse(out) }).toEqual({
      code: 0,
      folder: '.troupe',
      applied: expect.arrayContaining([expect.stringMatching(/^\d{14}_/)]),
    })
  })
})
