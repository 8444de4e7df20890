import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Database, freshDatabase } from '../postgres.ts'
import type { Client } from '../postgres-setup.ts'
import { whileHeld } from './locks.ts'
import { call, failure, tradingRows } from './rest.ts'

let db: Database
let sql: Client // as the agents connect
beforeAll(async () => {
  db = await freshDatabase({ max: 2 })
  sql = db.connect({ role: 'service_role', max: 1 })
})
afterAll(() => db[Symbol.asyncDispose]())
beforeEach(async () => {
  await sql`reset troupe.clock_offset`
  for (const table of ['trade_executions', 'trade_opportunities', 'agent_status', 'agent_jobs', 'agent_messages']) {
    await db.sql`delete from ${db.sql(`public.${table}`)}`
  }
})

const sample = {
  market_id: 'm1',
  market_question: 'Rain tomorrow?',
  side: 'YES',
  current_price: 0.4,
  target_price: 0.6,
  suggested_position: 5,
  confidence: 0.85,
  edge: 0.2,
  research_summary: 'clouds',
  discovered_by: 'scanner-1',
  discovery_method: 'hedge_scan',
  expires_in_ms: 21_600_000,
}

describe('publish_opportunity', () => {
  test('writes the opportunity, its job and the broadcast; the same id again is a repeat', async () => {
    const id = randomUUID()
    const published = await call(sql, 'publish_opportunity', { opportunity: { id, ...sample } })
    expect(published).toEqual({ verdict: 'ok', opportunity_id: id, job_id: expect.any(String) })
    const rows = await tradingRows(sql)
    expect(rows).toMatchObject({
      opportunities: [{ id, status: 'pending', platform: 'polymarket', confidence: 0.85, market_question: 'Rain tomorrow?' }],
      jobs: [
        {
          id: published.job_id,
          job_type: 'execute_trade',
          priority: 3,
          created_by: 'scanner-1',
          payload: { opportunity_id: id, market_id: 'm1', side: 'YES', amount: 5, confidence: 0.85 },
        },
      ],
      messages: [{ subject: 'New Trade Opportunity', from_agent: 'scanner-1', to_agent: null, priority: 'high', message_type: 'alert' }],
    })
    expect(await call(sql, 'publish_opportunity', { opportunity: { id, ...sample } })).toEqual({ verdict: 'repeat', opportunity_id: id })
    expect(await tradingRows(sql)).toEqual(rows)
  })

  test('urgent below an hour, priority 5 without much confidence, without a job or broadcast where asked', async () => {
    const soon = { ...sample, expires_in_ms: 3_599_000, confidence: 0.8, details: null }
    await call(sql, 'publish_opportunity', { opportunity: soon, job: { job_type: 'review_trade', payload: { extra: 1 } } })
    await call(sql, 'publish_opportunity', { opportunity: sample, job: null, broadcast: false })
    expect(await tradingRows(sql)).toMatchObject({
      opportunities: [{}, {}],
      jobs: [{ job_type: 'review_trade', priority: 5, payload: { extra: 1, side: 'YES' } }],
      messages: [{ priority: 'urgent' }],
    })
  })

  test('a live dedupe key is a duplicate of it, for any number of publishers; after the end the key is free', async () => {
    const publishers = db.connect({ role: 'service_role', max: 8 })
    const opportunity = { ...sample, dedupe_key: 'm1:YES' }
    const answers = await Promise.all(Array.from({ length: 24 }, () => call(publishers, 'publish_opportunity', { opportunity })))
    const first = answers.find(({ verdict }) => verdict === 'ok')
    expect(answers.filter(({ verdict }) => verdict === 'ok')).toHaveLength(1)
    expect(answers.filter((answer) => answer !== first)).toEqual(
      Array.from({ length: 23 }, () => ({ verdict: 'duplicate', opportunity_id: first?.opportunity_id })),
    )
    expect(await tradingRows(sql)).toMatchObject({ opportunities: [{}], jobs: [{}], messages: [{}] })
    await call(sql, 'review_opportunity', { id: first?.opportunity_id, decision: 'rejected', reviewed_by: 'trader-1', reason: 'no edge' })
    expect(await call(sql, 'publish_opportunity', { opportunity })).toMatchObject({ verdict: 'ok' })
  })

  test.each([
    [{ market_id: null }, '23502'],
    [{ side: null }, '23502'],
    [{ side: 'MAYBE' }, '23514'],
    [{ current_price: -5 }, '23514'],
    [{ current_price: 'NaN' }, '23514'],
    [{ target_price: 1.5 }, '23514'],
    [{ confidence: 9 }, '23514'],
    [{ confidence: 'NaN' }, '23514'],
    [{ edge: 'Infinity' }, '23514'],
    [{ suggested_position: 0 }, '23514'],
    [{ suggested_position: 'NaN' }, '23514'],
    [{ suggested_position: 1e300 }, '23514'],
    [{ current_price: 'cheap' }, '22P02'],
    [{ id: 'seven' }, '22P02'],
    [{ details: [1] }, '23514'],
    [{ expires_in_ms: 1e300 }, '22008'],
  ])('refuses %o and changes nothing', async (wrong, code) => {
    const before = await tradingRows(sql)
    const error = await failure(call(sql, 'publish_opportunity', { opportunity: { ...sample, ...wrong } }))
    expect(error).toMatchObject({
      code,
      message: expect.stringMatching(/market_id|side|price|confidence|edge|position|numeric|uuid|details|timestamp/),
    })
    expect(await tradingRows(sql)).toEqual(before)
  })
})

describe('review_opportunity and expire_opportunities', () => {
  async function pending(changes = {}): Promise<string> {
    const { opportunity_id } = await call(sql, 'publish_opportunity', {
      opportunity: { ...sample, ...changes },
      job: null,
      broadcast: false,
    })
    return String(opportunity_id)
  }

  test('decides once: ok, repeat, stale, not found', async () => {
    const id = await pending()
    const approve = { id, decision: 'approved', reviewed_by: 'trader-1', reason: 'edge holds' }
    const review = (args: object) => call(sql, 'review_opportunity', args)
    expect([
      await review(approve),
      await review(approve),
      await review({ ...approve, reviewed_by: 'trader-2' }),
      await review({ ...approve, id: randomUUID() }),
      await review({ decision: 'rejected' }),
    ]).toEqual([
      { verdict: 'ok' },
      { verdict: 'repeat' },
      { verdict: 'stale', status: 'approved' },
      { verdict: 'not_found' },
      { verdict: 'not_found' },
    ])
    expect(await tradingRows(sql)).toMatchObject({
      opportunities: [{ status: 'approved', reviewed_by: 'trader-1', review_reason: 'edge holds', reviewed_at: expect.any(String) }],
    })
    expect(await failure(review({ id, decision: 'maybe' }))).toMatchObject({ code: 'PT400' })
    expect(await failure(review({ id }))).toMatchObject({ code: 'PT400' })
  })

  test('an approval brings its job, once, and is taken back as long as nothing was bought', async () => {
    const ids = [await pending(), await pending({ confidence: 0.7 })]
    const approve = { decision: 'approved', reviewed_by: 'ann', job: { max_attempts: 10, target_agent: 'trader-1' } }
    const made = await Promise.all(ids.map((id) => call(sql, 'review_opportunity', { ...approve, id })))
    const again = await call(sql, 'review_opportunity', { ...approve, id: ids[0] })
    const [bought, free] = ids
    const execution = { idempotency_key: 'k', opportunity_id: bought, market_id: sample.market_id, side: 'YES', amount: 1 }
    await call(sql, 'reserve_execution', execution)
    const reject = (id: unknown) => call(sql, 'review_opportunity', { id, decision: 'rejected', reviewed_by: 'ann' })
    expect([made.map(({ verdict }) => verdict), again, await reject(bought), await reject(free), await reject(free)]).toEqual([
      ['ok', 'ok'],
      { verdict: 'repeat' },
      { verdict: 'stale', status: 'approved' },
      { verdict: 'ok' },
      { verdict: 'repeat' },
    ])
    await call(sql, 'release_execution', { idempotency_key: 'k', reason: 'nobody sells' })
    expect(await reject(bought)).toEqual({ verdict: 'ok' })
    const jobs =
      await sql`select id, job_type, payload, priority, created_by, target_agent, max_attempts from public.agent_jobs order by priority`
    const job = { job_type: 'execute_trade', created_by: 'ann', target_agent: 'trader-1', max_attempts: 10 }
    expect(jobs).toEqual(
      made.map(({ job_id: id }, at) => {
        const payload = { opportunity_id: ids[at], market_id: sample.market_id, side: sample.side }
        return { ...job, id, payload: expect.objectContaining(payload), priority: at === 0 ? 3 : 5 }
      }),
    )
  })

  test('of twelve traders that decide at once the first is right', async () => {
    const id = await pending()
    const traders = db.connect({ role: 'service_role', max: 12 })
    const decide = (client: Client, decision: string) => call(client, 'review_opportunity', { id, decision, reviewed_by: 'trader-1' })
    const late = await whileHeld(
      db.sql,
      (transaction) => decide(transaction, 'rejected'),
      Array.from({ length: 11 }, (_, n) => () => decide(traders, n === 0 ? 'rejected' : 'approved')),
    )
    expect(late).toEqual([{ verdict: 'repeat' }, ...Array.from({ length: 10 }, () => ({ verdict: 'stale', status: 'rejected' }))])
    expect(await sql`select status from public.trade_opportunities`).toEqual([{ status: 'rejected' }])
  })

  test('nothing is approved after its time; the sweep expires what is over, and no more than asked', async () => {
    const late = await pending({ expires_in_ms: 60_000 })
    await pending({ expires_in_ms: 61_000 })
    const open = await pending({ expires_in_ms: null })
    await sql`set troupe.clock_offset = '1 hour'`
    const decide = (decision: string) => call(sql, 'review_opportunity', { id: late, decision, reviewed_by: 'trader-1' })
    expect(await decide('approved')).toEqual({ verdict: 'expired' })
    const expire = (args?: object) => call(sql, 'expire_opportunities', args ?? {})
    expect([await expire({ limit: 1 }), await expire({ limit: -1 }), await expire()]).toEqual([
      { expired: 1 },
      { expired: 1 },
      { expired: 0 },
    ])
    expect(await decide('rejected')).toEqual({ verdict: 'stale', status: 'expired' })
    expect(await sql`select id from public.trade_opportunities where status = 'pending'`).toEqual([{ id: open }])
  })
})
