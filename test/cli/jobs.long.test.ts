import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeDatabase } from '../embedded-folder.ts'
import { openProject, type Project } from './project.ts'

const actor = `import { ActorError, defineActor } from 'troupe/actor'

export default defineActor({
  jobs: { draw: true, write: true, pay: true },
  run: {
    draw(input) {
      if (input.of === undefined) throw new Error('no pen')
      return { summary: 'A drawing of ' + input.of, strokes: 7 }
    },
    write: () => 'Dear all,\\n\\u001b[2Jhello',
    pay() {
      throw new ActorError('BLOCKED', 'no key', { details: { reason: 'no key' } })
    },
  },
})
`

let project: Project
beforeAll(async () => {
  project = await openProject()
  await makeDatabase('.troupe')
  await project.write('actors/artist.ts', actor)
  await project.configure('teams: [{ id: studio, agents: [{ id: artist, type: artist }, { id: payer, type: artist }] }]')
})
afterAll(() => project?.[Symbol.asyncDispose]())

const jobs = (...args: readonly string[]) => project.run('jobs', ...args)
const add = async (...args: readonly string[]) => (await project.ask<{ id: string }>('jobs', 'add', ...args)).id
const waiting = async (id: string) => (await project.ask<{ job: { waitsFor: string } }>('jobs', 'show', id)).job.waitsFor

test('a job is followed from its start to its result', { timeout: 240_000 }, async () => {
  const early = await add('draw', '{"of": "rain"}')
  expect(await waiting(early)).toBe('an agent that takes draw: no team runs in .troupe (npm start)')
  const patient = project.spawn(['jobs', 'add', 'draw', '{"of": "snow"}', '--dedupe-key', 'snow', '--wait'])
  await expect.poll(async () => (await project.ask<{ jobs: object[] }>('jobs', 'list')).jobs.length, { timeout: 60_000 }).toBe(2)
  // The one who waits leaves the store to the team.
  const team = project.start({ LOG_LEVEL: 'debug' })
  await Promise.all(['artist', 'payer'].map((agent) => team.event('child:started', { agent })))
  expect((await project.run('ps')).out).toContain(' served at ')
  expect(await patient).toEqual({
    code: 0,
    out: '{\n  "strokes": 7,\n  "summary": "A drawing of snow"\n}\n',
    err: expect.stringMatching(/^added [0-9a-f-]{36}\nFollow it: troupe jobs show [0-9a-f]{8}\n/),
  })

  const text = await jobs('add', 'write', '--wait')
  const failed = await jobs('add', 'draw', '{}', '--wait', '--max-attempts', '1')
  const json = await project.ask('jobs', 'add', 'draw', '{"of": "snow"}', '--wait')
  const odd = await jobs('add', 'sing', '--wait', '--timeout', '2500ms')
  expect([text.code, text.out, failed.code, failed.out, failed.err.split('\n').at(-2)]).toEqual([
    ...[0, 'Dear all,\n\u001b[2Jhello\n'],
    ...[1, '', expect.stringMatching(/^The job failed: .*: no pen$/)],
  ])
  expect(json).toMatchObject({ isNew: true, status: 'completed', result: { strokes: 7 }, error: null })
  expect([odd.code, odd.out]).toEqual([1, ''])
  expect(odd.err).toMatch(
    /It waits for an agent that takes sing: none of those that run here does\nThe job has not ended within 3 s, and goes on/,
  )

  const [show, alone] = [await jobs('show', early.slice(0, 8)), await jobs('show', early, '--result')]
  expect(show.out).toMatch(/^draw\nid +.*\nstatus +completed by (?:artist|payer) .*\nmade by +outside, /)
  expect([show.out.endsWith('\nResult\nA drawing of rain\n\n{\n  "strokes": 7\n}\n'), JSON.parse(alone.out)]).toEqual([
    true,
    { summary: 'A drawing of rain', strokes: 7 },
  ])

  const paid = await add('pay', '--target', 'payer')
  await team.event('agent:blocked', { agent: 'payer' })
  await expect.poll(() => waiting(paid), { timeout: 60_000 }).toBe('its target payer, which is blocked: no key')
  await project.run('pause', 'payer')
  expect(await waiting(paid)).toBe('its target payer, which is paused, until: troupe resume payer')
  expect((await jobs('list', '--status', 'pending')).out).toMatch(/ sing .* an agent that takes sing: none of those that run here does\s/)

  const refused = [
    await jobs('show'),
    await jobs('show', 'rain'),
    await jobs('show', '00000000-0000-4000-8000-000000000000'),
    await jobs('show', paid, '--result'),
    await jobs('add', 'draw', '--timeout', '1s'),
  ]
  expect(refused.map(({ code, out, err }) => [code, out, err.trim()])).toEqual([
    [2, '', 'error jobs show: the id is missing; troupe jobs list shows them'],
    [2, '', expect.stringContaining('expected an id, or 4 or more signs of its beginning')],
    [1, '', 'There is no job 00000000-0000-4000-8000-000000000000.'],
    [1, '', expect.stringContaining('is pending and has no result')],
    [2, '', 'error jobs add: --timeout is for --wait'],
  ])
  expect(await team.end('SIGTERM')).toBe(0)
})
