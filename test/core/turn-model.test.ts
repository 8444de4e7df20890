import fc from 'fast-check'
import { expect, test } from 'vitest'
import { again, runs } from '../seed.ts'
import { type Fault, World } from './turn-world.ts'

const op = fc.oneof(
  { weight: 20, arbitrary: fc.record({ do: fc.constant('send' as const), sender: fc.constantFrom('a', 'b', 'c'), isFatal: fc.nat(15) }) },
  {
    weight: 30,
    arbitrary: fc.record({
      do: fc.constant('done' as const),
      times: fc.integer({ min: 1, max: 5 }),
      isQuick: fc.nat(4).map((one) => one > 0),
      isHeard: fc.boolean(),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('throw' as const),
      retryIn: fc.option(fc.nat(500), { nil: undefined }),
      isBlocked: fc.boolean(),
    }),
  },
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant('call' as const),
      kind: fc.constantFrom('ask' as const, 'stepStart' as const, 'read' as const),
    }),
  },
  {
    weight: 25,
    arbitrary: fc.record({
      do: fc.constant('commit' as const),
      size: fc.integer({ min: 1, max: 6 }),
      fault: fc.constantFrom<Fault>('none', 'none', 'none', 'lost', 'full', 'refused'),
      at: fc.nat(4),
    }),
  },
  { weight: 12, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(1, 50, 300, 1_200, 6_000) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('pause' as const), isPaused: fc.boolean() }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('die' as const), cause: fc.constantFrom('crashed' as const, 'stopped' as const) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('drain' as const) }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('takeOver' as const) }) },
  { weight: 10, arbitrary: fc.record({ do: fc.constant('restart' as const) }) },
)

test('every message ends once, in the order of its sender, whatever happens on the way', () => {
  const seen = { requests: 0, dead: 0, done: 0, longest: 0, handed: 0 }
  fc.assert(
    fc.property(fc.array(op, { maxLength: 150, size: 'max' }), fc.nat(), (ops, start) => {
      let random = start
      const world = new World(() => {
        random = (random * 1_103_515_245 + 12_345) % 2 ** 31
        return random / 2 ** 31
      })
      for (const one of ops) {
        switch (one.do) {
          case 'send':
            world.send(one.sender, one.isFatal === 0)
            break
          case 'done':
            for (let time = 0; time < one.times; time++) {
              world.finish('done', one)
              if (one.isHeard) world.hear()
              world.take()
            }
            break
          case 'throw':
            world.finish('threw', one)
            break
          case 'call':
            world.call(one.kind)
            break
          case 'commit':
            world.commit(one.size, one.fault, one.at)
            break
          case 'pass':
            world.pass(one.ms)
            break
          case 'pause':
            world.pause(one.isPaused)
            break
          case 'die':
            world.die(one.cause)
            break
          case 'drain':
            world.drain()
            break
          case 'takeOver':
            world.takeOver()
            break
          case 'restart':
            world.restart()
        }
        if (one.do !== 'done') world.hear()
        world.take()
        seen.longest = Math.max(seen.longest, world.state.ended.length)
      }
      world.settle()
      const rows = [...world.rows.values()]
      const done = rows.filter(({ status }) => status === 'done').map(({ message }) => message.id)
      seen.done += done.length
      seen.dead += rows.length - done.length
      seen.requests += world.left.length
      seen.handed += world.handed
      expect({
        open: rows.filter(({ status }) => status === 'ready').map(({ message }) => message.id),
        written: rows.map(({ status, effects }) => effects - (status === 'done' ? 1 : 0)).filter((difference) => difference !== 0),
        state: [...world.saved.value].sort(),
        dead: rows.filter(({ status, attempts, isFatal }) => status === 'dead' && attempts < 3 && !isFatal).length,
        // A done one was counted before its last run, if that was announced.
        overcounted: rows.filter(({ status, attempts, failures }) => attempts > failures + (status === 'done' ? 1 : 0)).length,
      }).toEqual({ open: [], written: [], state: done.sort(), dead: 0, overcounted: 0 })
    }),
    runs(1_000),
  )
  // A run that no fault ever touched would prove little.
  expect(
    Object.values(seen).every((count) => count > 10),
    `${again}: ${JSON.stringify(seen)}`,
  ).toBe(true)
})
