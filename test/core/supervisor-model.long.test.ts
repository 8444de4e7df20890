import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type ChildSpec, defaults, type Restart, type Strategy, type TeamSpec } from '../../src/core/spec.ts'
import type { Result } from '../../src/core/team.ts'
import { again, runs } from '../seed.ts'
import { Model, type Outcome } from './model.ts'
import { type Simulation, simulate } from './simulate.ts'
import { type Ask, add, apply, pause, remove, renew, restart, start, stop, terminate } from './specs.ts'

const ids = ['a', 'b', 'd', 'e']
const anyId = fc.constantFrom(...ids, 'z')
const anyRestart = fc.constantFrom<Restart>('permanent', 'permanent', 'transient', 'temporary')
const anyMember = fc.record({ id: anyId, version: fc.constantFrom('1', '1', '2'), restart: anyRestart })
const anyIntensity = fc.record({ max: fc.integer({ min: 0, max: 12 }), within: fc.constantFrom(500, 2_000, 20_000) })
const anyPolicy = fc.record({
  budget: fc.constantFrom(1, 2, 3, Number.POSITIVE_INFINITY),
  backoff: fc.record({
    first: fc.constantFrom(0, 100),
    max: fc.constantFrom(100, 1_000),
    jitter: fc.constantFrom(0, 0.2),
    reset: fc.constantFrom(300, 5_000, Number.POSITIVE_INFINITY),
  }),
  quarantine: fc.record({ first: fc.constantFrom(400, 1_000), max: fc.constant(3_000) }),
})
const anyOp = fc.oneof(
  {
    weight: 40,
    arbitrary: fc.record({ op: fc.constant('die' as const), at: fc.array(fc.nat(), { minLength: 1, maxLength: 2 }), clean: fc.boolean() }),
  },
  {
    weight: 25,
    arbitrary: fc.record({
      op: fc.constant('pass' as const),
      ms: fc.oneof(fc.integer({ min: 1, max: 400 }), fc.integer({ min: 1, max: 6_000 })),
    }),
  },
  {
    weight: 20,
    arbitrary: fc.record({
      op: fc.constant('script' as const),
      id: anyId,
      outcomes: fc.array(fc.constantFrom<Outcome>('fail', 'fail', 'ignore', 'ready'), { minLength: 1, maxLength: 4 }),
    }),
  },
  {
    weight: 45,
    arbitrary: fc.record({
      op: fc.constantFrom(
        'terminate' as const,
        'pause' as const,
        'restart' as const,
        'remove' as const,
        'renew' as const,
        'outdated' as const,
      ),
      id: anyId,
    }),
  },
  { weight: 10, arbitrary: fc.record({ op: fc.constant('add' as const), member: anyMember }) },
  {
    weight: 10,
    arbitrary: fc.record({
      op: fc.constant('apply' as const),
      members: fc.uniqueArray(anyMember, { selector: ({ id }) => id }),
      intensity: anyIntensity,
      held: fc.subarray(ids),
    }),
  },
  { weight: 10, arbitrary: fc.record({ op: fc.constant('noise' as const), id: anyId, kind: fc.nat(4) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('stop' as const) }) },
)
const anyStory = fc.record({
  strategy: fc.constantFrom<Strategy>('one_for_one', 'one_for_all', 'rest_for_one'),
  intensity: anyIntensity,
  members: fc
    .array(anyRestart, { minLength: 1, maxLength: 4 })
    .map((all) => all.map((each, index) => ({ id: ids[index] ?? 'a', version: '1', restart: each }))),
  policy: anyPolicy,
  random: fc.constantFrom(0, 0.5),
  boot: fc.array(fc.constantFrom<Outcome>(...Array.from({ length: 12 }, () => 'ready' as const), 'fail', 'ignore'), { maxLength: 4 }),
  ops: fc.array(anyOp, { maxLength: 30, size: 'max' }),
})

type Op = typeof anyOp extends fc.Arbitrary<infer T> ? T : never
type Story = typeof anyStory extends fc.Arbitrary<infer T> ? T : never

/** How often something came up: stories that leave it out by mistake would pass as well. */
const seen = new Map<string, number>()

test('98 whatever happens, the log of a team equals that of a plain model of the rules', { timeout: 120_000 }, () => {
  fc.assert(fc.property(anyStory, play), runs(10_000))
  const often = ['gave_up', 'shutdown', 'start_failed', 'quarantined', 'waiting', 'done', 'failed', 'ignored', 'restarting', 'planned']
  expect(
    often.filter((what) => (seen.get(what) ?? 0) < 100),
    again,
  ).toEqual([])
})

function play(story: Story): void {
  const spec: TeamSpec = {
    id: 'team',
    strategy: story.strategy,
    intensity: story.intensity,
    children: story.members.map((each) => specOf(story, each)),
  }
  const team = simulate(spec, { random: story.random, answersFirst: true })
  const model = new Model(spec, story.random)
  const both = (ask: Ask, expected: string) => expect(nameOf(team.ask(ask))).toBe(expected)
  story.boot.forEach((outcome, index) => {
    perform({ op: 'script', id: ids[index] ?? 'a', outcomes: [outcome] })
  })
  both(start, model.start())
  for (const op of story.ops) {
    perform(op)
    expect(snapshotOf(team)).toEqual({ log: model.log.splice(0).join(', '), list: model.list(), exit: model.exit, unanswered: [] })
    for (const { status } of team.team.children) count(status)
  }
  count(team.exit ?? 'alive')

  function perform(op: Op): void {
    switch (op.op) {
      case 'die': {
        const up = ids.concat('z').filter((id) => team.isAlive(id))
        const dying = [...new Set(op.at.flatMap((at) => up[at % up.length] ?? []))]
        if (dying.length > 0) team.die(dying.join(' '), op.clean ? 'normal' : 'crash')
        return model.die(dying, op.clean)
      }
      case 'pass':
        team.run(op.ms)
        return model.pass(op.ms)
      case 'script':
        team.script(op.id, ...op.outcomes.map((each) => ({ start: each })))
        return model.script(op.id, op.outcomes)
      case 'terminate':
        return both(terminate(op.id), model.terminate(op.id))
      case 'pause':
        return both(pause(op.id), model.pause(op.id))
      case 'restart':
        return both(restart(op.id), model.restart(op.id))
      case 'renew':
        return both(renew(op.id), model.renew(op.id))
      case 'outdated':
        team.signal({ kind: 'outdated', id: op.id })
        return model.outdated(op.id)
      case 'remove':
        return both(remove(op.id), model.remove(op.id))
      case 'add':
        return both(add(specOf(story, op.member)), model.add(specOf(story, op.member)))
      case 'apply': {
        const next = { ...spec, intensity: op.intensity, children: op.members.map((each) => specOf(story, each)) }
        // What is there is held or not; what joins may have been paused before it left.
        const there = model.kids.map((kid) => kid.spec.id)
        const held = [...model.held(), ...op.held.filter((id) => !there.includes(id))]
        return both(apply(next, held), model.apply(next, held))
      }
      case 'noise':
        return disturb(team, op)
      case 'stop':
        return both(stop, model.stop())
    }
  }
}

/** Sends what a supervisor has to make nothing of. */
function disturb(team: Simulation, { id, kind }: { id: string; kind: number }): void {
  const incarnation = (team.incarnation(id) ?? 0) - 1
  const before = team.team
  if (kind === 0) team.signal({ kind: 'exited', id, incarnation, exit: 'crash' })
  if (kind === 1) team.signal({ kind: 'ready', id, incarnation })
  if (kind === 2) team.signal({ kind: 'ready', id, incarnation: incarnation + 1 })
  if (kind === 3) team.signal({ kind: 'fired', id, at: team.now + 0.5 })
  if (kind === 4 && !team.isAlive(id)) team.signal({ kind: 'exited', id, incarnation: incarnation + 1, exit: 'crash' })
  expect(team.team).toEqual(before)
}

function snapshotOf(team: Simulation) {
  return { log: team.timed(), list: team.list(), exit: team.exit, unanswered: team.unanswered() }
}

function specOf({ policy }: Story, member: Pick<ChildSpec, 'id' | 'version' | 'restart'>): ChildSpec {
  return { ...defaults.child, ...policy, ...member }
}

function nameOf(result: Result | undefined): string {
  const name = result?.kind === 'refused' ? result.why : (result?.kind ?? 'no answer')
  count(name)
  return name
}

function count(what: string): void {
  seen.set(what, (seen.get(what) ?? 0) + 1)
}
