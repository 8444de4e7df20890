import type { Troupe } from '../host/troupe-types.ts'
import { type Board, newsOf, statusOf } from './board.ts'
import type { Screen } from './screen.ts'

/** Ms between two looks. */
const every = 2_000
/** So many of the newest rows are looked at; what changes further back is not told. */
const newest = 50

/** Tells on a screen what a team does, until it is closed; then `last` is what it has seen last. */
export function watchTeam(troupe: Troupe, screen: Screen): { last(): Board | undefined; close(): void } {
  let before: Board | undefined
  let timer: NodeJS.Timeout | undefined
  let isOver = false

  async function look(): Promise<void> {
    // The log says what is wrong with the store.
    const now = await readBoard(troupe).catch(() => undefined)
    if (isOver) return
    if (now) {
      for (const line of newsOf(before, now)) screen.print(line)
      screen.status(statusOf(now))
      before = now
    }
    timer = setTimeout(() => void look(), every)
  }

  void look()
  return {
    last: () => before,
    close() {
      isOver = true
      clearTimeout(timer)
      screen.close()
    },
  }
}

async function readBoard(troupe: Troupe): Promise<Board> {
  const [jobs, opportunities, executions, agents] = await Promise.all([
    troupe.read('v_active_jobs', {}, { limit: 1_000 }),
    troupe.read('trade_opportunities', {}, { order: [{ by: 'discovered_at', descending: true }], limit: newest }),
    troupe.read('trade_executions', {}, { order: [{ by: 'created_at', descending: true }], limit: newest }),
    troupe.read('v_agent_dashboard', {}, { limit: 1_000 }),
  ])
  const waiting = jobs.filter(({ status }) => status === 'pending').length
  return {
    agents: troupe.list(),
    jobs: { waiting, running: jobs.length - waiting },
    opportunities,
    executions,
    profit: agents.reduce((sum, { total_profit }) => sum + total_profit, 0),
  }
}
