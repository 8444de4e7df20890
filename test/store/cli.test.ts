import { expect, test } from 'vitest'
import { inOwnFolder, runHere, runTroupe } from './run-troupe.ts'

const folder = inOwnFolder()

const spawn = (args: readonly string[], env: Record<string, string> = {}) => runTroupe(args, { cwd: folder.path, env })

test('helps', async () => {
  const [all, db, query] = [await spawn(['--help']), await runHere(['db', '--help']), await runHere(['db', 'query', '--help'])]
  expect([all, db, query].map(({ code, err }) => ({ code, err }))).toEqual(Array(3).fill({ code: 0, err: '' }))
  expect(all.out).toMatch(/start .*\n(.*\n)*.*db status .*\n.*db serve /)
  expect(db.out).toContain('troupe db reset')
  expect(query.out).toContain('troupe db query "select * from v_active_jobs"')
  expect(all.out + db.out + query.out).not.toContain('\u001b')
})

test('help and version have their usual short forms', async () => {
  const said = async (...args: readonly string[]) => (await runHere(args)).out
  expect([await said('-h'), await said('db', '-h'), await said('db', 'query', '-h'), await said('-v')]).toEqual([
    await said('--help'),
    await said('db', '--help'),
    await said('db', 'query', '--help'),
    await said('--version'),
  ])
  expect([await said('help', 'db', 'query'), await said('help', 'db')]).toEqual([
    await said('db', 'query', '--help'),
    await said('db', '--help'),
  ])
})

test.each([
  [['strat'], {}, 'did you mean "troupe start"?'],
  [['db', 'migrat'], {}, 'did you mean "troupe db migrate"?'],
  [['frobnicate'], {}, 'Unknown command "frobnicate". See troupe --help'],
  [['start', '--what'], {}, "Unknown option '--what'"],
  [['db', 'query'], {}, 'the SQL is missing'],
  [['db', 'query', 'select', '1'], {}, '"1" is one word too many'],
  [['db', 'serve', '--port', 'x'], {}, '--port: expected a number from 0 to 65535, found "x"'],
  [['start', '--folder='], {}, 'start: --folder: expected <path>, found ""'],
  [['jobs', 'list', '--config', 'none.yaml'], {}, 'Cannot read the config file none.yaml'],
  [['plan', '--config', '.'], {}, 'Cannot read the config file . (EISDIR: '],
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
  const { code, out, err } = await runHere(args, env as Record<string, string>)
  expect({ code, out, err }).toEqual({ code: 2, out: '', err: expect.stringContaining(message) })
})

test('fails with exit code 1 when the store is away, for people and for programs', async () => {
  const env = { DATABASE_URL: 'postgres://user:hidden@127.0.0.1:1/db' }
  const [people, programs] = [await spawn(['db', 'migrate'], env), await runHere(['db', 'migrate', '--json'], env)]
  expect({ codes: [people.code, programs.code], out: people.out + programs.out }).toEqual({ codes: [1, 1], out: '' })
  expect(people.err).toContain('ECONNREFUSED')
  expect(JSON.parse(programs.err)).toMatchObject({ error: { code: 'STORE_FAILED', details: { kind: 'unavailable', code: '08006' } } })
  expect(people.err + programs.err).not.toContain('hidden')
})

test('calls it by the name that users of the original know, and says what to do', async () => {
  const env = { SUPABASE_URL: 'http://127.0.0.1:1', SUPABASE_SERVICE_KEY: 'sb_secret_0123456789' }
  const [status, query] = [await runHere(['db', 'status'], env), await runHere(['jobs', 'list'], env)]
  expect([status.code, query.code]).toEqual([1, 1])
  const message = expect.stringMatching(
    /Could not initialize Supabase: .* fetch failed.*\nhint: The address does not answer, or the key is refused/,
  )
  expect([status.err, query.err]).toEqual([message, message])
})
