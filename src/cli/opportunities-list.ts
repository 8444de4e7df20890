import type { Command, ExitCode, Input } from './command.ts'
import { numberFlag, wordFlag } from './flags.ts'
import { shortId } from './id-beginning.ts'
import { type Opportunity, opportunityStatuses } from './opportunities.ts'
import { formatTable, printJson } from './print.ts'
import { teamOptions } from './team-input.ts'
import { withStore } from './team-store.ts'
import { since } from './times.ts'

const usual = 50

/** Lists opportunities, those that somebody has to decide on unless told otherwise. */
export const opportunitiesList: Command = {
  summary: 'list trade opportunities, by default those that wait for a decision',
  usage: '[--status <word>] [--limit <number>] [--json]',
  examples: [
    'troupe opportunities list',
    'troupe opportunities list --status rejected --limit 10',
    "troupe opportunities list --json | jq -r '.opportunities[].id'",
  ],
  options: {
    status: { type: 'string', value: '<word>', help: `${opportunityStatuses.join(', ')}, or all (default pending)` },
    limit: { type: 'string', value: '<number>', help: `at most so many, the latest first (default ${usual})` },
    ...teamOptions,
  },
  async run(input: Input): Promise<ExitCode> {
    const { options } = input
    const status = wordFlag(options, 'status', [...opportunityStatuses, 'all']) ?? 'pending'
    const limit = numberFlag(options, 'limit', { least: 1, most: 1_000 }) ?? usual
    const found = await withStore(input, (store) =>
      store.read('trade_opportunities', status === 'all' ? {} : { status }, { order: [{ by: 'discovered_at', descending: true }], limit }),
    )
    if (options.json) printJson({ opportunities: found.map(asJson) })
    else console.log(found.length === 0 ? 'There are no such opportunities.' : tableOf(found, Date.now()))
    return 0
  },
}

/** An opportunity for programs. */
export function asJson(one: Opportunity) {
  const { id, market_id: marketId, market_question: question, platform, side, status, edge, confidence, details } = one
  const { current_price: price, target_price: targetPrice, suggested_position: amount, research_summary: summary } = one
  const { discovered_by: by, discovery_method: method, discovered_at: discoveredAt, expires_at: expiresAt } = one
  const { reviewed_by: reviewedBy, reviewed_at: reviewedAt, review_reason: reason } = one
  const what = { id, marketId, question, platform, side, price, targetPrice, edge, confidence, amount, summary, by, method }
  return { ...what, status, discoveredAt, expiresAt, reviewedBy, reviewedAt, reason, details }
}

function tableOf(found: readonly Opportunity[], now: number): string {
  const rows = found.map(({ id, market_question, market_id, side, current_price, edge, expires_at, status }) => {
    const price = current_price === null ? null : Math.round(current_price * 1_000) / 1_000
    return [shortId(id), market_question ?? market_id, side, price, percent(edge), since(expires_at, now), status]
  })
  return formatTable(['id', 'market', 'side', 'price', 'edge', 'expires', 'status'], rows)
}

export function percent(part: number | null): string | null {
  return part === null ? null : `${(part * 100).toFixed(1)} %`
}
