import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Ground, openGround } from '../../runtime/team.ts'
import { recordMarkets, tradingTeam } from './ground.ts'

let ground: Ground
let market: string
beforeAll(async () => {
  ground = await openGround()
  const ids = ['601', '602', '603']
  market = await recordMarkets(
    join(ground.folder, 'markets'),
    ids.map((id) => ({ id, clobTokenIds: JSON.stringify([`${id}1`, `${id}2`]) })),
  )
})
afterAll(() => ground?.[Symbol.asyncDispose]())

const standIn = join(import.meta.dirname, '../markets/polyclaw-stand-in.js')

/** Publishes something that is worth buying, and gives its id and its job. */
async function publish(market_id: string): Promise<string> {
  const opportunity = {
    ...{ market_id, market_question: 'Rain?', side: 'YES', current_price: 0.41, target_price: 0.7, suggested_position: 4, confidence: 0.9 },
    ...{
      edge: 0.29,
      discovered_by: 'test',
      discovery_method: 'test',
      expires_in_ms: 600_000,
      details: { source: market, probability: 0.7 },
    },
  }
  const answer = await ground.store.call('publish_opportunity', { p_args: { opportunity } } as never)
  return (answer as { job_id: string }).job_id
}

const jobOf = async (id: string) => (await ground.store.read('agent_jobs', { id }))[0]
const trader = (id: string, polyclaw: object) => ({ id, type: 'trader', args: { market, sharesWallet: true, polyclaw } })

test('beside an autotrader nothing is bought while its positions cannot be read: the trader is blocked, no job is lost', async () => {
  const job = await publish('601')
  await using team = tradingTeam(ground, [trader('t-blind', { command: [join(ground.folder, 'no-polyclaw')] })])
  await team.start()
  expect((await team.event('agent:blocked')).reason).toContain('the wallet is shared')
  await expect.poll(() => jobOf(job)).toMatchObject({ status: 'pending', attempt: 0 })
  expect(await ground.store.read('trade_executions', {})).toEqual([])
  await ground.store.call('cancel_jobs', { p_batch: [{ job_id: job }] })
})

test('what an autotrader holds in the same wallet counts as exposure', async () => {
  const [store, log] = [join(ground.folder, 'positions.json'), join(ground.folder, 'cli.log')]
  const held = {
    ...{
      position_id: '1000aaaa-bbbb',
      market_id: '602',
      question: 'Rain?',
      position: 'YES',
      token_id: '6021',
      status: 'open',
      notes: null,
    },
    ...{ entry_time: '2026-07-01T00:00:00.000000+00:00', entry_amount: 10, entry_price: 0.48, split_tx: '0x1' },
    ...{ clob_order_id: 'order-7', clob_filled: true },
  }
  await writeFile(store, JSON.stringify([held]))
  const polyclaw = { command: [process.execPath, standIn], env: { STAND_IN: 'filled', STAND_IN_STORE: store, STAND_IN_LOG: log } }
  const [same, other] = [await publish('602'), await publish('603')]
  await using team = tradingTeam(ground, [trader('t-solo', polyclaw)])
  await team.start()
  const results = async () => Promise.all([same, other].map(async (id) => (await jobOf(id))?.result))
  await expect.poll(results, { timeout: 20_000 }).toMatchObject([{ decision: 'rejected' }, { decision: 'executed', broker: 'paper' }])
  const bought = await ground.store.read('trade_executions', {})
  expect(bought.map(({ market_id, status }) => [market_id, status])).toEqual([['603', 'executed']])
})
