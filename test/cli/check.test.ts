import { afterAll, beforeAll, expect, test } from 'vitest'
import { openProject, type Project } from './project.ts'

let project: Project

beforeAll(async () => {
  project = await openProject()
})

afterAll(() => project?.[Symbol.asyncDispose]())

const good = `
teams:
  - id: office
    agents:
      - { id: clerk, type: clerk, replicas: 2 }
`

test('a config that is fine: what each type handles, and what a start would start', async () => {
  await project.configure(good)
  const check = await project.spawn(['check'])
  const [json, plan] = [await project.ask<{ types: unknown[] }>('check'), await project.ask('plan')]
  expect(check).toEqual({
    code: 0,
    out: `clerk  actors/clerk.ts  clerk-1, clerk-2
  messages add, work, refuse, news, crash
  jobs     write_card
  its state is saved with each turn
config/troupe.yaml is fine: 2 agents of 1 types
`,
    err: '',
  })
  expect(json).toEqual({
    config: 'config/troupe.yaml',
    isFine: true,
    faults: [],
    types: [expect.objectContaining({ type: 'clerk', agents: ['clerk-1', 'clerk-2'], jobs: { write_card: null }, persist: true })],
  })
  expect(plan).toEqual({ plans: [{ teams: [{ team: 'office', stop: [], start: ['clerk-1', 'clerk-2'], change: [] }] }] })
})

test('everything that is wrong is told at once, with exit code 2', async () => {
  await Promise.all([
    project.configure(`${good}      - { id: x, type: scaner }\n      - { id: y, type: broken }\n`),
    project.write(
      'actors/broken.ts',
      "import { defineActor } from 'troupe/actor'\n\nexport default defineActor({ receive: { scan: 'soon' } as never })\n",
    ),
    project.write('actors/unused.ts', "// nobody runs it\n\nthrow new RangeError('at the top level')\n"),
  ])
  const [check, json] = [await project.run('check'), await project.run('check', '--json')]
  const { isFine, faults, types } = JSON.parse(json.out)
  expect([check.code, json.code, isFine, types.map(({ type, isFine: fine }: { type: string; isFine: boolean }) => [type, fine])]).toEqual([
    2,
    2,
    false,
    [
      ['broken', false],
      ['clerk', true],
      ['unused', false],
    ],
  ])
  expect(faults).toEqual([
    'config/troupe.yaml:6:24: there is no actor file for "scaner": expected actors/scaner.ts, found broken, clerk, unused',
    'actors/broken.ts is not an actor file: receive.scan is string (soon), expected a function',
    'actors/unused.ts cannot be loaded: at the top level (actors/unused.ts:3)',
  ])
  expect(check.err.split('\n').filter((line) => line.startsWith('fault '))).toHaveLength(3)
})

test('a typo in the config is told by line, beside the faults of actor files', async () => {
  await project.configure(good.replace('replicas', 'replicass'))
  const { code, err } = await project.run('check')
  expect([code, err]).toEqual([
    2,
    expect.stringMatching(/^fault config\/troupe\.yaml:5:\d+: teams\[0\]\.agents\[0\]\.replicass: no such setting/),
  ])
  expect(err).toContain('fault actors/unused.ts cannot be loaded')
})

test('a config that is not there is one fault, beside those of actor files', async () => {
  const { code, err } = await project.run('check', '--config', 'none.yaml')
  expect([code, err.split('\n').filter((line) => line.startsWith('fault '))]).toEqual([
    2,
    [
      'fault Cannot read the config file none.yaml: name another with --config or TROUPE_CONFIG',
      expect.stringMatching(/^fault actors\/broken\.ts /),
      expect.stringMatching(/^fault actors\/unused\.ts /),
    ],
  ])
})
