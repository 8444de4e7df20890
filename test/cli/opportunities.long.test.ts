import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { recordMarkets } from '../actors/trading/ground.ts'
import { makeDatabase } from '../embedded-folder.ts'
import { openProject, type Project } from './project.ts'

let project: Project
let market: string
beforeAll(async () => {
  project = await openProject()
  await makeDatabase('.troupe')
  await cp(join(import.meta.dirname, '../../actors'), join(project.path, 'actors'), { recursive: true })
  const ids = ['701', '702', '703', '704', '705']
  market = await recordMarkets(
    join(project.path, 'markets'),
    ids.map((id) => ({ id, clobTokenIds: JSON.stringify([`${id}1`, `${id}2`]) })),
  )
  const agents = [{ id: 'trader', type: 'trader', replicas: 2, args: { market, approval: 'manual', markInterval: 3_600_000 } }]
  await project.configure(JSON.stringify({ teams: [{ id: 'desk', agents }] }))
})
afterAll(() => project?.[Symbol.asyncDispose]())

const sql = <Row>(text: string) => project.ask<Row[]>('db', 'query', text)

/** Publishes what is worth buying, but for what is said of each; gives the ids with their jobs. */
async function publish(changes: readonly object[]) {
  const facts = { market_question: 'Will it rain?', side: 'YES', current_price: 0.41, target_price: 0.7, suggested_position: 4 }
  const found = { edge: 0.29, confidence: 0.9, discovered_by: 'test', discovery_method: 'test', expires_in_ms: 3_600_000 }
  const all = changes.map((one, at) => ({
    opportunity: { market_id: String(701 + at), ...facts, ...found, details: { source: market, probability: 0.7 }, ...one },
  }))
  const text = JSON.stringify(all).replaceAll("'", "''")
  const rows = await sql<{ made: { opportunity_id: string; job_id: string } }>(
    `select publish_opportunity(one) as made from jsonb_array_elements('${text}') with ordinality as t(one, place) order by place`,
  )
  return rows.map(({ made: { opportunity_id: id, job_id: job } }) => ({ id, job })) as [
    Published,
    Published,
    Published,
    Published,
    Published,
  ]
}
type Published = { readonly id: string; readonly job: string }

const jobs = () =>
  sql<{ id: string; attempt: number; decision: string; reason: string }>(
    "select id, attempt, status, result ->> 'decision' as decision, result ->> 'reason' as reason from agent_jobs order by created_at",
  )
const executions = () => sql<object>("select opportunity_id as id, status, details ->> 'broker' as broker from trade_executions")
const troupe = (...args: readonly string[]) => project.run('opportunities', ...args)

test('where approval is manual nothing is traded before a person approves, through restarts', { timeout: 120_000 }, async () => {
  const hostile = '\u001b[2J\u202eWill "it" rain?\n'
  const spoilt = { target_price: 0.42, details: { source: market, probability: 0.42 } }
  const offers = await publish([{ market_question: hostile }, {}, {}, spoilt, { expires_in_ms: 1 }])
  const [wanted, unwanted, patient, worthless, late] = offers
  const first = project.start({ LOG_LEVEL: 'debug' })
  for (const { job } of offers) await first.event('turn:committed', { handled: job })
  const put = { attempt: 1, status: 'completed', decision: 'waiting' }
  expect(await jobs()).toEqual([
    ...[wanted, unwanted, patient, worthless].map(({ id, job }) => ({
      ...put,
      id: job,
      reason: `a person decides: troupe opportunities show ${id.slice(0, 8)}`,
    })),
    { id: late.job, attempt: 1, status: 'completed', decision: 'rejected', reason: expect.stringMatching(/^(already_)?expired$/) }, // whoever is first, the trader or the sweep
  ])
  const list = await troupe('list')
  expect([list.code, list.out.replaceAll('\n', '').match(/[\p{Cc}\p{Cf}]/u)]).toEqual([0, null])
  expect(list.out).toContain(`${wanted.id.slice(0, 8)}  ·[2J·Will "it" rain?⏎  YES    0.41  29.0 %  in `)

  // While the team runs: by the beginning of its id, once, by one person.
  const { jobId } = await project.ask<{ jobId: string }>(
    'opportunities',
    'approve',
    wanted.id.slice(0, 8),
    '--by',
    'ann',
    '--reason',
    'sure',
  )
  await first.event('turn:committed', { handled: jobId })
  expect(await executions()).toEqual([{ id: wanted.id, status: 'executed', broker: 'paper' }])
  const answers = [
    await troupe('approve', wanted.id, '--by', 'ann'),
    await troupe('approve', wanted.id, '--by', 'bob'),
    await troupe('reject', wanted.id, '--by', 'ann'),
    await troupe('approve', late.id),
    await troupe('reject', unwanted.id, '--reason', 'no'),
    await troupe('approve', unwanted.id, '--by', 'bob'),
    await troupe('show', '00000000-0000-4000-8000-000000000000'),
    await troupe('approve', '00000000-0000-4000-8000-000000000000'),
    await troupe('approve'),
    await troupe('approve', 'rain'),
    await troupe('reject', wanted.id, '--by', ' '),
    await troupe('list', '--status', 'bought'),
  ]
  expect(answers.map(({ code, out, err }) => [code, (out + err).trim()])).toEqual([
    [0, expect.stringContaining('was approved by ann')],
    [1, expect.stringContaining('cannot be approved: approved by ann')],
    [1, expect.stringMatching(/cannot be rejected: approved by ann .* ago: sure, and it is traded already/)],
    [1, expect.stringContaining('cannot be approved: expired')],
    [0, `rejected ${unwanted.id.slice(0, 8)} YES "Will it rain?"`],
    [1, expect.stringMatching(/cannot be approved: rejected by .* ago: no$/)],
    [1, expect.stringContaining('There is no opportunity')],
    [1, expect.stringContaining('There is no opportunity')],
    [2, expect.stringContaining('opportunities approve: the id is missing')],
    [2, expect.stringContaining('expected an id')],
    [2, expect.stringContaining('--by: expected a name')],
    [2, expect.stringContaining('--status: expected pending')],
  ])

  // What is not worth it any more is given up, and its market is free again.
  const again = await project.ask<{ jobId: string }>('opportunities', 'approve', worthless.id)
  await first.event('turn:committed', { handled: again.jobId })
  const { opportunity } = await project.ask<{ opportunity: object }>('opportunities', 'show', worthless.id)
  expect(opportunity).toMatchObject({ status: 'rejected', reviewedBy: expect.stringMatching(/^trader-[12]$/), reason: expect.any(String) })

  // While nothing runs.
  expect(await first.end('SIGKILL')).toBe(null)
  expect((await troupe('approve', patient.id)).code).toBe(0)
  const second = project.start({ LOG_LEVEL: 'debug' })
  await second.event('child:started', { agent: 'trader-1' })
  const open = async () => (await sql<object>("select 1 from agent_jobs where status not in ('completed', 'failed')")).length
  await expect.poll(open, { timeout: 30_000, interval: 300 }).toBe(0)
  expect(await executions()).toEqual([wanted, patient].map(({ id }) => ({ id, status: 'executed', broker: 'paper' })))
  expect((await jobs()).every(({ attempt }) => attempt === 1)).toBe(true)
  expect(await second.end('SIGTERM')).toBe(0)
})
