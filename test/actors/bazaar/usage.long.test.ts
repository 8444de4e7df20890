import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openGround, teamOn } from '../../runtime/team.ts'
import { startModelServer } from '../../services/model-server.ts'
import { startMarketplace } from './marketplace.ts'

test('a delivery says what models took for it, a failed attempt included, and brings the bare text', { timeout: 120_000 }, async () => {
  await using ground = await openGround()
  await using market = await startMarketplace({ coolDown: 0 })
  await using model = await startModelServer([
    { kind: 'answer', text: 'All in all.', usage: { prompt_tokens: 120, completion_tokens: 30 } },
  ])
  const agents = [
    { id: 'gate', type: 'bazaar-gateway', origins: [market.url], args: { api: market.url, pollEvery: 200 } },
    { id: 'one', type: 'forgetful', args: { reportEvery: 300 } },
  ]
  const env = { LLM_BASE_URL: model.url, LLM_API_KEY: 'key', LLM_MODEL: 'small' }
  await using team = teamOn(ground, agents, { actors: join(import.meta.dirname, 'actors'), env })
  await team.start()
  await market.until('it is registered', () => market.market.agents.size === 1)
  const job = market.post({ title: 'A summary', description: 'A text.', required_capabilities: ['summarizing'], budget_usd: 0.5 })
  await market.until('it has bid', () => market.bids(job.job_id).length === 1)
  market.select(job.job_id, String(market.bids(job.job_id)[0]?.bid_id))
  await market.until('it is delivered', () => market.job(job.job_id)?.status === 'completed')

  const [row] = await ground.store.read('agent_jobs', { job_type: 'forgetful' })
  const used = [{ model: 'small', inputTokens: 120, outputTokens: 30, usd: null }]
  expect([row?.attempt, row?.result, model.asked.length]).toEqual([2, { output: 'All in all.', modelUsage: used }, 1])
  const [submission] = market.of('POST', /submit-result$/)
  const executed_by = market.bids(job.job_id)[0]?.agent_id
  expect(submission?.body).toEqual({ success: true, output: 'All in all.', tokens_used: 150, model: 'small', executed_by })
})
