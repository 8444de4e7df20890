import { ActorError, type Context, defineActor } from 'troupe/actor'
import * as z from 'zod'
import { readLimits } from './lib/markets/limits.ts'
import type { Market } from './lib/markets/market.ts'
import { polymarketOrigins } from './lib/markets/polymarket.ts'
import type { Finding, Opinion } from './lib/markets/strategies/strategy.ts'
import { skipReason } from './lib/markets/tradable.ts'
import { eventOf, filterArgs } from './lib/trading/market-args.ts'
import { mayOpen, type OpenSource, openSource, sourceName } from './lib/trading/market-source.ts'
import { type DeepResearch, deepResearch, publication } from './lib/trading/opportunity.ts'
import { opinionOf, type ResearchRules, researchRules, type Sample, shrunk } from './lib/trading/research.ts'
import { middleOf, worthOf } from './lib/trading/research-market.ts'
import { foundOf, type Remembered, recall, remember } from './lib/trading/research-memory.ts'
import { isAddressedToModel, questionOf, sampleSchema } from './lib/trading/research-question.ts'

const part = z.number().min(0).max(1)
const args = z.object({
  market: sourceName.default('auto'),
  filter: filterArgs,
  /** Another model than the configured one. */
  model: z.string().min(1).optional(),
  /** How often the model is asked about a market, and how many of its answers an opinion needs. */
  samples: z.int().min(1).max(9).default(3),
  minSamples: z.int().min(1).max(9).default(researchRules.minSamples),
  minEvidence: z.int().min(0).max(8).default(researchRules.minEvidence),
  /** The part of the way from the market's price to the model's opinion that is gone. */
  weight: part.default(researchRules.weight),
  /** Ms that an opinion lasts. */
  keepFor: z
    .number()
    .min(0)
    .default(6 * 3_600_000),
  /** Ms that an opportunity lasts. */
  expiresIn: z
    .number()
    .min(1_000)
    .default(6 * 3_600_000),
})

interface State {
  readonly researched: number
  readonly opportunities: number
  readonly memory: readonly Remembered[]
}

const sql = ['system_config', 'publish_opportunity'] as const
type Ctx = Context<z.output<typeof args>, State, (typeof sql)[number]>

/** What came of a job; the job's result. */
type Outcome =
  | { readonly outcome: 'refused'; readonly reason: string; readonly detail?: string | undefined }
  | {
      readonly outcome: 'no_trade' | 'opportunity'
      readonly reason?: string
      readonly edge: number | null
      readonly probability: number
      readonly confidence: number
      readonly price: number
      readonly summary: string
    }

/** What is researched. `price` is what the market believes. */
interface Topic {
  readonly opened: OpenSource
  readonly market: Market
  readonly price: number
}

/** An opinion with where it comes from. */
interface Believed extends Opinion {
  readonly method: string
  readonly summary: string
}

const maxTokens = 2_000

/** Finds out how likely a market's outcome is, and publishes what is worth more than it costs. */
export default defineActor({
  args,
  sql,
  origins: polymarketOrigins,
  persist: true,
  messages: { summary: z.unknown() },
  jobs: { deep_research: deepResearch, research: deepResearch },
  init: (): State => ({ researched: 0, opportunities: 0, memory: [] }),
  receive: {
    summary: (_, { state: { researched, opportunities, memory } }) => ({ researched, opportunities, remembered: memory.length }),
  },
  run: { deep_research: research, research },
})

async function research(job: DeepResearch, ctx: Ctx) {
  const { market: own } = ctx.args
  // What comes from the database chooses no folder and no address.
  if (job.source && !mayOpen(job.source, own)) throw ctx.fatal(`"${job.source}" is not a market source that may be opened here`)
  const opened = await openSource(job.source ?? own, { http: ctx.http, clock: () => ctx.now(), signal: ctx.signal })
  const found = await researchOn(opened, job.market_id, ctx)
  const { researched, opportunities, memory } = ctx.state
  const isOpportunity = found.outcome === 'opportunity'
  ctx.state = { researched: researched + 1, opportunities: opportunities + (isOpportunity ? 1 : 0), memory }
  const last = found.reason === undefined ? found.outcome : `${found.outcome}, ${found.reason}`
  ctx.status(
    'idle',
    `${opened.isSimulated ? 'SIMULATED: ' : ''}${researched + 1} researched, ${ctx.state.opportunities} opportunities; last: ${last}`,
  )
  return { market_id: job.market_id, source: opened.name, is_simulated: opened.isSimulated, ...found }
}

async function researchOn(opened: OpenSource, id: string, ctx: Ctx): Promise<Outcome> {
  const { source, opinion } = opened
  const cancel = { signal: ctx.signal }
  const limits = readLimits(await ctx.db.read('system_config'))
  if (limits === undefined) return { outcome: 'refused', reason: 'config_invalid' }
  const market = await source.market(id, cancel)
  if (market === undefined) return { outcome: 'refused', reason: 'no_such_market' }
  const skip = skipReason(market, ctx.args.filter, source.now())
  if (skip !== undefined) return { outcome: 'refused', reason: skip }
  const price = middleOf(market, await source.books(market.tokens, cancel))
  if (price === undefined) return { outcome: 'refused', reason: 'no_price' }
  const topic = { opened, market, price }
  const believed = opinion ? await simulatedOpinion(opened, id) : await askedOpinion(topic, ctx)
  if ('outcome' in believed) return believed
  // A model takes its time, and the first books are old by now.
  const books = await source.books(market.tokens, cancel)
  return conclude(topic, believed, worthOf({ market, books, now: source.now() }, believed, limits), ctx)
}

/** Somebody who knows more than the made-up market; no model knows anything of it. */
async function simulatedOpinion({ opinion }: OpenSource, id: string): Promise<Believed | Outcome> {
  const known = await opinion?.(id)
  if (known === undefined) return { outcome: 'refused', reason: 'no_opinion' }
  return { ...known, method: 'simulated_opinion', summary: `SIMULATED opinion: ${known.probability.toFixed(2)}, not of a model` }
}

async function askedOpinion({ opened: { name, source }, market, price }: Topic, ctx: Ctx): Promise<Believed | Outcome> {
  if (isAddressedToModel(market)) return { outcome: 'refused', reason: 'suspicious_text' }
  const { samples, minSamples, ...given } = ctx.args
  const rules: ResearchRules = { ...researchRules, ...given, minSamples: Math.min(minSamples, samples), now: source.now() }
  const key = `${name}:${market.id}`
  const memory = { now: ctx.now(), keepFor: ctx.args.keepFor, maxMove: 0.05 }
  const known = recall(ctx.state.memory, key, price, memory)
  const found = known?.found ?? foundOf(opinionOf(await samplesOf(market, rules, ctx), price, rules))
  if (known === undefined) ctx.state = { ...ctx.state, memory: remember(ctx.state.memory, { key, at: ctx.now(), price, found }) }
  if (found.kind === 'refused') return { outcome: 'refused', reason: found.reason, detail: found.detail }
  const { said, confidence, summary } = found
  return { probability: shrunk(said, price, rules.weight), confidence, method: 'model_opinion', summary }
}

/** Asks several times; each answer is paid once, however often the turn is repeated. */
async function samplesOf(market: Market, { now, minSamples }: ResearchRules, ctx: Ctx): Promise<Sample[]> {
  const question = questionOf(market, now)
  const asked = Array.from({ length: ctx.args.samples }, (_, at) => ctx.step(`sample ${at + 1}`, () => sampleOf(question, ctx)))
  const settled = await Promise.allSettled(asked)
  const samples = settled.flatMap((one) => (one.status === 'fulfilled' && one.value !== null ? [one.value] : []))
  const failure = settled.find((one) => one.status === 'rejected')
  if (failure !== undefined && samples.length < minSamples) throw failure.reason
  return samples
}

/** One answer; null when the model, or its endpoint, has nothing that can be used: asking again would only cost again. */
async function sampleOf(question: ReturnType<typeof questionOf>, ctx: Ctx): Promise<Sample | null> {
  const { model } = ctx.args
  try {
    const { value } = await ctx.llm.object({ ...question, schema: sampleSchema, temperature: 0.7, maxTokens, model })
    return value
  } catch (error) {
    if (!isUnusable(error)) throw error
    ctx.log.warn(`An answer about a market cannot be used: ${(error as Error).message.slice(0, 300)}`)
    return null
  }
}

function isUnusable(error: unknown): boolean {
  if (!(error instanceof ActorError) || error.code !== 'MODEL_FAILED') return false
  const { reason, status } = error.details
  // Some endpoints refuse a text as such.
  return reason === 'answer_unfit' || reason === 'answer_cut' || status === 400 || status === 403 || status === 422
}

function conclude({ opened: { name, source }, market, price }: Topic, believed: Believed, finding: Finding, ctx: Ctx): Outcome {
  const { probability, confidence, method, summary } = believed
  const common = { edge: finding.edge ?? null, probability, confidence, price, summary }
  if (finding.kind === 'pass') return { outcome: 'no_trade', reason: finding.reason, ...common }
  const left = (market.endsAt ?? Number.POSITIVE_INFINITY) - source.now()
  const discovery = {
    ...{ id: ctx.id('opportunity'), finding, source: name, question: market.question, by: ctx.self, method, summary },
    ...{ eventId: eventOf(market), expiresIn: Math.min(ctx.args.expiresIn, left) },
  }
  ctx.db.write('publish_opportunity', publication(discovery))
  ctx.log.info(`${finding.legs[0].side} of "${market.question}" is worth it: edge ${finding.edge.toFixed(3)}`, { source: name })
  return { outcome: 'opportunity', ...common }
}
