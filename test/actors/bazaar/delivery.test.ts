import { expect, test } from 'vitest'
import type { Answer, Marketplace, Submission } from '../../../actors/lib/bazaar/client.ts'
import { deliverDone } from '../../../actors/lib/bazaar/delivery.ts'
import type { Ctx, Registered } from '../../../actors/lib/bazaar/gateway.ts'
import { firstState, type State } from '../../../actors/lib/bazaar/state.ts'

const served = { profile: { agent: 'a', model: null }, serverId: 'agent_1', refused: null, goneAt: null } as unknown as Registered
const deadline = 1_000_000
const day = 86_400_000
const away: Answer<never> = { kind: 'away', reason: 'ECONNRESET' }
const ok: Answer<never> = { kind: 'ok', value: undefined as never }
const refused = (status: number): Answer<never> => ({ kind: 'refused', status, detail: 'no' })

/** Delivers once, as the marketplace answers; tells what was submitted, and how the job stands then. */
async function delivered(status: string, answer: Answer<never>, { now = deadline, onFailure = 'tell', job = {} } = {}) {
  const submitted: Submission[] = []
  const timers: string[] = []
  const market = {
    submit: async (_: string, submission: Submission) => submitted.push(submission) && answer,
    job: async () => ({ kind: 'ok', value: { status: 'assigned', ...job } }),
  } as unknown as Marketplace
  const won = [{ key: 'k', agent: 'a', jobId: 'job_1', rowId: 'row', deadline, tries: 0, nextAt: 0 }]
  const row = { id: 'row', status, result: 'text', error_message: 'it broke', dead_reason: null }
  const ctx = {
    ...{ now: () => now, args: { onFailure }, state: { ...firstState, won } as State },
    log: { info() {}, warn() {}, error() {} },
    after: (_: number, type: string) => timers.push(type),
    db: { read: async () => [row] },
  } as unknown as Ctx
  await deliverDone(ctx, market, served, () => true)
  const [ended] = ctx.state.ended
  return ended ? `${ended.ending}: ${ended.reason}` : `again: ${timers} at ${ctx.state.won[0]?.tries}`
}

const again = 'again: finished at 1'

test('a failure that the marketplace missed is told again; what it answers to a failure ends it', async () => {
  expect(await delivered('failed', away)).toBe(again)
  expect(await delivered('failed', ok)).toBe('failed: it broke')
  expect(await delivered('failed', refused(500))).toBe('failed: it broke (the marketplace did not take the failure)')
  const there = { job: { status: 'disputed', result: { executed_by: 'agent_1' } } }
  expect(await delivered('failed', refused(400), there)).toBe('failed: it broke')
})

test('a report of a failure is delivered again like a result, and is once there', async () => {
  const onFailure = 'report'
  expect([await delivered('failed', away, { onFailure }), await delivered('failed', refused(500), { onFailure })]).toEqual([again, again])
  expect(await delivered('failed', ok, { onFailure })).toBe('failed: it broke (reported)')
  const there = { status: 'completed', result: { executed_by: 'agent_1' } }
  expect(await delivered('failed', refused(400), { onFailure, job: there })).toBe('failed: it broke (reported)')
  expect(await delivered('failed', refused(422), { onFailure })).toBe('failed: it broke')
})

test('work that cannot be delivered ends: at once when it is too large, else a day after its deadline', async () => {
  expect(await delivered('completed', refused(413))).toBe('failed: the marketplace takes no such result: 413 no')
  expect(await delivered('completed', refused(500), { now: deadline + day })).toBe(again)
  expect(await delivered('completed', refused(500), { now: deadline + day + 1 })).toBe('failed: it could not be delivered: 500 no')
  expect(await delivered('completed', away, { now: deadline + day + 1 })).toBe('failed: it could not be delivered: ECONNRESET')
  expect(await delivered('failed', away, { now: deadline + day + 1 })).toBe('failed: it broke: ECONNRESET')
})
