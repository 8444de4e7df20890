import { expect, test } from 'vitest'
import { sample } from '../worker/thread.ts'
import { agent, hit, launchIn, openThreads, turn } from './hosted.ts'

const given = { state: null, sql: [] }

async function up(threads: ReturnType<typeof openThreads>, ...args: Parameters<typeof agent>) {
  const child = threads.start(agent(...args), 1)
  await child.load(given)
  return child
}

/** A standby starts when whoever waits for a thread has gone on. */
async function standbysOf(threads: ReturnType<typeof openThreads>) {
  await new Promise(setImmediate)
  return threads.stats().standbys
}

test('names how an actor has ended, and what of', async () => {
  await using threads = openThreads()
  const ways = [
    ['exit', 0],
    ['exit', 3],
    ['throwInTimer', null],
    ['reject', null],
    ['throwNull', null],
  ] as const
  const exits = await Promise.all(ways.map(async ([type, body], index) => hit(await up(threads, `a${index}`), type, body)))
  expect(exits.map(({ exit, detail }) => `${exit}: ${detail}`)).toEqual([
    'normal: it called process.exit(0)',
    'crash: it called process.exit(3)',
    'crash: Error: out of the blue',
    'crash: Error: nobody cared',
    'crash: Error: Thrown: null',
  ])
})

test('keeps for people what the actor did last', async () => {
  await using threads = openThreads()
  const child = await up(threads, 'a', { version: '7', memory: { soft: 2 ** 28, hard: 2 ** 30, poll: 5 } })
  for (const type of ['echo', 'echo', 'echo', 'fail', 'echo']) await turn(child, type)
  const { record } = await hit(child, 'throwInTimer')
  const past = { source: 'message', id: expect.stringMatching(/^message-/) }
  expect(JSON.parse(JSON.stringify(record))).toEqual({
    ...{ team: 'team', id: 'a', version: '7', incarnation: 1, exit: 'crash', detail: 'Error: out of the blue' },
    error: { name: 'Error', message: 'out of the blue', code: 'E_BLUE', stack: expect.stringContaining('wild.ts') },
    turns: [
      { ...past, type: 'echo', outcome: 'done' },
      { ...past, type: 'echo', outcome: 'done' },
      { ...past, type: 'fail', outcome: 'threw' },
      { ...past, type: 'echo', outcome: 'done' },
      { ...past, type: 'throwInTimer', outcome: 'running' },
    ],
    heap: { total: expect.any(Number), used: expect.any(Number), external: expect.any(Number) },
    at: expect.any(Number),
    after: expect.any(Number),
  })
})

test('blames for an end what ran, and not what was handed to the thread behind it', async () => {
  await using threads = openThreads()
  const child = await up(threads, 'a')
  const hand = (types: readonly string[]) => {
    for (const [index, type] of types.entries()) {
      const given = {
        id: String(index),
        type,
        body: 'null',
        from: 'tester',
        attempt: 1,
        priority: 'normal',
        ...(index > 0 && { after: index }),
      } as const
      child.post({ kind: 'turn', actor: 'a', turn: index + 1, source: 'message', ...given })
    }
  }
  hand(['echo', 'echo', 'throwInTimer', ...Array(6).fill('echo')])
  const { record } = await child.exited
  expect([record.turns.map(({ id, outcome }) => `${id} ${outcome}`), child.stats().turns]).toEqual([['0 done', '1 done', '2 running'], 3])
})

test('a stop is a shutdown, whatever the actor throws in it; the first reason counts', async () => {
  await using threads = openThreads()
  const [a, b, c] = await Promise.all([up(threads, 'a'), up(threads, 'b', { act: { stop: 'throw' } }), up(threads, 'c')])
  for (const child of [a, b]) child.stop()
  a.stop()
  c.kill({ exit: 'hung', detail: 'its turn took too long' })
  c.kill()
  const ends = await Promise.all([a, b, c].map(({ exited }) => exited))
  expect(ends.map(({ exit, detail }) => [exit, detail])).toEqual([
    ['shutdown', 'stopped'],
    ['shutdown', 'stopped, but its stop failed: cannot close'],
    ['hung', 'its turn took too long'],
  ])
})

test('what cannot load is told, and its thread ends', async () => {
  await using threads = openThreads()
  const start = async (...args: Parameters<typeof agent>) => {
    const child = threads.start(agent(...args), 1)
    const error = await child.load(given).catch((thrown) => thrown)
    const { exit, detail } = await child.exited
    return { code: error.code, message: error.message, exit, detail }
  }
  const results = await Promise.all([
    start('a', { act: { init: 'throw' } }),
    start('b', { act: { init: 'exit' } }),
    start('c', { file: sample('broken/nothing') }),
  ])
  expect(results).toEqual([
    { code: 'START_FAILED', message: 'init of "a" failed: no luck', exit: 'start_failed', detail: 'init of "a" failed: no luck' },
    {
      code: 'START_FAILED',
      message: '"b" did not start: it called process.exit(4)',
      exit: 'start_failed',
      detail: 'it called process.exit(4)',
    },
    { code: 'MODULE_INVALID', message: expect.stringContaining('no default export'), exit: 'start_failed', detail: expect.any(String) },
  ])
})

test('no line of log is lost when an actor crashes', async () => {
  await using threads = openThreads()
  const ways = ['throw', 'reject', 'exit']
  const children = await Promise.all(ways.map((id) => up(threads, id, { file: sample('noisy') })))
  await Promise.all(children.map((child) => hit(child, 'crash', child.spec.id)))
  const printed = ways.map((id) =>
    threads.lines.filter(({ actor, msg }) => actor === id && String(msg).startsWith('line ')).map(({ msg }) => msg),
  )
  const all = Array.from({ length: 1_000 }, (_, line) => `line ${line}`)
  expect(printed).toEqual([all, all, all])
})

test('what goes past the shell to the standard streams is logged as well', async () => {
  await using threads = openThreads()
  const child = await up(threads, 'a')
  await turn(child, 'printRaw', 'from native code')
  await hit(child, 'exit', 3)
  expect(threads.lines).toEqual([{ level: 50, time: expect.any(Number), thread: child.thread, msg: 'from native code' }])
})

test('what an actor posts past the shell is ignored', async () => {
  await using threads = openThreads()
  const child = await up(threads, 'a')
  for (const junk of ['hello', { kind: 'up' }, [null], [{}]]) await turn(child, 'post', junk)
  expect([(await turn(child, 'echo', 1)).kind, threads.lines.length, threads.lines[0]]).toEqual([
    'done',
    4,
    { level: 40, time: expect.any(Number), thread: child.thread, msg: expect.stringContaining('none of ours') },
  ])
})

test('an actor sees nothing of the environment but what it needs', async () => {
  process.env.SUPABASE_SERVICE_KEY = 'secret'
  await using threads = openThreads()
  const outcome = await turn(await up(threads, 'a'), 'env')
  const names = outcome.kind === 'done' ? Object.keys(JSON.parse(outcome.reply)) : []
  expect(names.filter((name) => !['NODE_COMPILE_CACHE', 'NODE_ENV', 'TZ', 'LANG'].includes(name))).toEqual([])
})

test('a thread that stands by takes the place of one that crashed, and another one stands by', async () => {
  await using threads = openThreads({ standbys: 1 })
  const first = await up(threads, 'a')
  const [standby] = await standbysOf(threads)
  await hit(first, 'exit', 3)
  const second = threads.start(agent('a'), 2)
  await second.load(given)
  const [next] = await standbysOf(threads)
  const other = threads.start(agent('b', { memory: { ...agent('b').memory, hard: 2 ** 29 } }), 1)
  expect([second.thread, next?.thread !== second.thread, other.thread !== next?.thread, threads.stats()]).toEqual([
    standby?.thread,
    true,
    true,
    { children: 2, standbys: [{ thread: next?.thread, isUp: expect.any(Boolean) }], zombies: 0 },
  ])
})

test('closing ends every thread, and nothing starts any more', async () => {
  const threads = openThreads({ standbys: 1 })
  const child = await up(threads, 'a')
  await turn(child, 'echo')
  await threads.close()
  expect([(await child.exited).exit, threads.stats()]).toEqual(['shutdown', { children: 0, standbys: [], zombies: 0 }])
  expect(() => launchIn(threads)(agent('b'), 1)).toThrow('closed')
})

test('a thread that stood by and does not end in time is counted until it does', async () => {
  const threads = openThreads({ standbys: 1, zombieAfter: 0 })
  const child = await up(threads, 'a')
  const ids = [child.thread, (await standbysOf(threads))[0]?.thread]
  const closed = threads.close()
  // Their time is over before anybody can see that they have ended.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50)
  await closed
  const reaped = await Promise.all(ids.map((id) => threads.journal.until((event) => event.name === 'thread:reaped' && event.thread === id)))
  const counts = reaped.map((event) => 'zombies' in event && event.zombies).sort()
  expect([counts, threads.stats().zombies]).toEqual([[0, 1], 0])
})
