import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { tempFolder } from '../helpers.ts'
import { agent, hit, openThreads, turn } from './hosted.ts'

const given = { state: null, sql: [] }
const hangAfter = 500

test.each(['spin', 'microtasks', 'wait'])(
  'an actor whose event loop is blocked is ended as hung, and its neighbour answers: %s',
  async (way) => {
    await using threads = openThreads()
    const [child, neighbour] = ['a', 'b'].map((id) => threads.start(agent(id, { hangAfter }), 1))
    if (!child || !neighbour) throw new Error('two were started')
    await Promise.all([child, neighbour].map((one) => one.load(given)))
    const { exit, detail } = await hit(child, way)
    expect([exit, detail, await turn(neighbour, 'echo', way)]).toEqual([
      'hung',
      expect.stringMatching(/^its event loop was blocked for \d+ ms$/),
      expect.objectContaining({ reply: `"${way}"` }),
    ])
  },
)

test('an actor that blocks while it starts is left to the start timeout', async () => {
  await using threads = openThreads()
  const [starting, running] = ['a', 'b'].map((id, index) =>
    threads.start(agent(id, { hangAfter, act: index === 0 ? { init: 'block' } : {} }), 1),
  )
  if (!starting || !running) throw new Error('two were started')
  const failure = starting.load(given).catch((error) => error)
  await running.load(given)
  await hit(running, 'spin')
  starting.kill({ exit: 'start_timeout', detail: 'it took too long' })
  expect([(await starting.exited).exit, await failure]).toEqual(['start_timeout', expect.objectContaining({ code: 'START_FAILED' })])
})

test('DECISIONS 16: an actor that only waits is not hung', async () => {
  await using threads = openThreads()
  const [waiting, blocked] = ['a', 'b'].map((id) => threads.start(agent(id, { hangAfter }), 1))
  if (!waiting || !blocked) throw new Error('two were started')
  await Promise.all([waiting, blocked].map((one) => one.load(given)))
  void turn(waiting, 'stuck')
  await hit(blocked, 'spin')
  waiting.stop()
  waiting.kill()
  expect((await waiting.exited).exit).toBe('crash')
})

test('a thread that cannot be ended is given up, and no longer counts once it has ended', async () => {
  await using threads = openThreads({ zombieAfter: 100 })
  const { journal } = threads
  const child = threads.start(agent('a', { hangAfter: 200 }), 1)
  await child.load(given)
  const { exit, detail } = await hit(child, 'native')
  const zombie = await journal.until(({ name }) => name === 'thread:zombie')
  expect([exit, detail, zombie, threads.stats().zombies]).toEqual([
    'hung',
    expect.stringMatching(/^its event loop was blocked for \d+ ms; its thread cannot be ended and is given up$/),
    { name: 'thread:zombie', team: 'team', id: 'a', incarnation: 1, thread: child.thread, zombies: 1 },
    1,
  ])
  await journal.until(({ name }) => name === 'thread:reaped')
  expect(threads.stats().zombies).toBe(0)
})

test('the actor of a zombie is replaced, the process is not ready any more, and ends all the same', async () => {
  await using folder = await tempFolder()
  const host = spawn(process.execPath, [fileURLToPath(new URL('zombie-host.ts', import.meta.url)), folder.path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [output, [code, signal]] = await Promise.all([text(host.stdout), once(host, 'exit')])
  expect([JSON.parse(output), code, signal]).toEqual([
    {
      wasReady: true,
      reply: 'again',
      isReady: false,
      reasons: [expect.stringMatching(/^1 threads? cannot be ended: replace this process$/)],
      zombies: 1,
    },
    null,
    'SIGKILL',
  ])
})
