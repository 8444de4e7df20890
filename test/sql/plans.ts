import type { Client } from '../postgres-setup.ts'

/** A node of an executed plan, as EXPLAIN prints it in JSON. */
interface PlanNode {
  'Node Type': string
  'Relation Name'?: string
  'Index Name'?: string
  'Actual Rows': number
  'Actual Loops': number
  'Shared Hit Blocks'?: number
  'Shared Read Blocks'?: number
  'Rows Removed by Filter'?: number
  'Rows Removed by Join Filter'?: number
  'Rows Removed by Index Recheck'?: number
  Plans?: PlanNode[]
}

/** A statement that ran, wherever it is written, with its plan. */
export interface Executed {
  query: string
  plan: PlanNode
}

/** Makes a connection report the plan of every statement as a notice, of those inside functions too. Needs a superuser. */
export async function reportPlans(session: Client): Promise<void> {
  await session.unsafe(`load 'auto_explain';
    set auto_explain.log_min_duration = 0; set auto_explain.log_nested_statements = on; set auto_explain.log_format = json;
    set auto_explain.log_analyze = on; set auto_explain.log_buffers = on; set auto_explain.log_timing = off; set client_min_messages = log`)
}

/** Reads the plans among notices. */
export function readPlans(notices: readonly string[]): Executed[] {
  return notices.flatMap((text) => {
    const json = /^duration: [^{]*plan:\n(?<plan>\{.*)/s.exec(text)?.groups?.plan
    if (!json) return []
    const { 'Query Text': query, Plan: plan } = JSON.parse(json) as { 'Query Text': string; Plan: PlanNode }
    return [{ query: query.replace(/\s+/g, ' '), plan }]
  })
}

/** Something that is slow among very many rows, and how much of it there was. */
export interface Offence {
  kind: 'seq scan' | 'sort' | 'filtered' | 'walked' | 'read'
  what: string
  amount: number
}

/** More rows than any call has to do with; a page a row, and several indexes. */
const [rowLimit, blockLimit] = [1000, 20_000]

/** Judges one statement: what it scanned, sorted, threw away, walked through and read. */
export function offencesOf({ plan }: Executed): Offence[] {
  const blocks = (plan['Shared Hit Blocks'] ?? 0) + (plan['Shared Read Blocks'] ?? 0)
  return [...offencesOfNode(plan), ...(blocks > blockLimit ? [{ kind: 'read' as const, what: 'blocks', amount: blocks }] : [])]
}

function offencesOfNode(node: PlanNode): Offence[] {
  const { 'Node Type': type, 'Actual Loops': loops } = node
  const what = [type, node['Index Name'] ?? node['Relation Name']].filter(Boolean).join(' ')
  const removed = (['Filter', 'Join Filter', 'Index Recheck'] as const).map((by) => node[`Rows Removed by ${by}`] ?? 0)
  const amounts = { rows: node['Actual Rows'] * loops, removed: removed.reduce((sum, count) => sum + count) * loops }
  const found: Offence[] = []
  if (type === 'Seq Scan' && loops > 0) found.push({ kind: 'seq scan', what, amount: amounts.rows })
  if (type.endsWith('Sort') && loops > 0) found.push({ kind: 'sort', what, amount: amounts.rows })
  if (amounts.removed > rowLimit) found.push({ kind: 'filtered', what, amount: amounts.removed })
  if (amounts.rows > rowLimit) found.push({ kind: 'walked', what, amount: amounts.rows })
  return [...found, ...(node.Plans ?? []).flatMap(offencesOfNode)]
}
