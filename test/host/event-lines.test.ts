import { expect, test } from 'vitest'
import type { Event } from '../../src/core/events.ts'
import { eventLine } from '../../src/host/event-lines.ts'

const told = (event: Event) => {
  const { level, msg } = eventLine(event)
  return [level, msg]
}

test('what a person has to act on is loud, and says what to do', () => {
  const child = { team: 't', id: 'a', incarnation: 1, thread: 7 }
  expect([
    told({ name: 'thread:zombie', ...child, zombies: 1 }),
    told({ name: 'thread:reaped', thread: 7, zombies: 0 }),
    told({ name: 'task:stuck', team: 't', id: 'a', task: 'lib/x.ts#f', thread: 8, zombies: 1 }),
    told({
      name: 'task:killed',
      team: 't',
      id: 'a',
      task: 'lib/x.ts#f',
      reason: 'timeout',
      error: 'The task lib/x.ts#f took longer than 5 ms',
    }),
    told({ name: 'standby:lost', error: 'out of memory' }),
    told({ name: 'standby:lost', error: undefined }),
  ]).toEqual([
    ['error', 'a was ended, but its thread cannot be: a goes on in another one; replace this process (1 such thread)'],
    ['info', 'a thread that could not be ended has ended after all (0 such threads)'],
    ['error', 'the task lib/x.ts#f of a was ended, but its thread cannot be: replace this process (1 such thread)'],
    ['warn', 'The task lib/x.ts#f took longer than 5 ms (asked for by a)'],
    ['warn', 'a thread that stood by has ended: out of memory'],
    ['warn', 'a thread that stood by has ended'],
  ])
})

test('who stands by is no trouble, who can be held by nobody is', () => {
  const refused = { name: 'lease:refused', team: 't', id: 'a' } as const
  expect([
    told({ ...refused, why: 'busy', holder: 'n' }),
    told({ ...refused, why: 'invalid', holder: undefined, error: 'no such text' }),
    told({ name: 'claim:refused', id: 'a', error: 'no such text' }),
  ]).toEqual([
    ['info', 'a runs in another process (n): this one stands by'],
    ['error', 'a cannot run, because the store does not take its lease: no such text'],
    ['error', 'a gets no jobs, because the store does not take its claim: no such text'],
  ])
})

test('what happens to the leases is told with what it means', () => {
  expect([told({ name: 'lease:doubted', silent: 20_000 }), told({ name: 'lease:confirmed', silent: 40 })]).toEqual([
    ['warn', expect.stringContaining('not been renewed for 20000 ms')],
    ['info', 'the leases stand, the agents go on (the store took 40 ms)'],
  ])
})

test('a reload that finds nothing new is quiet', () => {
  const applied = { name: 'plan:applied', team: 't' } as const
  expect([told({ ...applied, stop: [], start: [] })[0], told({ ...applied, stop: ['a'], start: [] })[0]]).toEqual(['debug', 'info'])
})

test('what a call to a model used is told with its price, where it has one', () => {
  const used = { name: 'llm:used', team: 't', id: 'a', source: 'job', handled: 'j1', type: 'scan', model: 'm' } as const
  const cost = { inputTokens: 1_200, outputTokens: 300, requests: 1, isEstimated: false, ms: 850 }
  expect([told({ ...used, ...cost, usd: 0.00135 }), told({ ...used, ...cost, usd: null })]).toEqual([
    ['info', 'a used 1200 + 300 tokens of m for job scan, $0.00135'],
    ['info', 'a used 1200 + 300 tokens of m for job scan'],
  ])
})

test('what is wrong with documents is told with what it means for the agent', () => {
  const skipped = { name: 'document:skipped', id: 'a', reason: 'document 7: name: found 7, expected string' } as const
  const error = 'MongoDB at host:27017 cannot be read: Authentication failed.'
  expect([
    told({ ...skipped, runsOn: false }),
    told({ ...skipped, runsOn: true }),
    told({ name: 'source:failed', source: 'mongodb', error }),
    told({ name: 'source:back', source: 'mongodb' }),
    told({ name: 'source:cut', source: 'mongodb', limit: 1_000 }),
  ]).toEqual([
    ['warn', 'skipped: document 7: name: found 7, expected string'],
    ['warn', 'skipped: document 7: name: found 7, expected string; a runs on as it was'],
    ['error', `${error}; what runs stays as it is, and the next reload tries again`],
    ['info', 'MongoDB can be read again'],
    ['warn', 'MongoDB has more than 1000 documents of managed agents: those behind them are not read'],
  ])
})
