import { expect, test } from 'vitest'
import { whyLines } from '../../src/cli/why-text.ts'

const clerk = {
  team: 'office',
  id: 'clerk',
  type: 'clerk',
  status: 'standby',
  incarnation: 0,
  version: 'a',
  wanted: 'a',
  mailbox: 0,
  file: 'actors/clerk.ts',
  exits: 0,
}

test.each([
  [{ standby: 'busy', holder: 'n-1' }, 'it runs in another process: n-1'],
  [{}, 'it runs in another process: which one is not known yet'],
  [
    { standby: 'busy', holder: 'n-1', instead: 'clerk-2' },
    'this process runs clerk-2, and one instance is all it takes with AGENT_MODE; another may run this one',
  ],
  [{ refusal: 'no route to it' }, 'its lease cannot be asked for, which is tried every few seconds: no route to it'],
])('an agent that stands by (%j) says for what', (given, says) => {
  const [, status] = whyLines({ ...clerk, ...given }, 7, 0)
  expect(status).toEqual(['status', `standby (incarnation 0)\n${says}`])
})
