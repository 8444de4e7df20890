import { existsSync, readFileSync } from 'node:fs'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import { ActorError } from '../../src/core/errors.ts'
import { nextEvent, tempFolder } from '../helpers.ts'
import { caller, flag, openPool } from './pool.ts'

test('runs a function of a file in a thread, which knows nothing of the host’s environment', async () => {
  process.env.TROUPE_TEST_SECRET = 'secret'
  await using pool = openPool()
  const before = pool.compute.stats()
  const values = await Promise.all([3, 4, 5].map((n) => pool.run('square', n)))
  const where = (await pool.run('where')) as { isMainThread: boolean; env: string[] }
  delete process.env.TROUPE_TEST_SECRET
  expect([before, values, where]).toEqual([
    { threads: 0, running: 0, waiting: 0, zombies: 0 },
    [9, 16, 25],
    { isMainThread: false, threadId: expect.any(Number), env: expect.not.arrayContaining(['TROUPE_TEST_SECRET', 'PATH']), execArgv: [] },
  ])
})

test.runIf(process.platform === 'linux')('its threads come after all others', async () => {
  await using pool = openPool({ threads: 1 })
  const own = Number(
    readFileSync('/proc/self/stat', 'utf8')
      .replace(/^.*\) /, '')
      .split(' ')[16],
  )
  expect(await pool.run('niceness')).toBe(Math.min(19, own + 10))
})

test('moves what is to be moved, to the task and back', async () => {
  await using pool = openPool({ threads: 1 })
  const values = new Float64Array([1, 2, 3])
  const copied = await pool.run('sum', values)
  const used = await pool.compute.use(caller, { task: taskOf('double'), input: values, transfer: [values.buffer] }, forever())
  const sizes = []
  for (const isMoved of [true, false]) {
    await pool.run('give', { isMoved })
    sizes.push(await pool.run('kept'))
  }
  expect([copied, used, values.byteLength, sizes]).toEqual([
    6,
    { value: new Float64Array([2, 4, 6]), transfer: [expect.any(ArrayBuffer)] },
    0,
    [0, 8_000],
  ])
  expect((used.value as Float64Array).buffer).toBe(used.transfer?.[0])
})

test('whatever a task does wrong is an error of its caller, and the next task runs', async () => {
  await using pool = openPool({ threads: 1 })
  const failures = []
  for (const task of ['fail', 'uncloneable', 'exit', 'notAFunction', 'missing']) failures.push(await pool.failure(task, 7))
  failures.push(await pool.failure('square', () => 1), await pool.failure('sum', 1, { transfer: [{}] }))
  expect([...failures, await pool.run('square', 2), pool.events]).toEqual([
    'COMPUTE_FAILED threw: The task tasks/sample.ts#fail threw RangeError: out of the blue',
    expect.stringMatching(/^COMPUTE_FAILED result: The task tasks\/sample.ts#uncloneable gave what cannot cross .*could not be cloned/),
    'COMPUTE_FAILED exit: The task tasks/sample.ts#exit ended its thread (exit code 7)',
    expect.stringMatching(/^COMPUTE_FAILED load: .* exports "notAFunction", which is no function; its functions are double, exit, /),
    expect.stringMatching(/^COMPUTE_FAILED load: .* exports no "missing"; /),
    expect.stringMatching(/^COMPUTE_FAILED input: The task tasks\/sample.ts#square was given what cannot cross .*could not be cloned/),
    expect.stringMatching(/^COMPUTE_FAILED \w+: The task tasks\/sample.ts#sum /),
    4,
    [{ name: 'task:killed', team: 'team', id: 'a', task: 'tasks/sample.ts#exit', reason: 'exit', error: expect.any(String) }],
  ])
})

test('an error that a task throws crosses with its name, code, stack and cause', async () => {
  await using pool = openPool()
  const error: unknown = await pool.run('fail').catch((thrown: unknown) => thrown)
  if (!(error instanceof ActorError)) throw error
  const { name, code, stack, cause } = error.cause as NodeJS.ErrnoException
  expect({ name, code, stack, cause: (cause as Error).message }).toEqual({
    name: 'RangeError',
    code: 'E_BLUE',
    stack: expect.stringMatching(/tasks\/sample\.ts:\d+/),
    cause: 'the sky',
  })
})

test('ends a task at its deadline or at its caller’s wish, also one that waits; the next one gets a thread', async () => {
  await using pool = openPool({ threads: 1, timeout: 30_000 })
  await pool.run('square', 1)
  const late = [await pool.failure('silent', null, { timeout: 50 }), await pool.failure('mute', null, { timeout: 50 })]
  const { shared, raised } = flag()
  const [running, waiting] = [new AbortController(), new AbortController()]
  const ends = [pool.failure('spin', shared, { signal: running.signal }), pool.failure('square', 2, { signal: waiting.signal })]
  const next = pool.run('square', 3)
  await raised()
  waiting.abort()
  const second = await ends[1]
  const { running: busy, waiting: left } = pool.compute.stats()
  running.abort()
  expect([late, await ends[0], second, busy, left, await next, await pool.failure('square', 4, { signal: AbortSignal.abort() })]).toEqual([
    ['silent', 'mute'].map((task) => `COMPUTE_FAILED timeout: The task tasks/sample.ts#${task} took longer than 50 ms`),
    'COMPUTE_FAILED aborted: The task tasks/sample.ts#spin was given up by its caller',
    'COMPUTE_FAILED aborted: The task tasks/sample.ts#square was given up by its caller',
    1,
    1,
    9,
    'COMPUTE_FAILED aborted: The task tasks/sample.ts#square was given up by its caller',
  ])
})

test('refuses a task when too many wait, and says how many', async () => {
  await using pool = openPool({ threads: 1, queue: 2 })
  const { shared, raised } = flag()
  const stop = new AbortController()
  const spinning = pool.failure('spin', shared, { signal: stop.signal })
  await raised()
  const waiting = [1, 2].map((n) => pool.run('square', n))
  const refused = await pool.failure('square', 3)
  stop.abort()
  expect([refused, await Promise.all(waiting), await spinning]).toEqual([
    'COMPUTE_FAILED full: The task tasks/sample.ts#square is refused: 2 tasks wait for 1 threads already',
    [1, 4],
    expect.stringContaining('given up'),
  ])
})

test('runs nothing but files of the actors', async () => {
  await using pool = openPool()
  const urls = [
    'nonsense',
    'data:text/javascript,export const f = 1#f',
    'file:///etc/hostname#f',
    taskOf('square').replace('#square', ''),
    taskOf('square').replace('tasks/', '../services-too/'),
    taskOf('square').replace('tasks/', 'node_modules/'),
  ]
  const refusals = await Promise.all(
    [...urls.map((task) => ({ task })), { task: 1 }, null, { task: taskOf('square'), timeout: -1 }].map((given) =>
      pool.compute.use(caller, given, forever()).catch(({ code, details }) => `${code} ${details.reason}`),
    ),
  )
  const missing = await pool.compute
    .use(caller, { task: taskOf('square').replace('sample', 'gone') }, forever())
    .catch(({ message, details }) => `${details.reason}: ${message}`)
  expect([new Set(refusals), missing]).toEqual([
    new Set(['COMPUTE_FAILED refused']),
    expect.stringMatching(/^load: The task tasks\/gone\.ts#square cannot be loaded: .*Cannot find module/),
  ])
})

test('finds copies of code also behind a link, and refuses what is linked beside them', async () => {
  await using folder = await tempFolder()
  const copy = join(folder.path, 'code/0123456789abcdef/actors/lib')
  await mkdir(copy, { recursive: true })
  await writeFile(join(copy, 'detect.ts'), 'export const score = (n: number) => n + 1\n')
  await symlink(join(import.meta.dirname, 'tasks'), join(folder.path, 'code/src'))
  await symlink(join(folder.path, 'code'), join(folder.path, 'linked'))
  await using pool = openPool({ code: join(folder.path, 'linked') })
  async function use(path: string, name: string) {
    const task = `${pathToFileURL(join(folder.path, path))}#${name}`
    return await pool.compute.use(caller, { task, input: 1 }, forever()).catch(({ message }) => message)
  }
  expect([
    await use('code/0123456789abcdef/actors/lib/detect.ts', 'score'),
    await use('code/src/sample.ts', 'square'),
    await use('linked/../code/0123456789abcdef/actors/lib/detect.ts', 'constructor'),
  ]).toEqual([
    { value: 2, transfer: [] },
    expect.stringContaining('is not a file of the actors'),
    expect.stringContaining('actors/lib/detect.ts#constructor cannot be loaded'),
  ])
})

test('what a task prints is in the log, with the agent that asked for it', async () => {
  await using pool = openPool()
  await pool.run('say', 'hello')
  expect(pool.lines.map((line) => JSON.parse(line))).toEqual([{ level: 30, time: expect.any(Number), actor: 'a', msg: 'hello' }])
})

test('a thread ends when there is nothing to do, and with what was left running in it', async () => {
  await using pool = openPool({ threads: 1, idle: 20 })
  await pool.run('leave')
  await until(() => pool.compute.stats().threads === 0)
  expect(await pool.run('square', 5)).toBe(25)
  await until(() => pool.compute.stats().threads === 0)
})

test('a thread that cannot be ended is announced, and close does not wait for it', async () => {
  await using folder = await tempFolder()
  const file = join(folder.path, 'asleep')
  const pool = openPool({ threads: 1, zombieAfter: 1_000 })
  const stuck = nextEvent(pool.ears, 'task:stuck', { timeout: 20_000 })
  const reaped = nextEvent(pool.ears, 'thread:reaped', { timeout: 20_000 })
  const stop = new AbortController()
  const sleeping = pool.failure('sleep', file, { signal: stop.signal })
  await until(() => existsSync(file))
  stop.abort()
  const seen = [await sleeping, await pool.run('square', 7), (await stuck).task, (await stuck).zombies]
  await pool.compute.close()
  expect([...seen, (await reaped).zombies]).toEqual([
    'COMPUTE_FAILED aborted: The task tasks/sample.ts#sleep was given up by its caller',
    49,
    'tasks/sample.ts#sleep',
    1,
    0,
  ])
})

test('close ends what runs and what waits, and takes nothing more', async () => {
  const pool = openPool({ threads: 1 })
  const { shared, raised } = flag()
  const ends = [pool.failure('spin', shared), pool.failure('square', 1)]
  await raised()
  await Promise.all([pool.compute.close(), pool.compute.close()])
  expect([await Promise.all(ends), await pool.failure('square', 2), pool.compute.stats()]).toEqual([
    [expect.stringMatching(/^STOPPED .*spin is ended/), expect.stringMatching(/^STOPPED .*square is ended/)],
    expect.stringMatching(/^STOPPED .* is not run/),
    { threads: 0, running: 0, waiting: 0, zombies: 0 },
  ])
})

test('a task that takes too much memory is ended, and the process is not', async () => {
  await using pool = openPool({ threads: 1, memory: 32 * 2 ** 20 })
  const killed = nextEvent(pool.ears, 'task:killed', { timeout: 30_000 })
  const failure = await pool.failure('grow', 'array')
  expect([failure, (await killed).reason, await pool.run('square', 6)]).toEqual([
    expect.stringMatching(
      /^COMPUTE_FAILED out_of_memory: The task tasks\/sample.ts#grow (took too much memory: it held \d+ MB|needed more than)/,
    ),
    'out_of_memory',
    36,
  ])
})

function taskOf(name: string): string {
  return new URL(`./tasks/sample.ts#${name}`, import.meta.url).href
}

function forever(): AbortSignal {
  return new AbortController().signal
}

async function until(holds: () => boolean): Promise<void> {
  const limit = AbortSignal.timeout(20_000)
  while (!holds()) await setTimeout(5, undefined, { signal: limit })
}
