import { Writable } from 'node:stream'
import { stripVTControlCharacters } from 'node:util'
import { expect, test } from 'vitest'
import { type Board, type Execution, newsOf, type Opportunity, statusOf } from '../../src/cli/board.ts'
import { openScreen } from '../../src/cli/screen.ts'

const empty: Board = { agents: [], jobs: { waiting: 0, running: 0 }, opportunities: [], executions: [], profit: 0 }

function opportunity(id: string, more: Partial<Opportunity> = {}): Opportunity {
  return {
    ...{
      id,
      market_id: `market-${id}`,
      market_question: `Will ${id} happen?`,
      platform: 'polymarket',
      side: 'YES',
      current_price: 0.4,
      suggested_position: 5,
      confidence: 0.8,
      edge: 0.125,
    },
    ...{ research_summary: null, reviewed_by: null, reviewed_at: null },
    ...{ discovered_by: 'scanner-main', discovery_method: 'model_opinion', status: 'pending', review_reason: null },
    ...{
      discovered_at: '2026-11-21T00:00:00Z' as never,
      target_price: null,
      expires_at: null,
      event_id: null,
      dedupe_key: null,
      details: {},
      ...more,
    },
  }
}

function execution(id: string, more: Partial<Execution> = {}): Execution {
  return {
    ...{ id, opportunity_id: 'a', market_id: 'market-a', side: 'YES', amount: 4.9, entry_price: 0.4, status: 'pending', stage: 'reserved' },
    ...{ shares: 12.25, fees: 0.05, exit_price: null, exit_reason: null, pnl: null, executed_by: 'trader-1', error_message: null },
    ...{
      created_at: '2026-11-21T00:00:00Z' as never,
      executed_at: null,
      settled_at: null,
      event_id: null,
      idempotency_key: null,
      job_id: null,
      details: { broker: 'paper' },
      ...more,
    },
  }
}

test('the first look tells no news: what is there is not new', () => {
  expect(newsOf(undefined, { ...empty, opportunities: [opportunity('a')] })).toEqual([])
})

test('each step of a trade is one line, with its reason and its costs', () => {
  const story: Partial<Board>[] = [
    {},
    { opportunities: [opportunity('b', { status: 'rejected', review_reason: 'spread too wide' }), opportunity('a')] },
    { opportunities: [opportunity('a', { status: 'approved' })], executions: [execution('x')] },
    { opportunities: [opportunity('a', { status: 'approved' })], executions: [execution('x', { status: 'executed', stage: 'filled' })] },
    {
      opportunities: [opportunity('a', { status: 'approved' })],
      executions: [execution('x', { status: 'settled', stage: 'closed', exit_price: 0.5, exit_reason: 'take profit', pnl: 1.17 })],
    },
  ]
  const boards = story.map((more) => ({ ...empty, ...more }))
  expect(boards.slice(1).flatMap((board, at) => newsOf(boards[at], board))).toEqual([
    'found     YES "Will a happen?" at 0.4: edge 12.5 %, confidence 0.8, by model_opinion',
    'rejected  YES "Will b happen?": spread too wide',
    'approved  YES "Will a happen?"',
    'bought    12.25 YES "Will a happen?" at 0.4 = 4.90 USD, fees 0.05 USD, by trader-1 (paper)',
    'closed    YES "Will a happen?" at 0.5: take profit, P&L +1.17 USD',
  ])
})

test("strangers' text is shown, not obeyed, and short", () => {
  const [line] = newsOf(empty, { ...empty, opportunities: [opportunity('a', { market_question: `\u001b[2J${'x'.repeat(500)}\n` })] })
  expect(line).toMatch(/^found {5}YES "·\[2Jx{55}…" at 0.4/)
})

test('the status line says who is up, who is not, and what they say', () => {
  const agents = [
    { id: 'scanner-main', status: 'running', says: '214 markets, best edge -0.4 %, no trade' },
    { id: 'researcher-main', status: 'quarantined', says: undefined },
  ] as const
  expect(statusOf({ ...empty, agents, jobs: { waiting: 2, running: 1 } })).toBe(
    '1 up · researcher-main quarantined · 1 jobs running, 2 waiting · scanner-main: 214 markets, best edge -0.4 %, no trade',
  )
  const trading = { ...empty, opportunities: [opportunity('a')], executions: [execution('x')], profit: -0.5 }
  expect(statusOf(trading)).toBe('0 up · 1 opportunities · 1 open trades · P&L -0.50 USD · 0 jobs running, 0 waiting')
})

test('the status line stays below what is printed, on one line, and is gone at the end', () => {
  const written: string[] = []
  const screen = openScreen({ write: (text: unknown) => written.push(String(text)) > 0, columns: 20, on: () => {} })
  screen.status('a line that is longer than the terminal')
  screen.print('news')
  screen.status('short')
  screen.close()
  const seen = stripVTControlCharacters(written.join('').replaceAll('\u001b[2K', '<clear>'))
  expect(seen).toBe('a line that is lon…\r<clear>news\na line that is lon…\r<clear>short\r<clear>')
})

test('a terminal that was closed is no error of whoever still prints', async () => {
  const gone = new Writable({ write: (_chunk, _encoding, done) => done(new Error('write EIO')) })
  const closed = new Promise((resolve) => gone.on('close', resolve))
  openScreen(Object.assign(gone, { columns: 80 })).print('Stopping')
  await closed
})
