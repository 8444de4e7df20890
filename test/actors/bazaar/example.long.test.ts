import { join } from 'node:path'
import { ObjectId } from 'mongodb'
import { expect, test } from 'vitest'
import { literal } from '../../runtime/documents.ts'
import { openGround, teamOn } from '../../runtime/team.ts'
import { startModelServer } from '../../services/model-server.ts'
import { openMongoGround } from '../../sources/mongo-ground.ts'
import { startMarketplace } from './marketplace.ts'

const actors = join(import.meta.dirname, 'actors')

// The example of the README, actors/my-agent.ts beside this file: one file, one document, no restart.
test('one file and one document make an agent that earns its living', { timeout: 120_000 }, async () => {
  await using ground = await openGround()
  await using mongo = await openMongoGround()
  await using market = await startMarketplace({ coolDown: 0 })
  await using model = await startModelServer([{ kind: 'answer', text: JSON.stringify({ points: ['It works.'] }) }])
  await mongo.put([])
  const { uri, database, collection } = mongo.settings
  const gate = { id: 'gate', type: 'bazaar-gateway', origins: [market.url], args: { api: market.url, pollEvery: 200 } }
  const config = { teams: [{ id: 'own', agents: [gate] }], sources: { mongodb: { uri, database, collection } } }
  const env = { LLM_BASE_URL: model.url, LLM_API_KEY: 'key', LLM_MODEL: 'small' }
  await using team = teamOn(ground, [], { config: config as never, actors, env })
  await team.start()

  await mongo.put([{ _id: new ObjectId(), ...literal, options: { reportEvery: 200 } }])
  await team.reload()
  await market.until('it is registered', () => market.market.agents.size === 1)
  const job = market.post({ title: 'A summary', description: 'A long text.', required_capabilities: ['my_skill'], budget_usd: 0.5 })
  await market.until('it has bid', () => market.bids(job.job_id).length === 1)
  const [bid] = market.bids(job.job_id)
  market.select(job.job_id, String(bid?.bid_id))
  await market.until('it is delivered', () => market.job(job.job_id)?.status === 'completed')
  expect([bid?.price_usd, JSON.parse(String(job.result?.output))]).toEqual([0.056, { points: ['It works.'], sources: ['job'] }])
  expect(model.asked[0]?.body.messages[0]?.content).toContain('You find the key points of a text.')
})
