import { expect, test } from 'vitest'
import { idsLike } from '../../src/cli/id-beginning.ts'
import { fateOf, type Opportunity, subjectOf } from '../../src/cli/opportunities.ts'
import { textOf } from '../../src/cli/opportunities-review.ts'
import { describe } from '../../src/cli/opportunities-show.ts'
import { plain } from '../../src/cli/print.ts'

const now = Date.parse('2026-11-21T12:00:00Z')
const ago = (ms: number) => new Date(now - ms).toISOString() as never

function opportunity(more: Partial<Opportunity> = {}): Opportunity {
  return {
    ...{
      id: '0b6f2f5e-1f6a-4d0e-9a53-3a1f6a1f2b11',
      market_id: '101',
      market_question: 'Will it rain?',
      platform: 'polymarket',
      side: 'YES',
    },
    ...{ current_price: 0.41, target_price: 0.7, suggested_position: 4, confidence: 0.9, edge: 0.29, research_summary: null },
    ...{ discovered_by: 'scanner-main', discovery_method: 'test', discovered_at: ago(60_000), expires_at: ago(-600_000) },
    ...{ status: 'pending', reviewed_by: null, reviewed_at: null, review_reason: null, event_id: null, dedupe_key: null, details: {} },
    ...more,
  }
}

test('the beginning of an id stands for all ids that begin like it', () => {
  const all = { gte: '0b6f2f5e-0000-0000-0000-000000000000', lte: '0b6f2f5e-ffff-ffff-ffff-ffffffffffff' }
  const [id] = [opportunity().id]
  expect([idsLike('0B6F2F5E'), idsLike('0b6f2f5e-'), idsLike(id)]).toEqual([all, all, { gte: id, lte: id }])
  expect(['', '0b6', 'rain', `${id}0`, '0b6f; drop'].map(idsLike)).toEqual(Array(5).fill(undefined))
})

test('says what became of an opportunity, and why it cannot be decided', () => {
  const rejected = opportunity({ status: 'rejected', reviewed_by: 'trader-1', reviewed_at: ago(120_000), review_reason: 'edge_gone' })
  const approved = opportunity({ status: 'approved', reviewed_by: 'ann', reviewed_at: ago(1_000) })
  const late = opportunity({ expires_at: ago(300_000) })
  expect(
    [opportunity(), rejected, approved, late, opportunity({ status: 'expired', expires_at: ago(300_000) })].map((one) => fateOf(one, now)),
  ).toEqual([
    ...['pending: nobody has decided', 'rejected by trader-1 2 min ago: edge_gone', 'approved by ann 1 s ago'],
    ...['expired 5 min ago', 'expired 5 min ago'],
  ])
  const text = (verdict: string, one: Opportunity, decision: 'approved' | 'rejected') => textOf(verdict, one, { decision }, now)
  const subject = '0b6f2f5e YES "Will it rain?"'
  expect([
    text('ok', approved, 'approved'),
    text('repeat', approved, 'approved'),
    text('expired', late, 'approved'),
    text('stale', rejected, 'approved'),
    text('stale', approved, 'rejected'),
  ]).toEqual([
    `approved ${subject}: a trader checks it once more, then trades`,
    `${subject} was approved by ann 1 s ago; nothing to do`,
    `${subject} cannot be approved: expired 5 min ago`,
    `${subject} cannot be approved: rejected by trader-1 2 min ago: edge_gone`,
    `${subject} cannot be rejected: approved by ann 1 s ago, and it is traded already`,
  ])
})

test('what strangers wrote moves no cursor and turns no line', () => {
  const hostile = opportunity({ market_question: '\u001b[2J\u009b31mRain\r\n\u202edlog\u2066?', side: 'NO' })
  expect(subjectOf(hostile)).toBe('NO "·[2J·31mRain·⏎·dlog·?"')
  expect(plain('Dürre, 雨, 🌧')).toBe('Dürre, 雨, 🌧')
  expect(fateOf(opportunity({ status: 'rejected', reviewed_by: '\u0007x', review_reason: 'a\tb' }), now)).toBe('rejected by ·x : a·b')
})

test('shows one that never expires, as the database has it', () => {
  const lines = describe(opportunity({ expires_at: 'infinity' as never, discovered_at: ago(60_000) }), now).split('\n')
  expect(lines).toEqual(
    expect.arrayContaining([
      'expires     infinity',
      'found by    scanner-main, test, 1 min ago, 2026-11-21 11:59:00 UTC',
      'side        YES',
    ]),
  )
})
