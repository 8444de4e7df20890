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
    told({ name: 'standby:lost', error: 'out of memory' }),
    told({ name: 'standby:lost', error: undefined }),
  ]).toEqual([
    ['error', 'a was ended, but its thread cannot be: a goes on in another one; replace this process (1 such thread)'],
    ['info', 'a thread that could not be ended has ended after all (0 such threads)'],
    ['warn', 'a thread that stood by has ended: out of memory'],
    ['warn', 'a thread that stood by has ended'],
  ])
})

test('a reload that finds nothing new is quiet', () => {
  const applied = { name: 'plan:applied', team: 't' } as const
  expect([told({ ...applied, stop: [], start: [] })[0], told({ ...applied, stop: ['a'], start: [] })[0]]).toEqual(['debug', 'info'])
})
