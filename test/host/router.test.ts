import { expect, test } from 'vitest'
import { createMailbox } from '../../src/core/mailbox.ts'
import { createRouter } from '../../src/host/router.ts'
import { createManualClock } from './manual-clock.ts'

test('a hint that comes while the table is being asked has it asked again', async () => {
  let nudges = 0
  const nudge = () => {
    nudges += 1
  }
  const clock = createManualClock()
  const router = createRouter({ clock, nudge, random: () => 0.5, poll: { min: 1_000, max: 1_000 } })
  router.open({ agent: 'a', token: 1, mailbox: createMailbox({ capacity: 10 }), onMail() {} })
  const empty = [{ agent_id: 'a', verdict: 'ok' as const, messages: [], more: false }]
  const ask = () => router.refills().length
  const first = router.refills()
  router.refilled(first, empty)
  const seen = [first.length, ask()]
  router.wake('a')
  const second = router.refills()
  router.wake('a') // a row that the answer cannot have
  nudges = 0
  router.refilled(second, empty)
  seen.push(second.length, nudges, ask())
  router.refilled(second, empty)
  seen.push(ask())
  expect(seen).toEqual([1, 0, 1, 1, 1, 0])
})
