import { type Limits, readLimits } from '../markets/limits.ts'
import { type Found, findAll } from './findings.ts'
import { type OpenSource, openSource } from './market-source.ts'
import { deepResearch, liveKey, publication } from './opportunity.ts'
import { bestEdgeOf, type ScanSummary, tally } from './scan-summary.ts'
import type { ScannerCtx } from './scanner-args.ts'
import { type Survey, survey } from './survey.ts'

// So many markets may wait for a researcher; a team without one collects no more.
const mostWaiting = 50

/** Looks at the markets once: publishes what is worth buying, and gives markets to the researcher. */
export async function scan(ctx: ScannerCtx): Promise<ScanSummary> {
  const opened = await openSource(ctx.state.source ?? ctx.args.market, { http: ctx.http, signal: ctx.signal, clock: ctx.now })
  if (ctx.state.source !== opened.name) ctx.log[opened.isSimulated ? 'warn' : 'info'](opened.detail)
  const limits = readLimits(await ctx.db.read('system_config'))
  const seen = await survey(opened.source, ctx.args, { signal: ctx.signal })
  const { strategies, minEdge } = ctx.args
  // An opinion is the researcher's, who looks at the book again.
  const names = strategies.filter((name) => name !== 'model_opinion')
  const { findings, found } = limits === undefined ? { findings: [], found: [] } : findAll(seen, names, { limits, minEdge })
  const live = await liveKeys(ctx)
  const published = publishAll(found, opened, live, limits, ctx)
  const research = strategies.includes('model_opinion') && limits?.tradingEnabled ? await askResearch(seen, opened, live, ctx) : []
  const reasons = [
    ...seen.skipped,
    ...findings.filter(({ kind }) => kind === 'pass').map((pass) => (pass.kind === 'pass' ? pass.reason : '')),
  ]
  const summary: ScanSummary = {
    ...{ source: opened.name, isSimulated: opened.isSimulated, detail: opened.detail, at: ctx.now() },
    ...{ markets: seen.seen, tradable: seen.tradable, bestEdge: bestEdgeOf(findings) },
    ...{ opportunities: published.length, research: research.length, skipped: tally([...reasons, ...haltOf(limits)]) },
  }
  remember(summary, research, ctx)
  return summary
}

function haltOf(limits: Limits | undefined): readonly string[] {
  if (limits === undefined) return ['config_missing']
  return limits.tradingEnabled ? [] : ['trading_disabled']
}

/** The keys of what is waiting for a trader or being traded. */
async function liveKeys(ctx: ScannerCtx): Promise<ReadonlySet<string>> {
  const rows = await ctx.db.read(
    'trade_opportunities',
    { status: { in: ['pending', 'approved'] }, dedupe_key: { neq: '' } },
    { order: [{ by: 'discovered_at', descending: true }] },
  )
  return new Set(rows.map(({ dedupe_key }) => String(dedupe_key)))
}

function publishAll(found: readonly Found[], opened: OpenSource, live: ReadonlySet<string>, limits: Limits | undefined, ctx: ScannerCtx) {
  const keys = new Set(live)
  const published: Found[] = []
  for (const one of limits?.tradingEnabled ? found : []) {
    const { opportunity, eventId, question } = one
    const { marketId } = opportunity.legs[0]
    const key = liveKey(opened.name, opportunity.strategy, { marketId, eventId })
    if (keys.has(key)) continue
    keys.add(key)
    const about = { source: opened.name, question, by: ctx.self, eventId, expiresIn: ctx.args.expiresIn }
    ctx.db.write('publish_opportunity', publication({ id: ctx.id(key), finding: opportunity, ...about }))
    published.push(one)
  }
  return published
}

/** Gives the liveliest markets that nobody has looked at lately to the researcher. */
async function askResearch(
  { markets }: Survey,
  opened: OpenSource,
  live: ReadonlySet<string>,
  ctx: ScannerCtx,
): Promise<readonly string[]> {
  const waiting = (await ctx.db.read('v_active_jobs', { job_type: 'deep_research', status: 'pending' }, { limit: mostWaiting })).length
  const most = Math.min(opened.isSimulated ? ctx.args.shortList : ctx.args.research, mostWaiting - waiting)
  const since = ctx.now() - ctx.args.researchEvery
  const due = markets.filter(({ id }) => (ctx.state.researched[keyOf(opened, id)] ?? 0) <= since)
  const free = due.filter(({ id }) => !live.has(liveKey(opened.name, 'model_opinion', { marketId: id })))
  return free.slice(0, Math.max(0, most)).flatMap(({ id, question }) => {
    const payload = deepResearch.safeParse({ market_id: id, question, source: opened.name })
    if (!payload.success) return []
    ctx.jobs.create('deep_research', payload.data, { dedupeKey: `research:${opened.name}:${id}` })
    return [keyOf(opened, id)]
  })
}

function keyOf({ name }: OpenSource, id: string): string {
  return `${name} ${id}`
}

function remember(summary: ScanSummary, research: readonly string[], ctx: ScannerCtx): void {
  const { researched, text } = ctx.state
  const since = ctx.now() - ctx.args.researchEvery
  const fresh = Object.entries(researched).filter(([, at]) => at > since)
  const added = research.map((key) => [key, ctx.now()] as const)
  ctx.state = { source: summary.source, summary, text, researched: Object.fromEntries([...fresh, ...added]) }
}
