import fc from 'fast-check'
import { expect, test } from 'vitest'
import { defaults, type Restart, type Strategy, type TeamSpec } from '../../src/core/spec.ts'
import { isAlive } from '../../src/core/status.ts'
import { runs } from '../seed.ts'
import { type Part, type Simulation, simulate } from './simulate.ts'
import { type Ask, add, apply, pause, remove, renew, restart, start, stop, terminate } from './specs.ts'

const anyId = fc.constantFrom('a', 'b', 'd', 'e')
const anyMs = fc.constantFrom(0, 0, 1, 20, 150)
const anyPart: fc.Arbitrary<Part> = fc.record(
  {
    start: fc.constantFrom('ready', 'ready', 'ready', 'fail', 'ignore', 'hang'),
    beginIn: anyMs,
    startIn: anyMs,
    stopIn: fc.oneof(anyMs, fc.constant(Number.POSITIVE_INFINITY)),
    stopsWith: fc.constantFrom('shutdown', 'normal', 'crash'),
    crashIn: anyMs,
    killIn: anyMs,
  },
  { requiredKeys: [] },
)
const anyMember = fc.record({
  id: anyId,
  version: fc.constantFrom('1', '2'),
  restart: fc.constantFrom<Restart>('permanent', 'permanent', 'transient', 'temporary'),
})
const anyMembers = fc.uniqueArray(anyMember, { selector: ({ id }) => id })
const anyOp = fc.oneof(
  fc.record({ op: fc.constant('pass' as const), ms: fc.constantFrom(1, 10, 40, 100, 400) }),
  fc.record({ op: fc.constant('die' as const), id: anyId, exit: fc.constantFrom('crash' as const, 'normal' as const) }),
  fc.record({ op: fc.constant('script' as const), id: anyId, part: anyPart }),
  fc.record({
    op: fc.constantFrom('terminate' as const, 'pause' as const, 'restart' as const, 'remove' as const, 'renew' as const),
    id: anyId,
  }),
  fc.record({ op: fc.constant('outdated' as const), id: anyId }),
  fc.record({ op: fc.constant('add' as const), member: anyMember }),
  fc.record({ op: fc.constant('apply' as const), members: anyMembers, strategy: fc.constantFrom<Strategy>('one_for_one', 'one_for_all') }),
  fc.record({
    op: fc.constant('signal' as const),
    id: anyId,
    incarnation: fc.nat(4),
    kind: fc.constantFrom('ready' as const, 'ignored' as const),
  }),
)
const anyStory = fc.record({
  strategy: fc.constantFrom<Strategy>('one_for_one', 'one_for_all', 'rest_for_one'),
  max: fc.constantFrom(2, 1_000),
  members: anyMembers,
  policy: fc.record({
    shutdown: fc.constantFrom(0, 30, 200),
    startTimeout: fc.constantFrom(30, 200),
    budget: fc.constantFrom(2, 4, Number.POSITIVE_INFINITY),
    backoff: fc.record({
      first: fc.constantFrom(0, 50),
      max: fc.constant(200),
      jitter: fc.constant(0.2),
      reset: fc.constantFrom(100, 1_000),
    }),
    quarantine: fc.record({ first: fc.constant(100), max: fc.constant(300) }),
  }),
  parts: fc.array(fc.tuple(anyId, anyPart), { maxLength: 8 }),
  ops: fc.array(anyOp, { maxLength: 30, size: 'max' }),
})

type Story = typeof anyStory extends fc.Arbitrary<infer T> ? T : never

// What the simulation itself holds against the supervisor: two live incarnations, a timer cleared that is not set, two replies
// to one request, a thread or a timer that outlives its team, a state changed in place, a team that never comes to rest.
test('children of any speed, and requests at any moment: everybody is answered, everything comes to rest, a stop ends it', {
  timeout: 120_000,
}, () => {
  fc.assert(fc.property(anyStory, play), runs(5_000))
})

function play(story: Story): void {
  const spec: TeamSpec = {
    id: 'team',
    strategy: story.strategy,
    intensity: { max: story.max, within: 500 },
    children: story.members.map(specOf),
  }
  const team = simulate(spec, { random: 0.3 })
  for (const [id, part] of story.parts) team.script(id, part)
  team.call(start)
  for (const op of story.ops) {
    switch (op.op) {
      case 'pass':
        team.run(op.ms)
        break
      case 'die':
        if (team.isAlive(op.id)) team.die(op.id, op.exit)
        break
      case 'script':
        team.script(op.id, op.part)
        break
      case 'signal':
        if (team.incarnation(op.id) !== op.incarnation) team.signal({ kind: op.kind, id: op.id, incarnation: op.incarnation })
        break
      case 'outdated':
        team.signal({ kind: 'outdated', id: op.id })
        break
      case 'terminate':
      case 'restart':
      case 'renew':
      case 'remove':
      case 'add':
      case 'apply':
        team.call(askFor(op))
    }
    expect(JSON.parse(JSON.stringify(team.team.history))).toEqual(team.team.history)
    expect(heldIn(team).filter(({ status }) => status !== 'stopped' && status !== 'draining')).toEqual([])
    // News of a death may be under way, but nobody lives of whom the supervisor does not know.
    const known = team.team.children.filter(({ status }) => isAlive(status)).map(({ spec: child }) => child.id)
    expect(['a', 'b', 'd', 'e'].filter((id) => team.isAlive(id) && !known.includes(id))).toEqual([])
  }
  team.run(60_000)
  const atRest = team.exit === undefined ? ['running', 'stopped', 'quarantined'] : ['stopped']
  expect(team.team.children.filter(({ status, todo }) => todo !== undefined || !atRest.includes(status))).toEqual([])
  expect([team.exit === undefined ? team.team.phase.kind : 'running', team.unanswered()]).toEqual(['running', []])
  team.call(stop)
  team.run(10_000)
  expect([team.exit === undefined, team.unanswered(), team.timers()]).toEqual([false, [], []])

  function askFor(op: Exclude<Story['ops'][number], { op: 'pass' | 'die' | 'script' | 'signal' | 'outdated' }>): Ask {
    switch (op.op) {
      case 'terminate':
        return terminate(op.id)
      case 'pause':
        return pause(op.id)
      case 'restart':
        return restart(op.id)
      case 'renew':
        return renew(op.id)
      case 'remove':
        return remove(op.id)
      case 'add':
        return add(specOf(op.member))
      case 'apply':
        return apply(
          { ...spec, strategy: op.strategy, children: op.members.map(specOf) },
          heldIn(team).map(({ spec: child }) => child.id),
        )
    }
  }

  function specOf(member: Story['members'][number]) {
    return { ...defaults.child, ...story.policy, ...member }
  }
}

function heldIn({ team }: Simulation) {
  return team.children.filter(({ isHeld }) => isHeld)
}
