import { expect, test } from 'vitest'
import { createPatience } from '../../src/host/patience.ts'
import { storeError } from '../../src/store/store-error.ts'
import { createManualClock } from './manual-clock.ts'

const givenUp = () => storeError('canceling statement', { kind: 'unavailable', code: '57014' })
const unreachable = () => storeError('connect ECONNREFUSED', { kind: 'unavailable', code: '' }, new Error('connect ECONNREFUSED'))
const unanswered = () => storeError('no answer in time', { kind: 'unavailable', code: '' }, new DOMException('', 'TimeoutError'))

/** A call that fails in its tenth second, `times` times, beside one that asks every five seconds whether the store is there. */
async function insistOn(failure: () => Error, { times, isThere }: { times: number; isThere: boolean }) {
  const clock = createManualClock()
  const events: string[] = []
  const patience = createPatience({ clock, emit: ({ name }) => events.push(name), random: () => 1 })
  const wait = (ms: number) => new Promise<void>((resolve) => clock.after(ms, resolve))
  let tries = 0
  const call = async () => {
    await wait(10_000)
    tries += 1
    if (tries <= times) throw failure()
    return 'answer'
  }
  const neighbour = async () => {
    if (!isThere && tries < times) throw unreachable()
  }
  const beat = () => {
    void patience.attempt(neighbour).catch(() => {})
    clock.after(5_000, beat)
  }
  const outcome = patience.insist(call, new AbortController().signal).catch((error: Error) => error.message)
  clock.after(1_000, beat)
  await clock.pass(times * 20_000)
  return { outcome: await Promise.race([outcome, 'none']), tries, events }
}

test('a call without an answer, while others are answered, is given up after ten; nobody speaks of an outage', async () => {
  expect(await insistOn(unanswered, { times: 50, isThere: true })).toEqual({
    outcome: 'no answer in time, 10 in a row',
    tries: 10,
    events: [],
  })
})

test.each([unanswered, unreachable])(
  'a store that answers nobody is waited for as long as it takes, and its outage is told once',
  async (failure) => {
    expect(await insistOn(failure, { times: 50, isThere: false })).toEqual({
      outcome: 'answer',
      tries: 51,
      events: ['store:failed', 'store:back'],
    })
  },
)

test('a row of statements that the database gives up, while it answers others, is no row of outages', async () => {
  expect(await insistOn(givenUp, { times: 9, isThere: true })).toEqual({ outcome: 'answer', tries: 10, events: [] })
})
