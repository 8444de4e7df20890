import { expect, test } from 'vitest'
import { jobText } from '../../../actors/lib/bazaar/assignments.ts'
import { bidHindrance, bidOf, fateOf, hindrance, ownBid } from '../../../actors/lib/bazaar/bidding.ts'
import { beatOf, freeFor, type Load } from '../../../actors/lib/bazaar/capacity.ts'
import { gatewayOf } from '../../../actors/lib/bazaar/choose-gateway.ts'
import { outputOf } from '../../../actors/lib/bazaar/delivery.ts'
import type { Profile } from '../../../actors/lib/bazaar/job.ts'
import { secondsIn } from '../../../actors/lib/bazaar/registration.ts'
import { settings } from '../../../actors/lib/bazaar/settings.ts'
import { end, firstState, later, type State, seenAgain } from '../../../actors/lib/bazaar/state.ts'
import { placeholderWallet } from '../../../actors/lib/bazaar/wallet.ts'
import { detailOf, jobList, marketJob } from '../../../actors/lib/bazaar/wire.ts'
import { evaluateByWords, soundEvaluation, wordsIn } from '../../../actors/lib/bazaar/words.ts'

const profile: Profile = {
  ...{ agent: 'a', type: 't', job: 'j', name: 'A', description: '', capabilities: { review: 0.8 }, baseRateUsd: 0.04 },
  ...{ model: null, wallet: null, capacity: 2 },
}
const job = (given: object = {}) =>
  marketJob.parse({ job_id: 'job_1', budget_usd: 1, status: 'posted', required_capabilities: ['review'], ...given })
const said = { canComplete: true, confidence: 0.83456, priceUsd: 0.05, minutes: 5.005, reason: 'fine' }
const text = (description: string) => ({ title: '', description, capabilities: [] })

test('finds whole words of title, description and capabilities only', () => {
  const words = { rest: 1, ci: 1, go: 1, sql: 1, 'c++': 1, 'api design': 1, schema: 1, 'node.js': 1 }
  expect(wordsIn(text('An interest in a good decision'), words)).toEqual([])
  const spoken = { title: 'SQL!', description: 'A REST-API, in Go or C++; node.js. CI.', capabilities: ['schema_design', 'api_design'] }
  expect(wordsIn(spoken, words)).toEqual(['rest', 'ci', 'go', 'sql', 'c++', 'api design', 'schema', 'node.js'])
})

test('asks for a price between base rate and budget, or says why not', () => {
  const evaluate = evaluateByWords({ words: { review: 1 } })
  const of = (usd: number | null, minutes: number | null = null) => {
    const budget = { usd, minutes, baseRateUsd: 0.04 }
    const { canComplete, priceUsd, reason } = soundEvaluation(
      evaluate({ ...text('a review'), files: [], budgetUsd: usd, deadline: null, origin: null }, budget),
      budget,
    )
    return [canComplete, priceUsd, reason]
  }
  expect([of(1), of(null), of(0.06), of(0.042), of(0.03), of(0), of(1, 5)]).toEqual([
    [true, 0.057, 'knows review'],
    [true, 0.057, 'knows review'],
    [true, 0.051, 'knows review'],
    [true, 0.04, 'knows review'],
    [false, 0.04, 'costs 0.04 USD, the budget is 0.03'],
    [false, 0.04, 'costs 0.04 USD, the budget is 0'],
    [false, 0.057, 'takes 9 minutes, there are 5'],
  ])
})

test('knows what the server would answer a bare 500 to', () => {
  const faults = [
    {},
    { status: 'assigned' },
    { budget_usd: 0 },
    { budget_usd: -1 },
    { min_capability_score: 0.9 },
    { required_capabilities: ['x'] },
  ]
  expect(faults.map((given) => hindrance(job(given), profile))).toEqual([
    undefined,
    'it is assigned',
    'its budget is 0 USD',
    'its budget is -1 USD',
    'it needs review of 0.9',
    'it needs x of 0.7',
  ])
  const rich = job({ budget_usd: 50 })
  const bids = [said, { ...said, priceUsd: 0 }, { ...said, priceUsd: 60 }, { ...said, priceUsd: 10 }, { ...said, canComplete: false }]
  expect(bids.map((one) => bidHindrance(one, rich, { approval: false }) !== undefined)).toEqual([false, true, true, true, true])
  expect(bidHindrance({ ...said, priceUsd: 10 }, rich, { approval: true })).toBeUndefined()
  expect(bidOf('agent_1', said)).toEqual({
    ...{ agent_id: 'agent_1', price_usd: 0.05, estimated_quality: 0.835, estimated_time_seconds: 301, approach_summary: 'fine' },
  })
})

test('tells what became of a bid by its job', () => {
  const bid = { agent: 'a', jobId: 'job_1', bidId: 'bid_1', at: 0 }
  const with_ = (status: string) => ({ bids: [{ bid_id: 'bid_1', agent_id: 'me', status }] })
  const fate = (given: object | null, one = bid as { agent: string; jobId: string; bidId: string | null; at: number }, now = 0) =>
    fateOf(one, given && job(given), 'me', now).kind
  expect([
    fate(with_('pending')),
    fate({ ...with_('pending'), status: 'awaiting_approval' }),
    fate({ ...with_('pending'), status: 'assigned', assigned_agent_id: 'me' }),
    fate({ ...with_('pending'), status: 'assigned', assigned_agent_id: 'you' }),
    fate(with_('cancelled')),
    fate({ ...with_('pending'), status: 'cancelled' }),
    fate(null),
    fate({}),
    fate({}, { ...bid, bidId: null }, 59_999),
    fate({}, { ...bid, bidId: null }, 60_000),
    fate(with_('pending'), { ...bid, bidId: null }, 90_000),
  ]).toEqual(['open', 'open', 'won', 'lost', 'lost', 'lost', 'lost', 'lost', 'open', 'lost', 'open'])
  const day = 86_400_000
  expect([fate(with_('pending'), bid, day - 1), fate(with_('pending'), bid, day)]).toEqual(['open', 'lost'])
  expect(fate({ ...with_('pending'), status: 'assigned', assigned_agent_id: 'me' }, bid, day)).toBe('won')
  const twice = job({ bids: ['cancelled', 'pending', 'cancelled'].map((status, at) => ({ bid_id: `b${at}`, agent_id: 'me', status })) })
  expect(ownBid(twice, 'me')?.bid_id).toBe('b1')
})

test('counts open bids, won jobs and local work against the capacity', () => {
  const served = { profile, serverId: 'agent_1', refused: null, goneAt: null }
  const bid = (jobId: string, at = 0) => ({ agent: 'a', jobId, bidId: 'b', at })
  const won = { key: 'k', agent: 'a', jobId: 'w', rowId: 'row', deadline: 0, tries: 0, nextAt: 0 }
  const load = (active: string[], status = 'idle'): Load => ({
    active: active.map((id) => ({ id, status: 'pending', assigned_to: 'a' })),
    statuses: new Map([['a', status]]),
  })
  const state = (given: Partial<State>): State => ({ ...firstState, agents: { a: served }, ...given })
  const free = (given: Partial<State>, one = load([])) => freeFor('a', one, state(given), { now: 100, bidLapse: 100 })
  expect([
    free({}),
    free({ bids: [bid('1', 50)] }),
    free({ bids: [bid('1', 50), bid('2', 50)] }),
    free({ bids: [bid('old')] }),
    free({ won: [won] }, load(['row'])),
    free({ won: [won] }, load(['row', 'local'])),
    free({}, load([], 'blocked')),
    free({}, load([], 'offline')),
    freeFor('nobody', load([]), firstState, { now: 0, bidLapse: 1 }),
  ]).toEqual([2, 1, 0, 2, 1, 0, 0, 0, 0])
  const beat = (active: string[], status?: string) => beatOf('a', load(active, status), state({}))
  expect(
    [beat([]), beat(['1']), beat(['1', '2']), beat([], 'blocked'), beat([], 'offline')].map(
      (one) => `${one.status} ${one.current_capacity}`,
    ),
  ).toEqual(['available 2', 'available 1', 'busy 0', 'busy 0', 'offline 0'])
})

test('a specialist stays with its gateway while that lives', () => {
  const row = (agent_id: string, status = 'idle', health_status = 'healthy') => ({ agent_id, status, health_status })
  const rows = [row('g2'), row('g1'), row('g0', 'offline'), row('g00', 'idle', 'stale')]
  expect([gatewayOf(rows, null), gatewayOf(rows, 'g2'), gatewayOf(rows, 'g0'), gatewayOf([], 'g1')]).toEqual(['g1', 'g2', 'g1', null])
})

test('times are UTC, and one wrong job hides no other', () => {
  const at = job({ assigned_at: '2026-01-02T03:04:05.678901' }).assigned_at
  expect([at, job({ assigned_at: '2026-01-02T03:04:05.678Z' }).assigned_at]).toEqual([Date.UTC(2026, 0, 2, 3, 4, 5, 678), at])
  const { success, data } = jobList.safeParse({ jobs: [{ job_id: 1 }, { job_id: 'b', budget_usd: 1, status: 'posted' }], count: 2 })
  expect([success, data?.map(({ job_id }) => job_id)]).toEqual([true, ['b']])
})

test('no text that somebody posts is more than a message takes', () => {
  const long = `\0\ud800${'\u0001'.repeat(300_000)}`
  const hostile = job({ title: long, description: long, required_capabilities: Array(1_000).fill(long.slice(0, 3_000)) })
  const told = jobText(hostile, 5_000)
  const asked = JSON.stringify(Array(10).fill(told))
  expect([asked.length < 2 ** 20, asked.includes('\\u0000'), told.description.isWellFormed()]).toEqual([true, false, true])
  expect(jobList.parse({ jobs: [{ job_id: 'a b\n', budget_usd: 1, status: 'posted' }] })).toEqual([])
})

test('what an error says is told as a text that the database takes', () => {
  const half = `\0${'x'.repeat(298)}\u{1f600}`
  const told = `${'x'.repeat(298)}\ufffd`
  expect([detailOf(half), detailOf(JSON.stringify({ detail: half })), detailOf('{"detail":"\\ud83d"}')]).toEqual([told, told, '\ufffd'])
  expect(detailOf(JSON.stringify({ detail: [{ msg: 'no' }] }))).toBe('[{"msg":"no"}]')
})

test('reads durations, wallets, waits and results', () => {
  const of = (pollEvery: unknown) => settings.parse({ pollEvery }).pollEvery
  expect([of(undefined), of('30'), of('30s'), of('500ms'), of('2m'), of(250)]).toEqual([30_000, 30_000, 30_000, 500, 120_000, 250])
  expect(['soon', '0', '5 d'].map((pollEvery) => settings.safeParse({ pollEvery }).success)).toEqual([false, false, false])
  expect(settings.safeParse({ heartbeatEvery: '2m' }).success).toBe(false)
  expect(placeholderWallet('o', 'a')).toMatch(/^0x[0-9a-f]{40}$/)
  expect(new Set([placeholderWallet('o', 'a'), placeholderWallet('o', 'b'), placeholderWallet('oa', '')]).size).toBe(3)
  expect(['wait 7 seconds', 'wait 0 seconds', 'later'].map(secondsIn)).toEqual([8_000, 1_000, 10_000])
  expect([outputOf('text'), outputOf({ a: 1 })]).toEqual(['text', '{"a":1}'])
})

test('keeps what is over as long as the marketplace lists it, and waits longer each time', () => {
  let state: State = end(firstState, { key: 'listed', agent: 'a' }, 'failed', 'x', 0)
  for (let at = 1; at <= 600; at++) state = end(seenAgain(state, 'listed', at), { key: `k${at}`, agent: 'a' }, 'delivered', '', at)
  expect([state.ended.length, state.ended.some(({ key }) => key === 'listed')]).toEqual([500, true])
  const pace = { first: 10, most: 100, chance: 0.5 }
  expect([0, 1, 3, 50].map((times) => later(times, 0, pace).until)).toEqual([10, 20, 80, 100])
})
