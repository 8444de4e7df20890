import { expect, test } from 'vitest'
import { createPatience } from '../../src/host/patience.ts'
import { createRequests } from '../../src/host/requests.ts'
import type { Store } from '../../src/store/store.ts'
import { createManualClock } from './manual-clock.ts'

test('a result that is nested deeper than it can be written fails the call that asked for it, and no other', async () => {
  const depth = 20_000
  const deep: unknown = JSON.parse('['.repeat(depth) + ']'.repeat(depth))
  const call = async (_name: string, { p_batch }: { p_batch: readonly { key: string }[] }) =>
    p_batch.map(({ key }) => ({ key, verdict: 'ok', result: key === 'deep' ? deep : 1 }))
  const store = { call } as unknown as Pick<Store, 'call' | 'read'>
  const requests = createRequests({ store, patience: createPatience({ clock: createManualClock(), emit() {} }) })
  const job = { id: 'j', type: 't', payload: '{}', attempt: 1, maxAttempts: 1, token: 1 }
  const by = { agent: 'a', token: 1, turn: 1, delivery: { kind: 'job', job } } as const
  const answers = await Promise.all(['deep', 'plain'].map((key) => requests.call(by, { key, fn: 'look', args: '{}' })))
  expect(answers).toMatchObject([
    { ok: false, error: { code: 'STORE_FAILED', message: expect.stringContaining('look') } },
    { ok: true, value: '1' },
  ])
})
