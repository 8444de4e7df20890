import { describe, expect, test } from 'vitest'
import { type Condition, reasonsNotReady, standsBy } from '../../src/core/readiness.ts'

const fine: Condition = {
  phase: 'running',
  isStoreAway: false,
  isInDoubt: false,
  unfit: undefined,
  isSourceUnread: false,
  zombies: 0,
  parked: [],
  agents: [{ id: 'a', status: 'running', wasUp: true }],
}
const agent = (status: string, wasUp: boolean) => ({ agents: [{ id: 'a', status, wasUp }] })

describe('a process', () => {
  test.each<[string, Partial<Condition>, string[]]>([
    ['that does its work is ready', {}, []],
    [
      'still starting is not ready, and does not list its agents',
      { phase: 'starting', ...agent('starting', false) },
      ['the team is starting'],
    ],
    ['that drains is not ready', { phase: 'stopping' }, ['the team is stopping']],
    [
      'without its store is not ready',
      { isStoreAway: true, isInDoubt: true },
      ['the store does not answer', 'nobody has confirmed the leases for too long'],
    ],
    ['with a store of another version is not ready', { unfit: 'run `troupe db migrate`' }, ['run `troupe db migrate`']],
    ['that has never read its documents', { isSourceUnread: true }, ['MongoDB cannot be read, its agents are not known yet']],
    ['with a zombie is to be replaced', { zombies: 2 }, ['2 threads cannot be ended: replace this process']],
    ['whose team gave up is not ready', { parked: ['t'] }, ['team t gave up']],
    ['with an agent in quarantine is not ready', agent('quarantined', true), ['in quarantine: a']],
    ['whose agent never came up is not ready', agent('waiting', false), ['not up yet: a']],
    ['whose agent comes up again is ready', agent('waiting', true), []],
    ['whose agent was stopped by a person is ready', agent('paused', false), []],
    ['whose agent another process has is ready', agent('standby', false), []],
  ])('%s', (_, given, reasons) => {
    expect(reasonsNotReady({ ...fine, ...given })).toEqual(reasons)
  })
})

test('only who runs nothing at all stands by', () => {
  const views = (...statuses: string[]) => statuses.map((status) => ({ status }))
  expect([views('standby', 'standby'), views('standby', 'running'), views()].map(standsBy)).toEqual([true, false, false])
})
