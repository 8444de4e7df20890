import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeDatabase } from '../embedded-folder.ts'
import { openProject, type Project, type Team } from './project.ts'

// One store, and two processes on it as in terminals with AGENT_MODE; the tests go through a team's life in order.
const config = `
teams:
  - id: office
    agents:
      - { id: clerk, type: clerk, replicas: 2 }
      - { id: lame, type: clerk, args: { isLame: true }, budget: 1 }
`
const env = { AGENT_MODE: 'clerk', LOG_LEVEL: 'debug' }

const someId = '6f9619ff-8b86-4011-b42d-00c04fc964ff'

let project: Project
let first: Team
let second: Team

beforeAll(async () => {
  project = await openProject()
  await Promise.all([project.configure(config), makeDatabase('.troupe')])
})

afterAll(() => project?.[Symbol.asyncDispose]())

const troupe = (...args: readonly string[]) => project.run(...args)

type Agent = { readonly id: string; readonly status: string; readonly pid: number; readonly standbys: readonly number[] }
const agents = async () =>
  (await project.ask<{ agents: Agent[] }>('ps')).agents.map(({ id, status, pid, standbys }) => [id, status, pid, standbys])

describe('without a team', () => {
  test('a message waits in the store, and what needs a team says how to start one', async () => {
    const sent = await troupe('send', 'clerk-1', 'add', '2')
    const others = [
      await troupe('ps'),
      await troupe('send', 'clerk-1', 'add', '2', '--ask'),
      await troupe('why', 'x'),
      await troupe('reload'),
    ]
    expect({ ...sent, out: sent.out.replace(/[0-9a-f-]{36}/, 'ID') }).toEqual({
      code: 0,
      out: `sent ID to clerk-1
No team runs in .troupe: the message waits in the store for the next start (npm start).
Agent not registered: nobody is called "clerk-1" so far; the message waits until it expires.
`,
      err: '',
    })
    expect(others).toEqual(Array(4).fill({ code: 1, out: '', err: 'error No team runs in .troupe: npm start, or --folder\n' }))
  })
})

describe('with a team of two processes', () => {
  beforeAll(async () => {
    first = project.start(env)
    await Promise.all([first.event('child:started', { agent: 'clerk-1' }), first.event('child:quarantined', { agent: 'lame' })])
    second = project.start(env)
    await second.event('child:started', { agent: 'clerk-2' })
  })

  test('ps shows the agents of both, and where they run', async () => {
    const { code, out } = await project.spawn(['ps'])
    expect([code, await agents()]).toEqual([
      0,
      [
        ['clerk-1', 'running', first.pid, [second.pid]],
        ['clerk-2', 'running', second.pid, [first.pid]],
        ['lame', 'quarantined', first.pid, [second.pid]],
      ],
    ])
    expect(out).toMatch(/^team +id +type +status +incarnation +mailbox +MB +process +says\n/)
    expect(out).toContain(`process ${first.pid}  store embedded: .troupe, served at `)
    expect(out).toMatch(/not ready: .*lame\n/)
  })

  test('an agent is asked wherever it runs, and has what was sent before the start', async () => {
    const here = await troupe('send', 'clerk-1', 'add', '3', '--ask')
    const there = await project.spawn(['send', 'clerk-2', 'add', '-', '--ask', '--json'], '4')
    const named = await project.ask<{ id: string }>('send', 'clerk-1', 'work', '"paper"', '--id', someId)
    const nobody = await troupe('send', 'clrk-1', 'add', '1', '--expires-in', '1h')
    expect([here.out, there.out, named.id]).toEqual(['{\n  "sum": 5\n}\n', '{"reply":{"sum":4}}\n', someId])
    expect(nobody).toEqual({
      code: 0,
      out: expect.stringContaining(
        'Agent not registered: nobody is called "clrk-1" so far; the message waits until it expires; did you mean clerk-1?',
      ),
      err: '',
    })
  })

  test('a broadcast goes to all that are registered', async () => {
    const { deliveries } = await project.ask<{ deliveries: { agent: string }[] }>('send', '--broadcast', 'news')
    expect(deliveries.map(({ agent }) => agent).sort()).toEqual(['clerk-1', 'clerk-2', 'lame'])
  })

  test.each([
    [['send', 'clerk-1', 'add', '{sum: 1}'], 2, 'The body is not JSON: unexpected "sum: 1}" after "{" (character 2)'],
    [
      ['send', 'clerk-1', 'add', 'paper'],
      2,
      `hint: a text is JSON in double quotes, which the shell takes away unless it is told: '"paper"'`,
    ],
    [['send', 'clerk-1', 'add', '--delay', 'soon'], 2, '--delay: expected a duration like 200ms, 5s, 2m or 1h, found "soon"'],
    [['send', 'clerk-1', 'nothing', '--ask'], 1, 'clerk-1 has no handler for messages of type "nothing"'],
    [
      ['why', 'lam'],
      1,
      'Agent not registered: there is no "lam" in the running team, only clerk-1, clerk-2, lame\nhint: did you mean lame?',
    ],
    [['restart', 'lame'], 1, 'init of "lame" failed: no wings'],
    [['restart', 'clerk-2', '--last-good'], 2, '"clerk-2" has no version to go back to'],
    [['dead', 'drop', '--all'], 2, 'there is no terminal to ask on, pass --yes'],
    [['dead', 'replay', 'x'], 2, 'expected an id like'],
    [['jobs', 'cancel'], 2, 'expected ids (troupe jobs list shows them) or --all'],
  ])('%j is refused with exit code %i', async (args, code, message) => {
    const { err, ...rest } = await troupe(...args)
    expect({ ...rest, err }).toEqual({ code, out: '', err: expect.stringContaining(message) })
  })

  test('why says what an agent ended of', async () => {
    const [text, json] = [await troupe('why', 'lame'), await project.ask<Record<string, unknown>>('why', 'lame')]
    expect(text.out).toMatch(/last exit +start_failed: init of "lame" failed: no wings\n/)
    expect(text.out).toMatch(/RangeError: no wings\n +at Object\.init \(actors\/clerk\.ts:\d+:\d+\)\n/)
    expect(text.out.match(/ at /g)).toHaveLength(1) // the actor's own line, nothing of Troupe's
    expect(json).toMatchObject({
      id: 'lame',
      pid: first.pid,
      exits: expect.any(Number),
      exit: { exit: 'start_failed', error: { code: 'START_FAILED', cause: { name: 'RangeError', message: 'no wings' } } },
      manifest: { jobs: { write_card: null } },
    })
  })

  test('why says what an agent waits for', async () => {
    expect((await troupe('why', 'clerk-1')).out).toMatch(/says +blocked: paper\n/)
  })

  test('an agent is paused, resumed and restarted by the process that runs it', async () => {
    const pause = await troupe('pause', 'clerk-2')
    const down = await troupe('send', 'clerk-2', 'add', '1', '--ask')
    const [why, resume] = [await troupe('why', 'clerk-2'), await troupe('resume', 'clerk-2')]
    const restart = await project.ask<{ status: string; incarnation: number }>('restart', 'clerk-2')
    const after = await troupe('send', 'clerk-2', 'add', '1', '--ask')
    expect([pause.out, down.code, resume.out, restart.status, restart.incarnation, after.out]).toEqual([
      'clerk-2 is paused; troupe resume clerk-2\n',
      1,
      'clerk-2 is running\n',
      'running',
      3,
      '{\n  "sum": 5\n}\n',
    ])
    expect(why.out).toMatch(/status +paused for .*\n +somebody paused it; it goes on by: troupe resume clerk-2\n/)
  })

  test('a faulty config is refused, and a new agent is started', async () => {
    await project.configure(config.replace('replicas', 'replicass'))
    const [plan, faulty] = [await troupe('plan'), await troupe('reload')]
    await project.configure(`${config}      - { id: clerk-x, type: clerk }\n`)
    // The processes watch the file too, and may have been faster; it runs where its lease was taken first.
    const reload = await troupe('reload')
    await Promise.race([first, second].map((team) => team.event('child:started', { agent: 'clerk-x' })))
    const nothing = await troupe('plan')
    expect([plan.code, faulty.code, reload.code, nothing]).toEqual([
      2,
      2,
      0,
      {
        code: 0,
        out: [first.pid, second.pid]
          .sort()
          .map((pid) => `process ${pid}\nNothing would change.\n`)
          .join(''),
        err: '',
      },
    ])
    expect(faulty.err).toMatch(/troupe\.yaml:5:\d+: teams\[0\]\.agents\[0\]\.replicass: no such setting/)
  })

  test('a dead letter is listed, dropped, and brought back', async () => {
    const { id } = await project.ask<{ id: string }>('send', 'clerk-1', 'refuse')
    await first.event('message:dead', { handled: id })
    const list = () => project.ask<{ letters: { id: string; agent: string; reason: string }[] }>('dead', 'list', '--agent', 'clerk-1')
    const before = (await list()).letters.find((letter) => letter.id === id)
    const drop = await troupe('dead', 'drop', id)
    const left = (await list()).letters.filter((letter) => letter.id === id)
    const again = await troupe('dead', 'drop', someId)
    const dropped = await project.ask<{ letters: { id: string }[] }>('dead', 'list', '--dropped')
    const replay = await troupe('dead', 'replay', id)
    expect([before, drop, left, again.code, dropped.letters.map((letter) => letter.id), replay]).toEqual([
      expect.objectContaining({ agent: 'clerk-1', reason: 'fatal' }),
      { code: 0, out: `1 dead letter dropped.\nTo undo it: troupe dead replay ${id} --agent clerk-1\n`, err: '' },
      [],
      1,
      [id],
      { code: 0, out: '1 dead letter replayed.\n', err: '' },
    ])
  })

  test('who sends what an agent has no handler for is told so at once', async () => {
    const sent = await troupe('send', 'clerk-1', 'ad', '2')
    expect([sent.code, sent.out.split('\n').slice(1)]).toEqual([
      0,
      ['"clerk-1" has no handler for messages of type "ad", which will be a dead letter: it has add, work, refuse, news, crash.', ''],
    ])
    expect((await troupe('send', 'clerk-1', 'news')).out).toMatch(/^sent \S+ to clerk-1\n$/)
  })

  test('dead letters are dropped together and brought back together; a filter that fits none says what there is', async () => {
    for (const _ of [1, 2]) {
      const { id } = await project.ask<{ id: string }>('send', 'clerk-2', 'refuse')
      await second.event('message:dead', { handled: id })
    }
    const typo = await troupe('dead', 'list', '--agent', 'clerk-2', '--reason', 'expried')
    const drop = await troupe('dead', 'drop', '--all', '--agent', 'clerk-2', '--yes')
    const replay = await troupe('dead', 'replay', '--all', '--dropped', '--agent', 'clerk-2', '--yes')
    const none = await troupe('dead', 'replay', '--all', '--dropped', '--yes')
    expect(typo.out).toMatch(
      /^There are no dead letters for "clerk-2" with the reason "expried"; there are some for .*clerk-2 \(fatal\).*\.\n$/,
    )
    expect([drop.out.split('\n'), replay.out, none]).toEqual([
      [
        '2 dead letters dropped.',
        'To undo it: troupe dead replay <id>… (troupe dead list --dropped shows the ids), or --all --dropped',
        '',
      ],
      '2 dead letters replayed.\n',
      { code: 0, out: 'No dead letters were dropped that are kept still.\n', err: '' },
    ])
  })

  test('a job is added, done, listed, cancelled and tried again', async () => {
    const { id } = await project.ask<{ id: string }>('jobs', 'add', 'write_card', '{"name": "you"}', '--target', 'clerk-1')
    const later = await project.ask<{ id: string }>('jobs', 'add', 'write_card', '--dedupe-key', 'k', '--delay', '1h')
    const twin = await troupe('jobs', 'add', 'write_card', '--dedupe-key', 'k')
    await first.event('turn:committed', { handled: id })
    const cancel = await troupe('jobs', 'cancel', '--all', '--yes')
    const retry = await project.ask<{ results: unknown[] }>('jobs', 'retry', later.id)
    // Whoever is free takes it.
    await Promise.any([first, second].map((team) => team.event('turn:committed', { handled: later.id })))
    const { jobs } = await project.ask<{ jobs: { id: string; status: string; result: unknown }[] }>('jobs', 'list')
    expect([twin.out, cancel.out, retry.results]).toEqual([
      `Job ${later.id} has this key and has not ended: nothing was added.\nFollow it: troupe jobs show ${later.id.slice(0, 8)}\n`,
      `1 job cancelled.\nTo undo it: troupe jobs retry ${later.id}\n`,
      [{ id: later.id, verdict: 'ok' }],
    ])
    expect(jobs.map((job) => [job.id, job.status, job.result])).toEqual([
      [later.id, 'completed', { card: 'To undefined' }],
      [id, 'completed', { card: 'To you' }],
    ])
  })

  test('what a killed process leaves behind is taken away, and a stop takes away its own', async () => {
    const run = join(project.path, '.troupe/run')
    await second.end('SIGKILL')
    const left = await readdir(run)
    const processes = (await project.ask<{ processes: { pid: number }[] }>('ps')).processes.map(({ pid }) => pid)
    const code = await first.end('SIGHUP')
    expect([left.length, processes, code, await readdir(run)]).toEqual([2, [first.pid], 0, []])
  })
})
