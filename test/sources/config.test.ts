import { expect, test } from 'vitest'
import { parseConfig } from '../../src/sources/config.ts'

const parse = (text: string, env: Record<string, string> = {}) => parseConfig(text, { file: 'troupe.yaml', env })
const faultsOf = (text: string, env: Record<string, string> = {}) => {
  try {
    parse(text, env)
  } catch (error) {
    return (error as Error).message.split('\n')
  }
  return []
}
const minimal = 'teams:\n  - id: trading\n    agents:\n      - { id: a, type: scanner }\n'

test('fills in every default', () => {
  expect(parse(minimal)).toEqual({
    name: 'troupe',
    store: { kind: 'auto', folder: '.troupe' },
    leases: { agents: 15_000, jobs: 60_000 },
    http: { connections: 16, keepAlive: 4_000, retries: 2, origins: {} },
    llm: {
      concurrency: 8,
      queue: 1_000,
      timeout: 60_000,
      maxPromptTokens: 32_000,
      maxTokens: 4_096,
      prices: {},
      budget: {},
    },
    compute: { queue: 1_000, timeout: 60_000, memory: 512 * 2 ** 20 },
    sources: {},
    teams: [
      {
        id: 'trading',
        strategy: 'one_for_one',
        intensity: { max: 10, within: 60_000 },
        agents: [
          {
            id: 'a',
            type: 'scanner',
            args: {},
            restart: 'permanent',
            shutdown: 5_000,
            startTimeout: 30_000,
            backoff: { first: 200, max: 30_000, jitter: 0.2, reset: 60_000 },
            budget: 5,
            quarantine: { first: 300_000, max: 3_600_000 },
            durability: 'transaction',
            mailbox: 1_000,
            maxAttempts: 3,
            turnTimeout: 300_000,
            turnTimeouts: {},
            hangAfter: 10_000,
            memory: { soft: 256 * 2 ** 20, hard: 2 ** 30, poll: 250 },
            maxLoad: 5,
            origins: [],
            http: { concurrency: 64 },
          },
        ],
      },
    ],
  })
})

test('reads durations and sizes with their units', () => {
  const agent = '{ id: a, type: b, shutdown: 1.5s, turnTimeout: 2m, hangAfter: 300, memory: { soft: 64MB, hard: 1GB } }'
  const config = parse(`teams:\n  - id: t\n    intensity: { max: 1, within: 500ms }\n    agents: [${agent}]\n`)
  expect(config.teams[0]).toMatchObject({
    intensity: { within: 500 },
    agents: [{ shutdown: 1_500, turnTimeout: 120_000, hangAfter: 300, memory: { soft: 64 * 2 ** 20, hard: 2 ** 30 } }],
  })
})

test('names file, line, path, what was found and what was expected', () => {
  expect(
    faultsOf(
      'nmae: x\nteams:\n  - id: t\n    agents:\n      - { id: a, type: b, restart: sometimes }\n      - { id: "c d", type: b, shutdown: soon }\n      - { id: e, type: b, replicas: 0 }\n',
    ),
  ).toEqual([
    'troupe.yaml:5:36: teams[0].agents[0].restart: found "sometimes", expected permanent, transient, temporary',
    'troupe.yaml:6:15: teams[0].agents[1].id: found "c d", expected letters, digits and : . _ - (at most 128)',
    'troupe.yaml:6:41: teams[0].agents[1].shutdown: found "soon", expected a duration like 200ms, 5s, 2m or 1h',
    'troupe.yaml:7:37: teams[0].agents[2].replicas: found 0, expected more than 0',
    'troupe.yaml:1:7: nmae: no such setting, did you mean name?',
  ])
})

test('says once where a file is not YAML', () => {
  expect(faultsOf('name: a\nname: b\n')).toEqual(['troupe.yaml:2:1: Map keys must be unique'])
})

test('says of a name that will not do which one would', () => {
  expect(faultsOf('http: { origins: { foo: {} } }\nteams: [{ id: t, agents: [{ id: a, type: b }] }]\n')).toEqual([
    'troupe.yaml:1:25: http.origins.foo: found "foo", expected an origin like https://api.example.com',
  ])
})

test('refuses leases that would run out while they are held', () => {
  const teams = 'teams: [{ id: t, agents: [{ id: a, type: b }] }]'
  expect(
    ['{ agents: 100ms }', '{ agents: 2m }', '{ agents: 5s, jobs: 4s }'].flatMap((leases) => faultsOf(`leases: ${leases}\n${teams}`)),
  ).toEqual([
    'troupe.yaml:1:19: leases.agents: found "100ms", expected 1s to 1h',
    'troupe.yaml:1:9: leases.jobs: found nothing, expected no less than leases.agents',
    'troupe.yaml:1:29: leases.jobs: found "4s", expected no less than leases.agents',
  ])
})

test('says what a setting that there is not may have meant, wherever it stands', () => {
  const agent = '{ id: a, type: b, turnTimout: 5s, backoff: { maximum: 1s }, colour: red }'
  expect(
    faultsOf(`teams:\n  - id: t\n    stratgey: one_for_all\n    agents: [${agent}]\n`).map((fault) => fault.replace(/^\S+ /, '')),
  ).toEqual([
    'teams[0].agents[0].backoff.maximum: no such setting, expected first, max, jitter, reset',
    'teams[0].agents[0].turnTimout: no such setting, did you mean turnTimeout?',
    expect.stringMatching(/^teams\[0\]\.agents\[0\]\.colour: no such setting, expected id, type, args, replicas, .*, maxLoad/),
    'teams[0].stratgey: no such setting, did you mean strategy?',
  ])
})

test("7 a strategy that there is not, a negative budget and a window of nothing are refused (and, unlike OTP's, unknown flags)", () => {
  const faults = ['strategy: foo', 'intensity: { max: -1 }', 'intensity: { within: 0 }', 'flag: sometimes'].flatMap((line) =>
    faultsOf(`teams:\n  - id: t\n    ${line}\n    agents: [{ id: a, type: b }]\n`),
  )
  expect(faults).toEqual([
    'troupe.yaml:3:15: teams[0].strategy: found "foo", expected one_for_one, one_for_all, rest_for_one',
    'troupe.yaml:3:23: teams[0].intensity.max: found -1, expected at least 0',
    'troupe.yaml:3:26: teams[0].intensity.within: found 0, expected a duration longer than 0',
    'troupe.yaml:3:11: teams[0].flag: no such setting, expected id, strategy, intensity, agents',
  ])
})

test('refuses an id that is used twice, replicas counted', () => {
  expect(faultsOf('teams:\n  - id: t\n    agents: [{ id: a, type: b, replicas: 2 }, { id: a-2, type: b }]\n')).toEqual([
    'troupe.yaml:3:53: teams[0].agents[1].id: the id "a-2" is used twice',
  ])
})

test('refuses what is not YAML, naming the line', () => {
  expect(faultsOf('teams: [')[0]).toMatch(/^troupe\.yaml:1:\d+: /)
  expect(faultsOf('')).toEqual(['troupe.yaml:1:1: the file: found null, expected object'])
})

test('puts environment variables in, and leaves a source out whose variable is unset', () => {
  const text = `${minimal}sources:\n  mongodb: { uri: "\${MONGODB_URI}" }\n`
  expect(parse(text, { MONGODB_URI: 'mongodb://x' }).sources).toEqual({
    mongodb: { uri: 'mongodb://x', database: 'bazaar', collection: 'agents', team: 'bazaar' },
  })
  expect(parse(text).sources).toEqual({})
})

test('what a config says of MongoDB holds for the address of MONGODB_URI, too', () => {
  const env = { MONGODB_URI: 'mongodb://x' }
  const settings = { uri: 'mongodb://x', database: 'shop', collection: 'staff', team: 'own' }
  for (const uri of ['', `uri: \${OTHER}, `]) {
    const text = `${minimal}sources:\n  mongodb: { ${uri}database: shop, collection: staff, team: own }\n`
    expect([parse(text, env).sources, parse(text).sources]).toEqual([{ mongodb: settings }, {}])
  }
})

test('shows no login of an address that stands where it does not belong', () => {
  const [fault] = faultsOf(`${minimal}sources:\n  mongodb: "mongodb://me:p@ss@host/x"\n`)
  expect(fault).toBe('troupe.yaml:6:12: sources.mongodb: found "mongodb://…@host/x", expected object')
  const env = { URI: 'postgres://me:p"a ss@host/x' }
  expect(faultsOf(`${minimal}store: { kind: \${URI} }\n`, env)).toEqual([
    `troupe.yaml:5:16: store.kind: found "\${URI}", which gave "postgres://…@host/x", expected auto, hosted, postgres, embedded`,
  ])
})

test('shows no key that stands for a whole section', () => {
  const key = `\${KEY}`
  const lines = [`llm: ${key}`, `http: { origins: { "https://x.example": ${key} } }`, `http: { origins: ${key} }`]
  const texts = [...lines.map((line) => `${minimal}${line}\n`), `teams: ${key}\n`]
  expect(texts.flatMap((text) => faultsOf(text, { KEY: 's3cret' }))).toEqual([
    `troupe.yaml:5:6: llm: found "${key}", expected object`,
    `troupe.yaml:5:41: http.origins.https://x.example: found "${key}", expected object`,
    `troupe.yaml:5:18: http.origins: found "${key}", expected record`,
    `troupe.yaml:1:8: teams: found "${key}", expected array`,
  ])
})

test('a variable that is unset may have a default in the file', () => {
  const args = `{ api: '\${API:-http://x:1}/y', wallet: '\${WALLET:-}', owner: '\${OWNER}' }`
  const text = minimal.replace('type: scanner', `type: scanner, args: ${args}`)
  const argsOf = (env: Record<string, string>) => parse(text, env).teams[0]?.agents[0]?.args
  expect(argsOf({ OWNER: 'me' })).toEqual({ api: 'http://x:1/y', wallet: '', owner: 'me' })
  expect(argsOf({ OWNER: 'me', API: 'https://z', WALLET: '0x1' })).toEqual({ api: 'https://z/y', wallet: '0x1', owner: 'me' })
  expect(argsOf({ OWNER: 'me', API: '' })).toMatchObject({ api: 'http://x:1/y' })
})

test('a variable stands where any text does, also within braces and without quotes, and places stay what they are', () => {
  const sources = `sources:\n  mongodb: { uri: \${MONGODB_URI}, database: \${DB:-a, b: [c] #d}, nmae: x }\n`
  expect(faultsOf(minimal + sources, { MONGODB_URI: 'mongodb://x' })).toEqual([
    'troupe.yaml:6:72: sources.mongodb.nmae: no such setting, expected uri, database, collection, team',
  ])
  const env = { MONGODB_URI: 'mongodb://x', NAMES: 'trader' }
  const text = `${minimal.replace('id: a', `id: "\${NAMES}-\${N:-1}", args: { a: [\${X:-y}, 1], b: "{\\"c\\": \${X:-1}}" }`)}${sources.replace(', nmae: x', '')}`
  expect([parse(text, env).teams[0]?.agents[0], parse(text, env).sources.mongodb]).toMatchObject([
    { id: 'trader-1', args: { a: ['y', 1], b: '{"c": 1}' } },
    { uri: 'mongodb://x', database: 'a, b: [c] #d' },
  ])
})

test('a variable that stands alone, without quotes, gives a number or a boolean where one is expected, and text elsewhere', () => {
  const agent = (settings: string) => `teams:\n  - id: t\n    agents:\n      - { id: a, type: b, ${settings} }\n`
  const settings = `replicas: \${N:-2}, shutdown: \${MS}, http: { rate: \${RATE} }, args: { wallet: \${WALLET}, every: \${MS} }`
  const env = { MS: '500', RATE: '0.5', WALLET: '0x10' }
  expect(parse(agent(settings), env).teams[0]?.agents[0]).toMatchObject({
    replicas: 2,
    shutdown: 500,
    http: { rate: 0.5 },
    args: { wallet: '0x10', every: '500' },
  })
  expect([...faultsOf(agent(`replicas: \${N}`), { N: 'two' }), ...faultsOf(agent(`replicas: "\${N}"`), { N: '2' })]).toEqual([
    `troupe.yaml:4:37: teams[0].agents[0].replicas: found "\${N}", which gave "two", expected number`,
    `troupe.yaml:4:37: teams[0].agents[0].replicas: found "\${N}", which gave "2", expected number`,
  ])
  expect([...faultsOf(agent(`replicas: \${N}`), { N: '0' }), ...faultsOf(`teams: \${TEAMS}\n`)]).toEqual([
    `troupe.yaml:4:37: teams[0].agents[0].replicas: found "\${N}", which gave "0", expected more than 0`,
    `troupe.yaml:1:8: teams: found "\${TEAMS}", which is not set, expected array`,
  ])
})

test('what a variable gave is not shown where it may be a secret', () => {
  const headers = `http: { origins: { "https://a.example.com": { headers: { authorization: "Bearer \${KEY}" } } } }\n`
  expect(faultsOf(headers + minimal, { KEY: 'secret\n' })).toEqual([
    `troupe.yaml:1:73: http.origins.https://a.example.com.headers.authorization: found "Bearer \${KEY}", expected the value of a header, without line ends`,
  ])
})

test('an origin without quotes is an alias to YAML: that is told with its place, as is one that grows without end', () => {
  const text = minimal.replace('type: scanner', 'type: scanner, origins: [*.example.com, *x]')
  expect(faultsOf(text)).toEqual([
    'troupe.yaml:4:43: nothing is called ".example.com" here: a text that begins with * stands in quotes',
    'troupe.yaml:4:58: nothing is called "x" here: a text that begins with * stands in quotes',
  ])
  const levels = Array.from({ length: 9 }, (_, n) => `a${n + 1}: &a${n + 1} [${Array(9).fill(`*a${n}`).join(', ')}]\n`)
  expect(faultsOf(`a0: &a0 [x]\n${levels.join('')}`)).toEqual([expect.stringMatching(/^troupe\.yaml:2:\d+: Excessive alias count/)])
})
