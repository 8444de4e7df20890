import { describe, expect, test } from 'vitest'
import type { Opportunity } from '../../../actors/lib/markets/strategies/strategy.ts'
import { deepResearch, executeTrade, publication } from '../../../actors/lib/trading/opportunity.ts'
import { mayOpen, parseSourceName } from '../../../actors/lib/trading/source-name.ts'

const id = '0c64a4f2-3b0d-4c53-9e0f-4b6f0a2f9d11'
const leg = { marketId: '101', token: '1011', side: 'YES', shares: 1_000, limit: 4_100, cost: 4_050_000, fee: 12_340 } as const
const finding: Opportunity = {
  ...{ kind: 'opportunity', strategy: 'model_opinion', legs: [leg], edge: 0.2 },
  ...{ cost: 4_050_000, fee: 12_340, confidence: 0.85, probability: 0.61 },
}

describe('jobs', () => {
  test('those of other agents of the system are read as they write them', () => {
    const job = { opportunity_id: id, market_id: '512', side: 'NO', amount: 5, confidence: 0.75 }
    expect(executeTrade.parse(job)).toEqual(job)
    expect(deepResearch.parse({ market_id: '512', question: 'Rain?', priority: 'high' })).toMatchObject({ market_id: '512' })
  })

  test('what is no market, side or amount goes no further', () => {
    const job = { opportunity_id: id, market_id: '512', side: 'NO', amount: 5, confidence: 0.75 }
    const bad = [
      { market_id: '1; rm -rf /' },
      { side: 'MAYBE' },
      { amount: -5 },
      { amount: Number.NaN },
      { opportunity_id: 'x' },
      { confidence: 2 },
    ]
    expect(bad.filter((change) => executeTrade.safeParse({ ...job, ...change }).success)).toEqual([])
  })

  test('a discovery is published with a job that says all of it in dollars and shares', () => {
    const published = publication({ id, finding, source: 'simulated:1', question: 'Rain?', by: 'scanner-main', expiresIn: 1_000 })
    expect(published.opportunity).toMatchObject({
      ...{ id, market_id: '101', side: 'YES', platform: 'simulated', current_price: 0.405, target_price: 0.61 },
      ...{ suggested_position: 4.06234, dedupe_key: 'market:simulated:1:101', expires_in_ms: 1_000 },
    })
    const own = { source: 'simulated:1', strategy: 'model_opinion', probability: 0.61, legs: published.job.payload.legs }
    expect(published.job).toEqual({ max_attempts: 10, payload: own })
    expect(own.legs).toEqual([{ market_id: '101', side: 'YES', token: '1011', shares: 10, limit: 0.41, cost: 4.05, fee: 0.01234 }])
    const job = { opportunity_id: id, market_id: '101', side: 'YES', amount: 4.06234, confidence: 0.85, ...own }
    expect(executeTrade.safeParse(job).success).toBe(true)
  })
})

describe('names of sources', () => {
  test('are taken apart, or refused', () => {
    expect(parseSourceName('simulated:42?speed=60&markets=9')).toEqual({ kind: 'simulated', seed: '42', speed: 60, markets: 9 })
    expect(parseSourceName('replay:/a/b c?speed=10')).toEqual({ kind: 'replay', folder: '/a/b c', speed: 10 })
    const bad = ['', 'simulated', 'simulated:', 'simulated:1?sped=2', 'simulated:a/b', 'kalshi', 'replay:', 'simulated:1?speed=0']
    expect(bad.filter((name) => parseSourceName(name) !== undefined)).toEqual([])
  })

  test('a job does not choose which folder is read', () => {
    expect(mayOpen('replay:/etc', 'auto')).toBe(false)
    expect(mayOpen('replay:/etc', 'replay:/data')).toBe(false)
    expect(mayOpen('replay:/data?speed=2&started=5', 'replay:/data?speed=2')).toBe(true)
    expect(mayOpen('simulated:5', 'polymarket')).toBe(true)
  })
})
