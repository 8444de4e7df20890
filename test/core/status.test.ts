import { expect, test } from 'vitest'
import { isAlive, type Signal, type Status, step } from '../../src/core/status.ts'

const statuses: Status[] = ['stopped', 'starting', 'running', 'draining', 'waiting', 'quarantined']
const signals: Signal[] = ['start', 'ready', 'stop', 'exit', 'wait', 'park']

test('a signal means something only where it belongs', () => {
  const moves = statuses.flatMap((status) => signals.flatMap((signal) => step(status, signal) ?? [])).length
  expect(Object.fromEntries(statuses.map((status) => [status, signals.map((signal) => step(status, signal) ?? '-').join(' ')]))).toEqual({
    stopped: 'starting - - - waiting quarantined',
    starting: '- running draining stopped - -',
    running: '- - draining stopped - -',
    draining: '- - - stopped - -',
    waiting: 'starting - stopped - - -',
    quarantined: 'starting - stopped - - -',
  })
  expect([moves, statuses.filter(isAlive)]).toEqual([13, ['starting', 'running', 'draining']])
})
