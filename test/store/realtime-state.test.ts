import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  alarmAt,
  type Decision,
  decide,
  type Effect,
  type Moment,
  type Signal,
  type State,
  type Timing,
} from '../../src/store/realtime-state.ts'
import { runs } from '../seed.ts'

const timing: Timing = {
  poll: { min: 1_000, max: 5_000, healthy: 30_000 },
  retry: { min: 500, max: 60_000 },
  joinTimeout: 30_000,
  silence: 35_000,
  settle: 5_000,
  healthyAfter: 10_000,
}

const stopped = { kind: 'stopped' } as State
const lost = (reason: string, scope: 'channel' | 'socket' = 'channel'): Signal => ({ kind: 'lost', reason, scope })
const at = (now: number, chance = 0.5): Moment => ({ now, chance, timing })

/** Plays signals at their times, with every alarm that is due before them; returns the effects with their times. */
function play(script: readonly (readonly [now: number, signal: Signal])[], until: number): { state: State; effects: [number, Effect][] } {
  let state = stopped
  const effects: [number, Effect][] = []
  const take = (now: number, signal: Signal): void => {
    const decision: Decision = decide(state, signal, at(now))
    state = decision.state
    effects.push(...decision.effects.map((effect): [number, Effect] => [now, effect]))
  }
  for (const [now, signal] of [...script, [until, { kind: 'heard' }] as const]) {
    while (alarmAt(state) < now) take(alarmAt(state), { kind: 'alarm' })
    take(now, signal)
  }
  return { state, effects }
}

const wakes = (effects: readonly [number, Effect][]) =>
  effects.flatMap(([now, effect]) => (effect.kind === 'wake' ? [`${now} ${effect.reason}`] : []))
const links = (effects: readonly [number, Effect][]) =>
  effects.flatMap(([now, effect]) => {
    if (effect.kind === 'close') return [`${now} close ${effect.scope}`]
    return effect.kind === 'open' ? [`${now} open`] : []
  })
const told = (effects: readonly [number, Effect][]) => effects.flatMap(([, effect]) => (effect.kind === 'tell' ? [effect.event.kind] : []))

test('catches up at every SUBSCRIBED, once more when it has settled, and polls slowly from then on', () => {
  const heartbeats = [20_000, 40_000, 60_000].map((now) => [now, { kind: 'heard' }] as const)
  const { effects } = play([[0, { kind: 'start' }], [200, { kind: 'subscribed' }], ...heartbeats], 65_000)
  expect(wakes(effects)).toEqual(['200 subscribed', '5200 settled', '30200 poll', '60200 poll'])
})

test('catches up at the moment when the server says that changes flow', () => {
  const { effects } = play(
    [
      [0, { kind: 'start' }],
      [200, { kind: 'subscribed' }],
      [1_700, { kind: 'flowing' }],
    ],
    2_000,
  )
  expect({ wakes: wakes(effects), told: told(effects) }).toEqual({
    wakes: ['200 subscribed', '1700 settled'],
    told: ['realtime:subscribed'],
  })
})

test('polls fast while not subscribed', () => {
  const { effects } = play(
    [
      [0, { kind: 'start' }],
      [100, { kind: 'subscribed' }],
      [200, lost('cut')],
    ],
    10_000,
  )
  expect(wakes(effects)).toEqual(['100 subscribed', '3200 poll', '6200 poll', '9200 poll'])
})

test('backs off twice as long each time, up to the cap, and takes a new socket from the third failure on', () => {
  let state: State = decide(stopped, { kind: 'start' }, at(0)).state
  const tries = Array.from({ length: 10 }, () => {
    const failed = decide(state, lost('CHANNEL_ERROR'), at(0, 0.999_999))
    if (failed.state.kind !== 'waiting') throw new Error(failed.state.kind)
    state = decide(failed.state, { kind: 'alarm' }, at(failed.state.retryAt)).state
    const closed = failed.effects.find((effect) => effect.kind === 'close')
    return [Math.round(failed.state.retryAt), closed?.scope]
  })
  expect(tries).toEqual([
    [500, 'channel'],
    [1_000, 'channel'],
    ...[2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000].map((delay) => [delay, 'socket']),
  ])
})

test('spreads retries and polls', () => {
  const joining = decide(stopped, { kind: 'start' }, at(0)).state
  const delays = [0, 0.999_999].map((chance) => {
    const { state } = decide(joining, lost('x'), at(0, chance))
    return state.kind === 'waiting' ? [state.retryAt, state.pollAt].map(Math.round) : []
  })
  expect(delays).toEqual([
    [250, 1_000],
    [500, 3_000],
  ])
})

test('a subscription that flaps keeps its backoff, one that lasted starts anew', () => {
  const after = (lasted: number) => {
    const first = decide({ kind: 'joining', attempt: 7, told: 'lost', pollAt: 0, giveUpAt: 9 }, { kind: 'subscribed' }, at(0)).state
    const { state } = decide(first, lost('x'), at(lasted))
    return state.kind === 'waiting' ? state.attempt : undefined
  }
  expect([after(9_999), after(10_000)]).toEqual([8, 1])
})

test('a join without an answer is given up with its socket', () => {
  const { effects } = play([[0, { kind: 'start' }]], 30_500)
  expect(links(effects)).toEqual(['0 open', '30000 close socket', '30375 open'])
})

test('a socket that answers no heartbeat is given up, one that does is kept', () => {
  const script = [
    [0, { kind: 'start' }],
    [0, { kind: 'subscribed' }],
    [25_000, { kind: 'heard' }],
  ] as const
  expect(links(play(script, 59_000).effects)).toEqual(['0 open'])
  expect(links(play(script, 60_001).effects)).toEqual(['0 open', '60000 close socket'])
})

test('an outage is told once, however often it is retried', () => {
  const flapping = [1, 2, 3].flatMap((n) => [
    [n * 70_000, { kind: 'subscribed' }] as const,
    [n * 70_000 + 1, lost('the table is not published')] as const,
  ])
  const { effects } = play([[0, { kind: 'start' }], [10, lost('404')], ...flapping], 300_000)
  expect(told(effects)).toEqual(['realtime:lost'])
})

test('a second start, a second stop and a stop before the start change nothing', () => {
  const joining = decide(stopped, { kind: 'start' }, at(0)).state
  expect([decide(stopped, { kind: 'stop' }, at(0)), decide(joining, { kind: 'start' }, at(1))]).toEqual([
    { state: stopped, effects: [] },
    { state: joining, effects: [] },
  ])
})

test('whatever happens: never two channels, nothing while stopped, an alarm always ahead', () => {
  const signal: fc.Arbitrary<Signal> = fc.oneof(
    fc
      .constantFrom<Signal['kind']>('start', 'stop', 'alarm', 'subscribed', 'flowing', 'changed', 'heard')
      .map((kind) => ({ kind }) as Signal),
    fc.constantFrom<'channel' | 'socket'>('channel', 'socket').map((scope) => lost('x', scope)),
  )
  const steps = fc.array(
    fc.record({ signal, wait: fc.integer({ min: 0, max: 70_000 }), chance: fc.double({ min: 0, max: 0.999, noNaN: true }) }),
  )
  fc.assert(
    fc.property(steps, (script) => {
      let state = stopped
      let now = 0
      let isOpen = false
      for (const { signal: next, wait, chance } of script) {
        // The caller's alarm never comes late by more than its own delay.
        now = next.kind === 'alarm' ? Math.max(now, Math.min(alarmAt(state), now + 1e9)) : Math.min(now + wait, alarmAt(state))
        const before = state
        const decision = decide(state, next, { now, chance, timing })
        state = decision.state
        for (const effect of decision.effects) {
          if (effect.kind === 'open') expect(isOpen).toBe(false)
          if (effect.kind === 'open') isOpen = true
          if (effect.kind === 'close') isOpen = false
        }
        if (before.kind === 'stopped' && next.kind !== 'start') expect(decision).toEqual({ state: stopped, effects: [] })
        expect(isOpen).toBe(state.kind === 'joining' || state.kind === 'subscribed')
        if (state.kind !== 'stopped') expect(state.pollAt - now).toBeLessThanOrEqual(timing.poll.healthy * 1.25)
        if (next.kind === 'alarm' && state.kind !== 'stopped') expect(alarmAt(state)).toBeGreaterThan(now)
      }
    }),
    runs(),
  )
})
