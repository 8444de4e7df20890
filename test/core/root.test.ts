import { expect, test } from 'vitest'
import { exitCode, rootSpec } from '../../src/core/root.ts'
import { started } from './simulate.ts'
import { apply, done, otp, restart, stop } from './specs.ts'

const none = { intensity: { max: 0, within: 5_000 } }
const teams = { trading: otp('a b', { id: 'trading', ...none }), bazaar: otp('x y', { id: 'bazaar', ...none }) }
const specs = rootSpec(Object.keys(teams).map((id) => ({ id, version: '1' })))

test('a team that gives up is parked and announced, the others go on; the last one ends the process with 1', () => {
  const root = started(rootSpec([]), { teams })
  root.ask(apply(specs))
  root.ev()
  root.die('a')
  expect([root.ev(), root.list(), root.timers(), exitCode(root.team)]).toEqual([
    'die a, stop b, end trading gave_up',
    'trading quarantined, bazaar running',
    [],
    undefined,
  ])
  root.die('x')
  expect([root.list(), exitCode(root.team)]).toEqual(['trading quarantined, bazaar quarantined', 1])
})

test('a parked team comes back by command', () => {
  const root = started(rootSpec([]), { teams })
  root.ask(apply(specs))
  root.die('a')
  root.ev()
  expect([root.ask(restart('trading')), root.ev(), root.list()]).toEqual([
    done,
    'start a, start b, start trading',
    'trading running, bazaar running',
  ])
})

test('a team that cannot start is parked, too', () => {
  const root = started(rootSpec([]), { teams })
  root.script('trading', {})
  root.script('b', { start: 'fail' })
  root.ask(apply(specs))
  expect([root.ev(), root.list(), exitCode(root.team)]).toEqual([
    'start a, fail b, stop a, end trading start_failed, start x, start y, start bazaar',
    'trading quarantined, bazaar running',
    undefined,
  ])
})

test('a stop ends the process with 0, a parked team or not', () => {
  const root = started(rootSpec([]), { teams })
  root.ask(apply(specs))
  root.die('a')
  root.ev()
  expect([root.ask(stop), root.ev(), exitCode(root.team)]).toEqual([done, 'stop y, stop x, end bazaar shutdown', 0])
})
