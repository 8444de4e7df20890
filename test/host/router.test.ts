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

test('an agent without room does not keep the others from the table', async () => {
  const asked: string[] = []
  const clock = createManualClock()
  const nudge = () => {
    const refills = router.refills()
    asked.push(...refills.map(({ agent_id }) => `${agent_id} at ${clock.now()}`))
    if (refills.length > 0) router.refilled(refills, refills.map(empty))
  }
  const empty = ({ agent_id }: { readonly agent_id: string }) => ({ agent_id, verdict: 'ok' as const, messages: [], more: false })
  const router = createRouter({ clock, nudge, random: () => 0.5, poll: { min: 1_000, max: 1_000 } })
  const full = createMailbox({ capacity: 1 })
  router.open({ agent: 'full', token: 1, mailbox: full, onMail() {} })
  await clock.pass(500)
  router.open({ agent: 'idle', token: 1, mailbox: createMailbox({ capacity: 10 }), onMail() {} })
  full.put([{ id: 'm', seq: 1, from: 's', type: 'note', body: 'null', priority: 'normal', attempts: 0, interruptions: 0 }])
  asked.length = 0
  await clock.pass(2_200)
  expect(asked).toEqual(['idle at 1500', 'idle at 2500'])
})
