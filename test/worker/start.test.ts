import { expect, test } from 'vitest'
import { sample, startThread } from './thread.ts'

const noEffects = { messages: [], jobs: [], writes: [], timers: [], steps: false }
const tick = { name: 'tick', type: 'raw', body: '{"from":"timer"}', every: 60_000, dueIn: 60_000 }

test('a thread says that it is up before it knows its actor, and answers pings', async () => {
  await using thread = await startThread()
  thread.post({ kind: 'ping', at: 12.5 })
  expect(await thread.next('pong')).toEqual({ kind: 'pong', at: 12.5 })
})

test('an actor without init is loaded with nothing to commit', async () => {
  await using thread = await startThread()
  expect(await thread.load(sample('lab'))).toEqual({ kind: 'loaded', actor: 'lab', incarnation: 1, effects: noEffects })
})

test('init gets the parsed args, sets timers, and its result is the first state', async () => {
  await using thread = await startThread()
  expect(await thread.load(sample('keeper'))).toEqual({
    kind: 'loaded',
    actor: 'lab',
    incarnation: 1,
    effects: { ...noEffects, timers: [tick], state: '{"seen":7,"names":[]}' },
  })
})

test('a saved state stays, whatever init returns', async () => {
  await using thread = await startThread()
  const loaded = await thread.load(sample('keeper'), { state: { seen: 3, names: ['a'] } })
  expect(loaded).toMatchObject({ effects: { ...noEffects, timers: [tick] } })
  expect(loaded).not.toHaveProperty('effects.state')
  expect(await thread.turn('raw', 1)).toMatchObject({ reply: '{"body":1,"state":{"seen":3,"names":["a"]}}' })
})

test('init may replace a saved state by assigning it', async () => {
  await using thread = await startThread()
  const loaded = await thread.load(sample('keeper'), { args: { mode: 'migrate' }, state: { names: ['a'] } })
  expect(loaded).toMatchObject({ effects: { state: '{"seen":100,"names":["a"]}' } })
})

test('args that do not parse refuse the start and name their paths', async () => {
  await using thread = await startThread()
  expect(await thread.load(sample('keeper'), { args: { first: 'one', mode: 'new' } })).toMatchObject({
    kind: 'refused',
    error: {
      code: 'CONFIG_INVALID',
      message: 'The args of "lab" are not what its actor file takes: args.first: found "one", expected number',
      details: { issues: ['args.first: found "one", expected number'] },
    },
  })
})

test('an init that throws refuses the start with its cause', async () => {
  await using thread = await startThread()
  expect(await thread.load(sample('keeper'), { args: { mode: 'throw' } })).toMatchObject({
    kind: 'refused',
    error: {
      name: 'ActorError',
      code: 'START_FAILED',
      message: 'init of "lab" failed: no luck today',
      cause: { name: 'Error', message: 'no luck today', stack: expect.stringContaining('keeper.ts') },
    },
  })
})

test('sending in init throws and says what to do', async () => {
  await using thread = await startThread()
  expect(await thread.load(sample('keeper'), { args: { mode: 'send' } })).toMatchObject({
    error: { code: 'START_FAILED', message: expect.stringContaining('ctx.tell is not there in init, which may set the state and timers') },
  })
})

test('files that are no actor are refused with what was found and what was expected', async () => {
  await using thread = await startThread()
  const messages: Record<string, string> = {}
  for (const name of ['shape', 'nothing', 'class', 'import', 'throws']) {
    const file = sample(`broken/${name}`)
    const refused = await thread.load(file, { id: name })
    const { code, message } = refused.kind === 'refused' ? refused.error : { code: 'loaded', message: '' }
    messages[name] = `${code} ${message.replace(file, `${name}.ts`)}`
  }
  const expected = "expected `export default defineActor({ … })` of 'troupe/actor'"
  expect(messages).toEqual({
    shape: `MODULE_INVALID shape.ts is not an actor file: ${[
      'it has an unknown field "recieve", expected args, messages, jobs, sql, origins, persist, init, receive, run, stop',
      'messages.scan is an object, expected a schema or true',
      'sql is string (all), expected a list of strings',
      'persist is number (1), expected true or false',
      'receive.scan is string (soon), expected a function',
      'messages.ping has no handler receive.ping',
    ].join('; ')}`,
    nothing: `MODULE_INVALID nothing.ts is not an actor file: it has no default export (but scanner), ${expected}`,
    class: `MODULE_INVALID class.ts is not an actor file: its default export is a class, ${expected}`,
    import: expect.stringMatching(/^MODULE_INVALID import\.ts cannot be loaded: Cannot find module '.*no-such-file\.ts'/),
    throws: `MODULE_INVALID throws.ts cannot be loaded: at the top level (${sample('broken/throws')}:3)`,
  })
})
