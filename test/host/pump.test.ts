import { expect, test } from 'vitest'
import { createPatience } from '../../src/host/patience.ts'
import { createPump } from '../../src/host/pump.ts'
import type { Store } from '../../src/store/store.ts'
import { storeError } from '../../src/store/store-error.ts'
import { createManualClock } from './manual-clock.ts'

test('jobs that the database does not take back together go back one by one, and one that never does is nobody else’s trouble', async () => {
  const given: string[] = []
  const call = async (_name: string, { p_batch }: { p_batch: { job_id: string }[] }) => {
    const ids = p_batch.map(({ job_id }) => job_id)
    if (ids.includes('bad')) throw storeError('finish_jobs: no', { kind: 'refused', code: 'XX000' })
    given.push(ids.join(' '))
    return []
  }
  const clock = createManualClock()
  const pump = createPump({ store: { call } as unknown as Pick<Store, 'call'>, patience: createPatience({ clock, emit: () => {} }), clock })
  const job = (id: string) => ({ id, type: 't', payload: '1', attempt: 1, maxAttempts: 1, token: 1 })
  await pump.release(['a', 'b', 'bad', 'c'].map(job))
  await pump.close()
  expect(given).toEqual(['a b', 'c'])
})
