import { randomBytes } from 'node:crypto'

/** An answer of the marketplace; a text is what it says of an error that nobody handled. */
export type Reply = { readonly status: number; readonly body: unknown }
export const ok = (body: unknown): Reply => ({ status: 200, body })
export const refused = (status: number, detail: unknown): Reply => ({ status, body: { detail } })
/** What FastAPI makes of an exception that no route handles. */
export const crashed: Reply = { status: 500, body: 'Internal Server Error' }

export type Json = Record<string, unknown>
export type Agent = Json & {
  agent_id: string
  wallet_address: string
  status: string
  capabilities: Record<string, number>
  last_active: number
}
export type Bid = Json & { bid_id: string; agent_id: string; status: string; price_usd: number }
export type Job = Json & {
  job_id: string
  status: string
  budget_usd: number
  required_capabilities: string[]
  min_capability_score: number
  assigned_agent_id: string | null
  assigned_at: string | null
  winning_bid_id: string | null
  result: Json | null
  attachments: Json[]
}

/** Faithful: as the server of the contract behaves. Fixed: as one would that has its defects cured. */
export type Mode = 'faithful' | 'fixed'

export type Market = {
  readonly mode: Mode
  /** Ms between two registrations of an owner. */
  readonly coolDown: number
  readonly agents: Map<string, Agent>
  readonly jobs: Job[]
  readonly bids: Map<string, Bid[]>
  readonly files: Map<string, Uint8Array>
  /** By owner, the start of the last registration. */
  readonly registered: Map<string, number>
}

export const idOf = (kind: string) => `${kind}_${randomBytes(4).toString('hex')}`

/** UTC without saying so, as Python's isoformat writes it; fixed says so. */
export function timeText(market: Market, at = Date.now()): string {
  const text = new Date(at).toISOString()
  return market.mode === 'fixed' ? text : `${text.slice(0, -1)}000`
}

export const jobOf = (market: Market, id: string) => market.jobs.find(({ job_id }) => job_id === id)

export function addJob(market: Market, given: Json): Job {
  const job: Job = {
    ...{ job_id: idOf('job'), title: '', description: '', task_type: 'analysis', required_capabilities: [], min_capability_score: 0.7 },
    ...{ attachments: [], budget_usd: 1, deadline_minutes: 10, status: 'posted', bid_count: 0, winning_bid_id: null },
    ...{
      assigned_agent_id: null,
      assigned_at: null,
      result: null,
      created_at: timeText(market),
      data_context: null,
      _id: randomBytes(12).toString('hex'),
    },
    ...given,
  }
  market.jobs.push(job)
  return job
}

const fields = ['name', 'description', 'owner_id', 'wallet_address']

export function register(market: Market, body: Json): Reply {
  const missing = fields.filter((name) => typeof body[name] !== 'string')
  if (missing.length > 0)
    return refused(
      422,
      missing.map((name) => ({ type: 'missing', loc: ['body', name], msg: 'Field required', input: body })),
    )
  const owner = String(body.owner_id)
  const wait = (market.registered.get(owner) ?? Number.NEGATIVE_INFINITY) + market.coolDown - Date.now()
  // The seconds are cut, so that it may say 0.
  if (wait > 0) return refused(429, `Rate limit exceeded. Please wait ${Math.floor(wait / 1_000)} seconds before registering another agent`)
  market.registered.set(owner, Date.now())
  const wallet = String(body.wallet_address)
  const known = [...market.agents.values()].find((agent) => agent.wallet_address.toLowerCase() === wallet.toLowerCase())
  const fresh = { capabilities: (body.capabilities ?? {}) as Record<string, number>, status: 'available', last_active: Date.now() }
  const agent: Agent = { agent_id: idOf('agent'), wallet_address: wallet, name: body.name, ...known, ...fresh }
  market.agents.set(agent.agent_id, agent)
  const { agent_id, status, name } = agent
  return ok({ success: true, agent_id, name, execution_mode: 'self_hosted', status, wallet_address: wallet, message: 'registered' })
}

export function beat(market: Market, id: string, { status, current_capacity = 1 }: Json): Reply {
  const agent = market.agents.get(id)
  if (!agent) return refused(404, 'Agent not found')
  if (!['available', 'busy', 'offline'].includes(String(status))) return refused(400, `Invalid status: ${status}`)
  Object.assign(agent, { status, current_capacity, last_active: Date.now() })
  return ok({ success: true, agent_id: id, status, last_active: timeText(market), pending_jobs_count: 0, pending_jobs: [] })
}

/** Agents that said nothing for five minutes are gone, and their bids with them. */
export function sweep(market: Market, now = Date.now()): void {
  const gone = new Set([...market.agents.values()].filter((agent) => now - agent.last_active > 5 * 60_000).map(({ agent_id }) => agent_id))
  for (const id of gone) Object.assign(market.agents.get(id) ?? {}, { status: 'offline' })
  for (const bid of [...market.bids.values()].flat()) {
    if (gone.has(bid.agent_id) && bid.status === 'pending') Object.assign(bid, { status: 'cancelled', cancelled_reason: 'agent_offline' })
  }
}

const bidFields = ['agent_id', 'price_usd', 'estimated_quality', 'estimated_time_seconds', 'approach_summary']

export function placeBid(market: Market, id: string, query: URLSearchParams): Reply {
  const missing = bidFields.filter((name) => !query.has(name))
  if (missing.length > 0)
    return refused(
      422,
      missing.map((name) => ({ type: 'missing', loc: ['query', name], msg: 'Field required', input: null })),
    )
  const seconds = String(query.get('estimated_time_seconds'))
  if (!/^-?\d+$/.test(seconds))
    return refused(422, [{ type: 'int_parsing', loc: ['query', 'estimated_time_seconds'], msg: 'no integer', input: seconds }])
  const agent = market.agents.get(String(query.get('agent_id')))
  const price = Number(query.get('price_usd'))
  const fault = bidFault(market, jobOf(market, id), agent, price)
  const job = jobOf(market, id)
  if (fault !== undefined || !agent || !job) return market.mode === 'fixed' ? refused(400, fault) : crashed
  const status = price >= 10 ? 'awaiting_approval' : 'pending'
  if (price >= 10) job.status = status
  agent.status = 'available'
  const bid: Bid = {
    bid_id: idOf('bid'),
    agent_id: agent.agent_id,
    price_usd: price,
    status,
    created_at: timeText(market),
    approach: query.get('approach_summary'),
  }
  market.bids.set(id, [...(market.bids.get(id) ?? []), bid])
  return ok({ bid_id: bid.bid_id, status: 'submitted' })
}

function bidFault(market: Market, job: Job | undefined, agent: Agent | undefined, price: number): string | undefined {
  if (!job || !agent) return 'unknown job or agent'
  if (!['open', 'posted', 'bidding'].includes(job.status)) return `the job is ${job.status}`
  if (price > job.budget_usd) return 'over the budget'
  if (agent.status === 'suspended') return 'suspended'
  if (job.required_capabilities.some((name) => (agent.capabilities[name] ?? 0) < job.min_capability_score)) return 'a capability is too low'
  if (market.mode === 'faithful') return undefined
  const isDouble = market.bids.get(job.job_id)?.some((bid) => bid.agent_id === agent.agent_id && bid.status === 'pending')
  return price <= 0 ? 'the price is not positive' : isDouble ? 'a second bid' : undefined
}

/** From any state on the faithful one. */
export function select(market: Market, id: string, bidId: string): Reply {
  const job = jobOf(market, id)
  const bid = market.bids.get(id)?.find(({ bid_id }) => bid_id === bidId)
  if (!job || !bid) return refused(400, 'Bid not found')
  if (market.mode === 'fixed' && job.assigned_agent_id !== null) return refused(400, 'The job is assigned')
  bid.status = 'accepted'
  Object.assign(job, {
    status: 'assigned',
    winning_bid_id: bidId,
    assigned_agent_id: bid.agent_id,
    assigned_at: timeText(market),
    final_price_usd: bid.price_usd,
  })
  return ok({ job_id: id, winning_bid_id: bidId, status: 'assigned' })
}

export function submit(market: Market, id: string, body: Json): Reply {
  if (typeof body.success !== 'boolean' || typeof body.output !== 'string')
    return refused(422, [{ type: 'string_type', loc: ['body', 'output'], msg: 'a string', input: body.output }])
  const job = jobOf(market, id)
  if (!job) return refused(404, 'Job not found')
  if (job.status !== 'assigned') return refused(400, `Job is not in assigned state (status: ${job.status})`)
  if (job.assigned_agent_id !== body.executed_by) return refused(403, 'Another agent has the job')
  if (!body.success && market.mode === 'faithful') return crashed
  Object.assign(job, { status: body.success ? 'completed' : 'disputed', result: { ...body, submitted_at: timeText(market) } })
  return ok({ job_id: id, status: job.status })
}

/** The newest hundred of all, then filtered; fixed filters first. */
export function list(market: Market, query: URLSearchParams, agent?: string): Reply {
  const status = query.get('status')
  const fits = (job: Job) => (status === null || job.status === status) && (agent === undefined || job.assigned_agent_id === agent)
  const newest = [...market.jobs].reverse()
  const jobs = market.mode === 'fixed' ? newest.filter(fits).slice(0, 1_000) : newest.slice(0, 100).filter(fits)
  return ok({ jobs, count: jobs.length })
}
