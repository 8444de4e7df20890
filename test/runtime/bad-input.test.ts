import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Ground, openGround, type TestTeam, teamOn } from './team.ts'

const root = join(import.meta.dirname, '../..')
// Inside of the project, because that is where actors find "troupe/actor".
const folder = join(root, '.troupe', `bad-input-${process.pid}`)
const header = "import { defineActor } from 'troupe/actor'\nimport * as z from 'zod'\n"
const files = {
  syntax: `${header}export default defineActor({\n  receive: { hi: () => }\n})\n`,
  nothing: `${header}export const actor = defineActor({})\n`,
  unknown: `${header}export default { recieve: { hi: () => 1 } }\n`,
  handlerless: `${header}export default defineActor({ messages: { hi: true }, receive: { ho: () => 1 } } as never)\n`,
  import: `${header}import './not-there.ts'\nexport default defineActor({})\n`,
  thrower: `${header}export default defineActor({ init() { throw new Error('the disk is full') } })\n`,
  strict: `${header}export default defineActor({
    args: z.object({ edge: z.number(), market: z.object({ name: z.string() }) }),
    receive: { hi: () => 1 },
  })\n`,
  quoter: `${header}export default defineActor({
    receive: { says: (text, ctx) => ctx.status('idle', String(text).slice(0, 2)), hi: () => 'hello' },
  })\n`,
  typed: `${header}export default defineActor({
    messages: { trade: z.object({ amount: z.number(), legs: z.array(z.object({ market: z.string() })) }) },
    receive: { trade: () => 'traded', hi: () => 'hello' },
  })\n`,
}
const settled = { first: 1, max: 1, jitter: 0, reset: '1h' }

let ground: Ground
beforeAll(async () => {
  ground = await openGround()
  await mkdir(folder, { recursive: true })
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, `${name}.ts`), text)
})
afterAll(async () => {
  await ground[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

/** A team of a config file, as lines of YAML. */
function configured(name: string, ...agents: string[]): Promise<TestTeam> {
  return configuredWith(name, agents)
}

async function configuredWith(name: string, agents: readonly string[], options: Parameters<typeof teamOn>[2] = {}): Promise<TestTeam> {
  const config = join(folder, `${name}.yaml`)
  await writeFile(config, `teams:\n  - id: ${name}\n    agents:\n${agents.map((agent) => `      - ${agent}\n`).join('')}`)
  return teamOn(ground, [], { config, actors: folder, ...options })
}

/** What a start is refused with; paths as seen from the folder. */
async function refusal(name: string, ...agents: string[]): Promise<string> {
  await using team = await configured(name, ...agents)
  const error = await team.start().then(
    () => ({ code: 'started', message: '' }),
    (reason: { code: string; message: string }) => reason,
  )
  return `${error.code} ${error.message}`.replaceAll(`${folder}/`, '')
}

test('a bad actor file is refused with its name, what is wrong and what was expected; all of them at once', async () => {
  const types = ['syntax', 'nothing', 'unknown', 'handlerless', 'import']
  expect((await refusal('files', ...types.map((type) => `{ id: ${type}, type: ${type} }`))).split('\n')).toEqual([
    'MODULE_INVALID syntax.ts cannot be loaded: Expression expected (syntax.ts:4)',
    "nothing.ts is not an actor file: it has no default export (but actor), expected `export default defineActor({ … })` of 'troupe/actor'",
    `unknown.ts is not an actor file: it has an unknown field "recieve", expected args, messages, jobs, sql, origins, persist, init, receive, run, stop`,
    'handlerless.ts is not an actor file: messages.hi has no handler receive.hi',
    'Cannot read not-there.ts, which import.ts needs',
  ])
})

test('a typo in a config is refused with file, line and what was probably meant or what there is', async () => {
  expect(await refusal('typo', '{ id: a, type: typed, turnTimout: 5s }', '{ id: b, type: typd }')).toBe(
    'CONFIG_INVALID typo.yaml:4:43: teams[0].agents[0].turnTimout: no such setting, did you mean turnTimeout?',
  )
  expect(await refusal('type', '{ id: b, type: typd }')).toBe(
    `CONFIG_INVALID type.yaml:4:24: there is no actor file for "typd": expected typd.ts, found ${Object.keys(files).sort().join(', ')}`,
  )
})

test('an agent that cannot start is parked with the reason, and its neighbour runs', async () => {
  const policy = `budget: 2, backoff: ${JSON.stringify(settled)}`
  await using team = await configured('starts', `{ id: s-thrower, type: thrower, ${policy} }`, '{ id: s-typed, type: typed }')
  await team.start()
  await team.event('child:quarantined', ({ id }) => id === 's-thrower')
  const { exit, detail } = await team.event('child:exited', ({ id }) => id === 's-thrower')
  expect([exit, detail]).toEqual(['start_failed', 'init of "s-thrower" failed: the disk is full'])
  expect([await team.ask('s-typed', 'hi'), team.status().reasons]).toEqual(['hello', [expect.stringContaining('s-thrower')]])
})

test('args that the actor does not take are refused with their place before anything starts', async () => {
  expect(await refusal('args', '{ id: s-strict, type: strict, args: { edge: high, market: {} } }')).toBe(
    `CONFIG_INVALID args.yaml:4:45: args.edge: found "high", expected number
args.yaml:4:45: args.market.name: found nothing, expected string`,
  )
})

test('a status with a reason that no database holds stops nobody: its agent and the one beside it keep their leases and work on', async () => {
  const heard = Promise.withResolvers<void>()
  const store = {
    ...ground.store,
    call: (async (name, args, options) => {
      const answer = await ground.store.call(name, args, options)
      if (name === 'sync_node' && JSON.stringify(args).includes('a\u{FFFD}')) heard.resolve()
      return answer
    }) as typeof ground.store.call,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
  const agents = ['{ id: q-quoter, type: quoter }', '{ id: q-typed, type: typed }']
  await using team = await configuredWith('quotes', agents, { store, lease: 900 })
  await team.start()
  await team.ask('q-quoter', 'says', 'a😀')
  await Promise.race([heard.promise, team.event('lease:doubted')])
  expect([await team.ask('q-quoter', 'hi'), await team.ask('q-typed', 'hi')]).toEqual(['hello', 'hello'])
})

/** As an agent of the original system does, or a person with a SQL prompt. */
const insert = (columns: string, values: string) =>
  ground.backend.query(`insert into agent_messages (message_type, from_agent, to_agent, ${columns})
    values ('command', 'someone', 'm-typed', ${values})`)

describe('a bad message', () => {
  let team: TestTeam
  beforeAll(async () => {
    // What waits when it starts it finds at once, and need not be waited for.
    await insert('subject, body', `'trade', '{"amount": 1'`)
    await insert('subject, content', `'hi', 'plain words are no body'`)
    team = await configured('messages', '{ id: m-typed, type: typed }')
    await team.start()
  })
  afterAll(() => team.stop())

  const dead = (type: string) => team.event('message:dead', (event) => event.type === type)
  test('that somebody wrote into the table with what is no JSON is dead; what comes after it is handled', async () => {
    const { reason, error } = await dead('trade')
    expect([reason, error]).toEqual(['body_invalid', expect.stringMatching(/^BODY_INVALID: body is not JSON: /)])
    await team.event('turn:committed', ({ type }) => type === 'hi')
  })

  test('to nobody is told to whoever sends it, and whoever asks hears it', async () => {
    expect((await team.send('m-typd', 'hi')).deliveries).toEqual([{ agent: 'm-typd', status: 'ready', unknown: true }])
    await expect(team.ask('m-typd', 'hi', null, { timeout: 200 })).rejects.toMatchObject({
      code: 'ACTOR_NOT_FOUND',
      message: expect.stringContaining('"m-typd"'),
    })
  })

  test('without a handler is dead at once, naming the handlers that there are', async () => {
    await team.send('m-typed', 'high')
    expect((await dead('high')).error).toBe('HANDLER_NOT_FOUND: m-typed has no handler for messages of type "high"; it has trade, hi')
  })

  test('with a body that its schema refuses is dead at once, with all issues and their paths; who asked hears them too', async () => {
    team.forget()
    const issues = /^BODY_INVALID: body\.amount: .*expected number.*; body\.legs\[1\]\.market: .*expected string/
    const body = { amount: 'much', legs: [{ market: 'm' }, {}] }
    await expect(team.ask('m-typed', 'trade', body)).rejects.toMatchObject({ message: expect.stringContaining('body.legs[1].market') })
    const { reason, error } = await dead('trade')
    expect([reason, error]).toEqual(['body_invalid', expect.stringMatching(issues)])
  })
})
