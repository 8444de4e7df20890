import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Exit } from '../../src/core/exit.ts'
import { backoff, decideRestart, quarantineFor, recent, wantsRestart } from '../../src/core/restart.ts'
import type { Restart } from '../../src/core/spec.ts'
import { runs } from '../seed.ts'

const exits: Exit[] = ['normal', 'shutdown', 'crash', 'hung', 'out_of_memory', 'poison', 'start_failed', 'start_timeout', 'gave_up']
const anyExit = fc.constantFrom(...exits)
const anyRestart = fc.constantFrom<Restart>('permanent', 'transient', 'temporary')
const anyTime = fc.integer({ min: 0, max: 10_000 })

test('permanent always wants a restart, temporary never, transient unless it ended well', () => {
  const wanting = (restart: Restart) => exits.filter((exit) => wantsRestart(restart, exit))
  expect([wanting('permanent'), wanting('transient'), wanting('temporary')]).toEqual([exits, exits.slice(2), []])
})

describe('decideRestart', () => {
  const policy = { restart: 'permanent', budget: 5 } as const
  const intensity = { max: 2, within: 1_000 }

  test('asks the policy first, then the budget of the child, then that of the team', () => {
    const full = [9_500, 9_600]
    expect([
      decideRestart({ ...policy, restart: 'temporary' }, 'crash', { exits: 9, restarts: full }, 10_000, intensity),
      decideRestart(policy, 'crash', { exits: 4, restarts: full }, 10_000, intensity),
      decideRestart(policy, 'crash', { exits: 3, restarts: full }, 10_000, intensity),
      decideRestart(policy, 'crash', { exits: 3, restarts: full }, 10_500, intensity),
    ]).toEqual(['forget', 'quarantine', 'give_up', 'restart'])
  })

  test('never grants more than max restarts in any window, and never refuses one that fits', () => {
    fc.assert(
      fc.property(fc.array(anyTime), fc.integer({ min: 0, max: 5 }), fc.integer({ min: 1, max: 3_000 }), (crashes, max, within) => {
        const granted: number[] = []
        for (const now of crashes.toSorted((one, other) => one - other)) {
          // Said from the other end: the window that would overflow begins at the restart that is max grants ago.
          const oldest = granted.at(-max)
          const fits = max > 0 && (granted.length < max || oldest === undefined || oldest + within <= now)
          const verdict = decideRestart(
            { restart: 'permanent', budget: Number.POSITIVE_INFINITY },
            'crash',
            { exits: granted.length, restarts: granted },
            now,
            { max, within },
          )
          expect(verdict).toBe(fits ? 'restart' : 'give_up')
          if (verdict === 'restart') granted.push(now)
        }
      }),
      runs(2_000),
    )
  })

  test('restarts only what wants it, and is not swayed by restarts out of the window', () => {
    fc.assert(
      fc.property(anyRestart, anyExit, fc.array(anyTime), anyTime, (restart, exit, restarts, now) => {
        const decide = (past: number[]) => decideRestart({ restart, budget: 5 }, exit, { exits: 0, restarts: past }, now, intensity)
        expect(decide(restarts) === 'forget').toBe(!wantsRestart(restart, exit))
        expect(decide(restarts)).toBe(decide(recent(restarts, now, intensity)))
      }),
      runs(),
    )
  })
})

describe('backoff', () => {
  const policy = { first: 200, max: 30_000, jitter: 0.2, reset: 60_000 }

  test('lies within its jitter of a doubling that ends at max, for any number of exits', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5_000 }), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (count, random) => {
        const longest = count > 8 ? 30_000 : 200 * 2 ** (count - 1)
        const wait = backoff(policy, count, random)
        expect(wait).toBeLessThanOrEqual(longest)
        expect(wait).toBeGreaterThanOrEqual(longest * 0.8)
        expect(backoff({ ...policy, first: 0 }, count, random)).toBe(0)
      }),
      runs(),
    )
  })

  test('quarantine doubles from 5 min to 1 h, and may never end', () => {
    const minutes = [1, 2, 3, 4, 5, 2_000].map((times) => quarantineFor({ first: 300_000, max: 3_600_000 }, times) / 60_000)
    const forever = { first: Number.POSITIVE_INFINITY, max: Number.POSITIVE_INFINITY }
    expect([minutes, quarantineFor(forever, 1)]).toEqual([[5, 10, 20, 40, 60, 60], Number.POSITIVE_INFINITY])
  })
})
