import type * as z from 'zod'
import type { AgentView } from '../host/troupe-types.ts'
import type { Relations } from '../store/functions/relations.ts'
import { plain } from './print.ts'

export type Opportunity = z.output<Relations['trade_opportunities']>
export type Execution = z.output<Relations['trade_executions']>

/** What people see of a team at one moment; the newest rows first. */
export type Board = {
  readonly agents: readonly Pick<AgentView, 'id' | 'status' | 'says'>[]
  readonly jobs: { readonly waiting: number; readonly running: number }
  readonly opportunities: readonly Opportunity[]
  readonly executions: readonly Execution[]
  /** USD of all settled trades. */
  readonly profit: number
}

/** One line for each thing that has happened between two looks; the first look tells what it finds only in numbers. */
export function newsOf(before: Board | undefined, now: Board): string[] {
  if (!before) return []
  const questions = new Map(now.opportunities.map(({ id, market_question }) => [id, market_question]))
  const opportunities = changed(before.opportunities, now.opportunities, ({ status }) => status).map(opportunityLine)
  const executions = changed(before.executions, now.executions, ({ status, stage }) => `${status} ${stage}`).map((one) =>
    executionLine(one, questions.get(one.opportunity_id ?? '') ?? one.market_id),
  )
  return [...opportunities, ...executions].filter((line) => line !== undefined)
}

/** The line that stays: who is up, what the agents say, what waits, and what it has brought. */
export function statusOf({ agents, jobs, opportunities, executions, profit }: Board): string {
  const up = agents.filter(({ status }) => status === 'running').length
  const others = agents.filter(({ status }) => status !== 'running').map(({ id, status }) => `${id} ${status}`)
  const says = agents.flatMap(({ id, says: words }) => (words === undefined ? [] : [`${id}: ${plain(words)}`]))
  const pending = opportunities.filter(({ status }) => status === 'pending').length
  const open = executions.filter(({ status }) => status === 'pending' || status === 'executed').length
  const isTrading = opportunities.length + executions.length > 0
  return [
    `${up} up`,
    ...others,
    ...(isTrading ? [`${pending} opportunities`, `${open} open trades`, `P&L ${signed(profit)} USD`] : []),
    `${jobs.running} jobs running, ${jobs.waiting} waiting`,
    ...says,
  ].join(' · ')
}

/** Rows that are new, or are not as they were; the oldest first. */
function changed<Row extends { readonly id: string }>(before: readonly Row[], now: readonly Row[], stateOf: (row: Row) => string): Row[] {
  const known = new Map(before.map((row) => [row.id, stateOf(row)]))
  return now.filter((row) => known.get(row.id) !== stateOf(row)).toReversed()
}

function opportunityLine(one: Opportunity): string | undefined {
  const { status, side, market_question: question, market_id: market, current_price: price, edge, confidence, review_reason: reason } = one
  const what = `${side} ${titled(question ?? market)}`
  switch (status) {
    case 'pending':
      return line(
        'found',
        `${what} at ${rounded(price)}: edge ${percent(edge)}, confidence ${confidence ?? '?'}, by ${one.discovery_method ?? one.discovered_by ?? '?'}`,
      )
    case 'rejected':
      return line('rejected', `${what}: ${plain(reason ?? 'no reason given')}`)
    case 'approved':
      return line('approved', `${what}${reason ? `: ${plain(reason)}` : ''}`)
    default:
      return undefined
  }
}

function executionLine(one: Execution, title: string | null): string | undefined {
  const {
    status,
    stage,
    side,
    shares,
    entry_price: price,
    amount,
    fees,
    exit_price: exit,
    exit_reason: reason,
    pnl,
    error_message: error,
  } = one
  const what = `${side} ${titled(title ?? '?')}`
  if (status === 'settled')
    return line('closed', `${what} at ${rounded(exit)}: ${reason === null ? '' : `${plain(reason)}, `}P&L ${signed(pnl ?? 0)} USD`)
  if (status === 'failed') return line('no trade', `${what}: ${plain(error ?? 'no reason given')}`)
  if (status === 'executed')
    return line(
      'bought',
      `${shares ?? '?'} ${what} at ${rounded(price)} = ${money(amount)}, fees ${money(fees)}, by ${one.executed_by ?? '?'}${brokerOf(one)}`,
    )
  return stage === 'unknown' ? line('unclear', `${what}: whether it was bought is being found out`) : undefined
}

/** Whether it was real money must never be a guess. */
function brokerOf({ details }: Execution): string {
  return typeof details.broker === 'string' ? ` (${plain(details.broker)})` : ''
}

function line(label: string, text: string): string {
  return `${label.padEnd(9)} ${text}`
}

function titled(question: string): string {
  const text = plain(question)
  return `"${text.length > 60 ? `${text.slice(0, 59)}…` : text}"`
}

function percent(share: number | null): string {
  return share === null ? '?' : `${(share * 100).toFixed(1)} %`
}

function rounded(price: number | null): string {
  return price === null ? '?' : String(Number(price.toFixed(4)))
}

function money(usd: number | null): string {
  return `${(usd ?? 0).toFixed(2)} USD`
}

function signed(usd: number): string {
  return `${usd < 0 ? '-' : '+'}${Math.abs(usd).toFixed(2)}`
}
