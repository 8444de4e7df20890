import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { State } from '../../../actors/lib/bazaar/state.ts'
import { type Ground, openGround, teamOn } from '../../runtime/team.ts'
import { type Job, type Marketplace, startMarketplace } from './marketplace.ts'

const actors = join(import.meta.dirname, 'actors')
const limit = { timeout: 120_000 }
let ground: Ground

beforeAll(async () => {
  ground = await openGround()
})
afterAll(() => ground?.[Symbol.asyncDispose]())

const gateway = (id: string, { url }: Marketplace, args: object = {}) => ({
  ...{ id, type: 'bazaar-gateway', origins: [url] },
  args: { api: url, owner: id, pollEvery: 200, heartbeatEvery: 400, ...args },
})
const specialist = (id: string, args: object = {}) => ({ id, type: 'summarizer', args: { reportEvery: 600, ...args } })
const teamWith = (agents: readonly object[]) => teamOn(ground, agents, { actors })

const work = { title: 'A summary', description: 'one two three', required_capabilities: ['summarizing'], budget_usd: 0.5 }
const isRegistered = (market: Marketplace, agents = 1) =>
  market.until('the agents are registered', () => market.market.agents.size === agents)
const submissions = (market: Marketplace, { job_id }: Job) =>
  market.of('POST', new RegExp(`${job_id}/submit-result$`)).map(({ status }) => status)

async function hasBid(market: Marketplace, { job_id }: Job): Promise<string> {
  await market.until('there is a bid', () => market.bids(job_id).some(({ status }) => status === 'pending'))
  return market.bids(job_id).find(({ status }) => status === 'pending')?.bid_id ?? ''
}

async function win(market: Marketplace, job: Job): Promise<void> {
  market.select(job.job_id, await hasBid(market, job))
}

const isDone = (market: Marketplace, { job_id }: Job) => market.until('it is delivered', () => market.job(job_id)?.status === 'completed')

/** Lets the gateway look at the marketplace a few times more. */
async function polled(market: Marketplace, times = 3): Promise<void> {
  const polls = () => market.of('GET', /^\/api\/jobs$/).length
  const before = polls()
  await market.until('the gateway polls', () => polls() >= before + times)
}

test.for(['faithful', 'fixed'] as const)('the whole life of a job, on the %s marketplace', limit, async (mode, { expect }) => {
  await using market = await startMarketplace({ mode, coolDown: mode === 'faithful' ? 3_000 : 0 })
  const [gate, one, two] = [`life-gate-${mode}`, `life-one-${mode}`, `life-two-${mode}`]
  market.faults.for = (_, path) => {
    // Somebody else of this owner has just registered.
    if (path.endsWith('register') && !market.market.registered.has(gate)) market.market.registered.set(gate, Date.now())
    return undefined
  }
  // The gateway registers one in ten seconds, which one of the two marketplaces may save us.
  const workers = [specialist(one), ...(mode === 'faithful' ? [specialist(two, { agent: { name: 'Two', base_rate_usd: 0.06 } })] : [])]
  await using team = teamWith([gateway(gate, market), ...workers])
  await team.start()
  await isRegistered(market, workers.length)
  const registrations = market.of('POST', /register$/)
  expect(new Set(registrations.map(({ body }) => body?.wallet_address)).size).toBe(workers.length)
  expect(registrations.map(({ status }) => status)).toEqual(mode === 'faithful' ? [429, 200, 200] : [200])

  const job = market.post({ ...work, title: 'A slow 2000 summary' })
  market.attach(job, 'notes.txt', 'four')
  await market.until('all have bid', () => market.bids(job.job_id).length === workers.length)
  const [bid] = market.bids(job.job_id)
  market.select(job.job_id, String(bid?.bid_id))
  const winner = `/api/agents/${bid?.agent_id}/heartbeat`
  await market.until('it says that it is busy', () => market.calls.some(({ path, body }) => path === winner && body?.status === 'busy'))
  await isDone(market, job)
  const [answer] = market.of('POST', /submit-result$/)
  const worker = registrations.find(({ body }) => body?.name === market.market.agents.get(String(bid?.agent_id))?.name)
  const by = worker?.body?.name === 'Two' ? two : one
  expect([JSON.parse(String(answer?.body?.output)), answer?.body?.executed_by]).toEqual([
    { words: 3, files: ['notes.txt 4'], by },
    bid?.agent_id,
  ])
  await market.until('it is free again', () => market.of('POST', /heartbeat$/).at(-1)?.body?.status === 'available')
  await polled(market)
  expect(submissions(market, job)).toEqual([200])
  expect(market.bids(job.job_id)).toHaveLength(workers.length)

  await team.stop()
  expect([...market.market.agents.values()].map(({ status }) => status)).toEqual(workers.map(() => 'offline'))
})

test(
  'won work is given up when it has failed three times, and would be begun again more often after the end of a process',
  limit,
  async () => {
    await using market = await startMarketplace({ coolDown: 0 })
    await using team = teamWith([gateway('broken-gate', market, { onFailure: 'report' }), specialist('broken-one')])
    await team.start()
    await isRegistered(market)
    const job = market.post({ ...work, title: 'A broken summary' })
    await win(market, job)
    await isDone(market, job)
    const [row] = await ground.store.read('agent_jobs', { assigned_to: 'broken-one' })
    const { status, attempt, max_attempts, error_message, dead_reason } = row ?? {}
    expect([status, attempt, max_attempts, dead_reason]).toEqual(['failed', 3, 20, 'fatal'])
    expect(error_message).toContain('It failed at attempt 3: a word is missing')
    const [report] = market.of('POST', /submit-result$/)
    expect(JSON.parse(String(report?.body?.output))).toMatchObject({ failed: true, reason: expect.stringContaining('a word is missing') })
  },
)

test('bids for no more than it could win, and knows when it has lost', limit, async () => {
  await using market = await startMarketplace({ coolDown: 0 })
  await using team = teamWith([gateway('lose-gate', market), specialist('lose-one')])
  await team.start()
  await isRegistered(market)
  const refused = [
    { budget_usd: 0.01 },
    { budget_usd: -1 },
    { required_capabilities: ['magic'] },
    { status: 'negotiating' },
    { title: 'Interest' },
  ]
  for (const given of refused) market.post({ ...work, ...given })
  const jobs = Array.from({ length: 5 }, () => market.post(work))
  const withBid = () => jobs.filter(({ job_id }) => market.bids(job_id).some(({ status }) => status === 'pending'))
  const losses: ((job: Job) => void)[] = [
    (job) => Object.assign(job, { status: 'assigned', assigned_agent_id: 'agent_other' }),
    ({ job_id }) => Object.assign(market.bids(job_id)[0] ?? {}, { status: 'cancelled' }),
    (job) => market.market.jobs.splice(market.market.jobs.indexOf(job), 1),
    (job) => Object.assign(job, { status: 'cancelled' }),
  ]
  const seen: Job[] = []
  for (const lose of losses) {
    const open = () => withBid().filter((job) => !seen.includes(job))
    await market.until('there is one bid more', () => open().length === 1)
    await polled(market)
    expect(open()).toHaveLength(1)
    const [job] = open()
    if (!job) throw new Error('There is no bid')
    seen.push(job)
    lose(job)
  }
  await market.until('it bids for the last one', () => withBid().length === 4 && jobs.every((job) => market.bids(job.job_id).length === 1))
  expect(market.of('POST', /bids$/).map(({ status }) => status)).toEqual([200, 200, 200, 200, 200])
})

test('delivers once, whatever gets lost; a job that is assigned again is done again', limit, async () => {
  await using market = await startMarketplace({ coolDown: 0 })
  const once = new Set<string>()
  const fault = (what: string) => (once.has(what) ? undefined : once.add(what) && ('lost' as const))
  await using team = teamWith([gateway('lost-gate', market), specialist('lost-one')])
  await team.start()
  await isRegistered(market)
  market.faults.for = (_, path) => (path.endsWith('bids') ? fault('bid') : path.endsWith('submit-result') ? fault('result') : undefined)
  const job = market.post(work)
  await hasBid(market, job)
  await polled(market)
  await win(market, job)
  await isDone(market, job)
  await polled(market)
  expect([market.bids(job.job_id).length, submissions(market, job)]).toEqual([1, [200]])

  market.select(job.job_id, String(job.winning_bid_id))
  await isDone(market, job)
  await polled(market)
  // Assigned again without another time: a state that cannot be trusted.
  job.status = 'assigned'
  await polled(market)
  expect(submissions(market, job)).toEqual([200, 200])
  const { won, bids, ended } = (await team.ask('lost-gate', 'summary')) as State
  expect([won, bids, ended.map(({ ending }) => ending)]).toEqual([[], [], ['delivered', 'delivered']])
})

test('a failure is told once and stays one, a passed deadline too; errors of the marketplace are waited out', limit, async () => {
  await using market = await startMarketplace({ coolDown: 0 })
  await using team = teamWith([gateway('fail-gate', market), specialist('fail-one')])
  await team.start()
  await isRegistered(market)
  const bad = market.post({ ...work, title: 'A summary to fail' })
  await win(market, bad)
  await market.until('it has told', () => submissions(market, bad).length === 1)
  const late = market.post({ ...work, title: 'A slow 60000 summary' })
  const bid = await hasBid(market, late)
  late.deadline_minutes = 0.02
  market.select(late.job_id, bid)
  await market.until('it has told', () => submissions(market, late).length === 1)
  let errors = 1
  market.faults.for = (_, path) => (path.endsWith('submit-result') && errors-- > 0 ? 'error' : undefined)
  const good = market.post(work)
  await win(market, good)
  await isDone(market, good)
  await polled(market)
  expect([submissions(market, bad), submissions(market, good), bad.status, bad.result]).toEqual([[500], [500, 200], 'assigned', null])
  const { ended } = (await team.ask('fail-gate', 'summary')) as State
  expect(ended.map(({ ending, reason }) => [ending, reason])).toEqual([
    ['failed', expect.stringMatching(/there is nothing to sum up \(the marketplace did not take the failure\)/)],
    ['failed', expect.stringContaining('The deadline passed while the work was done')],
    ['delivered', 'accepted'],
  ])
})

test('another gateway goes on where one ended, and two agents of one wallet are one', limit, async () => {
  await using market = await startMarketplace({ coolDown: 0 })
  const wallet = `0x${'a'.repeat(40)}`
  await using second = teamWith([gateway('z-second-gate', market, { owner: 'over', wallet })])
  await using first = teamWith([gateway('a-first-gate', market, { owner: 'over', wallet })])
  await Promise.all([first.start(), second.start()])
  await using team = teamWith([specialist('over-one'), specialist('over-two')])
  await team.start()
  await isRegistered(market)
  const job = market.post({ ...work, title: 'A slow 3000 summary' })
  await win(market, job)
  await market.until('it works', () => market.of('POST', /heartbeat$/).at(-1)?.body?.status === 'busy')
  await first.stop()
  await isDone(market, job)
  await polled(market)
  const { agents } = (await second.ask('z-second-gate', 'summary')) as State
  expect([Object.keys(agents).length, Object.values(agents).filter(({ refused }) => refused?.includes('wallet')).length]).toEqual([2, 1])
  expect([market.market.agents.size, market.bids(job.job_id).length, submissions(market, job)]).toEqual([1, 1, [200]])
})

test('finds what it won behind a hundred newer jobs, and registers again when it is forgotten', limit, async () => {
  await using market = await startMarketplace({ coolDown: 0 })
  await using team = teamWith([gateway('old-gate', market), specialist('old-one')])
  await team.start()
  await isRegistered(market)
  const job = market.post(work)
  const bid = await hasBid(market, job)
  for (let n = 0; n < 120; n++) market.post({ ...work, status: 'completed' })
  market.select(job.job_id, bid)
  await isDone(market, job)
  market.market.agents.clear()
  await market.until('it is registered again', () => market.market.agents.size === 1, 60_000)
  const next = market.post(work)
  await win(market, next)
  await isDone(market, next)
})

test('two gateways on one database do not bid twice, and local work counts', limit, async () => {
  await using market = await startMarketplace({ coolDown: 0 })
  const gates = ['two-gate-1', 'two-gate-2'].map((id) => gateway(id, market, { owner: 'two' }))
  await using team = teamWith([...gates, specialist('two-one', { capacity: 6 })])
  await team.start()
  await isRegistered(market)
  await ground.store.call('create_jobs', {
    p_batch: [{ job_type: 'summary', created_by: 'outside', payload: { title: 'slow 3000' }, target_agent: 'two-one' }],
  })
  await market.until('the local job counts', () => market.of('POST', /heartbeat$/).at(-1)?.body?.current_capacity === 5)
  const jobs = Array.from({ length: 8 }, () => market.post(work))
  const bids = () => jobs.map(({ job_id }) => market.bids(job_id).length)
  await market.until('it has bid', () => bids().filter((count) => count > 0).length === 6)
  await polled(market, 6)
  expect(bids().sort()).toEqual([0, 0, 1, 1, 1, 1, 1, 1])
})
