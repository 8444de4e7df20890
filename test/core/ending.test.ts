import { expect, test } from 'vitest'
import { type Ended, nameEnd, type Reason } from '../../src/core/ending.ts'

const error = (message: string, code?: string) => ({ name: 'Error', message, ...(code !== undefined && { code }) })
const name = (ended: Partial<Ended>, reason?: Reason, wasReady = true) => {
  const { exit, detail } = nameEnd({ code: 1, error: undefined, ...ended }, reason, wasReady)
  return `${exit}: ${detail}`
}

test('a thread that ends by itself has crashed, unless it says otherwise', () => {
  expect([
    name({ code: 0 }),
    name({ code: 3 }),
    name({ error: error('oops') }),
    name({ error: error('too much', 'ERR_WORKER_OUT_OF_MEMORY') }),
    name({ code: 0 }, undefined, false),
    name({ error: error('oops') }, undefined, false),
  ]).toEqual([
    'normal: it called process.exit(0)',
    'crash: it called process.exit(3)',
    'crash: Error: oops',
    "out_of_memory: it reached V8's own memory limit",
    'start_failed: it called process.exit(0)',
    'start_failed: Error: oops',
  ])
})

test('what the host ended it for comes before how the thread took it', () => {
  const hung: Reason = { kind: 'killed', exit: 'hung', detail: 'blocked' }
  expect([
    name({ error: error('oops') }, { kind: 'stopped' }),
    name({}, { kind: 'stopped', error: error('no') }),
    name({}, { kind: 'refused', error: error('bad args') }, false),
    name({}, hung),
    name({ code: undefined }, hung),
  ]).toEqual([
    'shutdown: stopped',
    'shutdown: stopped, but its stop failed: no',
    'start_failed: bad args',
    'hung: blocked',
    'hung: blocked; its thread cannot be ended and is given up',
  ])
})
