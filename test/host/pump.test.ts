import { expect, test } from 'vitest'
import type { Event } from '../../src/core/events.ts'
import { createPatience } from '../../src/host/patience.ts'
import { createPump } from '../../src/host/pump.ts'
import type { Store } from '../../src/store/store.ts'
import { storeError } from '../../src/store/store-error.ts'
import { createManualClock } from './manual-clock.ts'

/** A pump over a store that is a function, with what it announces. */
function over(call: (name: string, args: never) => Promise<unknown>) {
  const clock = createManualClock()
  const events: Event[] = []
  const emit = (event: Event) => void events.push(event)
  const patience = createPatience({ clock, emit })
  const pump = createPump({ store: { call } as unknown as Pick<Store, 'call'>, patience, clock, emit, random: () => 1 })
  return { pump, clock, events }
}

const job = (id: string) => ({ id, type: 't', payload: '1', attempt: 1, maxAttempts: 1, token: 1 })

test('jobs that the database does not take back together go back one by one, and one that never does is nobody else’s trouble', async () => {
  const given: string[] = []
  const call = async (_name: string, { p_batch }: { p_batch: { job_id: string }[] }) => {
    const ids = p_batch.map(({ job_id }) => job_id)
    if (ids.includes('bad')) throw storeError('finish_jobs: no', { kind: 'refused', code: 'XX000' })
    given.push(ids.join(' '))
    return []
  }
  const { pump } = over(call)
  await pump.release(['a', 'b', 'bad', 'c'].map(job))
  await pump.close()
  expect(given).toEqual(['a b', 'c'])
})

test('an agent whose claim the database does not take costs nobody else a job, and is told of once', async () => {
  type Claim = { agent_id: string; job_types: string[]; claim_id: string; cursor: unknown }
  const ids = new Map<string, Set<string>>()
  const cursor = { at: '1', seq: '1', full_at: 'now' }
  let isOutdated = false
  const call = async (_name: string, { p_batch }: { p_batch: Claim[] }) => {
    for (const { agent_id, claim_id } of p_batch) ids.set(agent_id, (ids.get(agent_id) ?? new Set()).add(claim_id))
    if (p_batch.some((claim) => claim.job_types.includes('bad') || (isOutdated && claim.cursor !== null)))
      throw storeError('claim_jobs: no', { kind: 'data', code: '22P05' })
    const claimed = { job_id: 'j', job_type: 't', payload: 1, attempt: 1, max_attempts: 1, lease_token: 1 }
    return p_batch.map(({ agent_id }) => ({ agent_id, verdict: 'ok', jobs: [claimed], cursor }))
  }
  const { pump, clock, events } = over(call)
  const got: string[] = []
  pump.doubt(true)
  for (const [agent, type] of Object.entries({ a: 't', b: 'bad', c: 't' }))
    pump.add({ agent, token: 1, types: [type], free: () => 2, give: () => void got.push(agent) })
  pump.doubt(false)
  await clock.pass(0)
  const log: unknown[] = [got.splice(0), [...ids].map(([agent, of]) => `${agent} ${of.size}`)]
  // What its last claim told it is the first thing that may be wrong.
  isOutdated = true
  for (let round = 0; round < 2; round++) {
    await clock.pass(5_000)
    log.push(got.splice(0).slice(0, 2))
    isOutdated = false
  }
  await pump.close()
  expect([...log, events]).toEqual([
    ['a', 'c'],
    ['a 1', 'b 1', 'c 1'],
    [],
    ['a', 'c'],
    [{ name: 'claim:refused', id: 'b', error: 'claim_jobs: no' }],
  ])
})

test('among more agents than one claim can be for, the last ones get their jobs too', async () => {
  const sizes: number[] = []
  const call = async (_name: string, { p_batch }: { p_batch: { agent_id: string }[] }) => {
    sizes.push(p_batch.length)
    const claimed = { job_id: 'j', job_type: 't', payload: 1, attempt: 1, max_attempts: 1, lease_token: 1 }
    return p_batch.map(({ agent_id }) => ({ agent_id, verdict: 'ok', jobs: agent_id === 'a500' ? [claimed] : [], cursor: null }))
  }
  const { pump, clock } = over(call)
  const got: string[] = []
  pump.doubt(true)
  for (let nth = 0; nth <= 500; nth++) {
    const agent = `a${nth}`
    pump.add({ agent, token: 1, types: ['t'], free: () => 2, give: () => void got.push(agent) })
  }
  pump.doubt(false)
  await clock.pass(0)
  await pump.close()
  expect([sizes, got]).toEqual([[500, 1], ['a500']])
})
