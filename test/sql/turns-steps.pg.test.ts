import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { type Database, freshDatabase } from '../postgres.ts'
import { hostOf, message, only, openTransaction, untilBlockedBy } from './host.ts'

/** An agent, and a turn of it that saves steps and calls functions. */
async function turnOf(db: Database) {
  const n1 = hostOf(db.sql)
  const { a: token = 0 } = await n1.hold('a')
  const turn = { agent_id: 'a', lease_token: token, message_id: randomUUID() }
  const save = async (step: Record<string, unknown>) => only(await n1.steps({ ...turn, ...step }))
  const call = async (fn: string, args: unknown, more: Record<string, unknown> = {}) =>
    only(await n1.functions({ ...turn, key: 'k', fn, args, ...more }))
  return { n1, token, turn, save, call }
}

/** A claimed job as an agent names it in a step. */
async function claim(db: Database, agent: string, token: number) {
  const answer = await hostOf(db.sql).call<{ jobs: { job_id: string; lease_token: number }[] }[]>('claim_jobs', [
    { agent_id: agent, lease_token: token, limit: 1 },
  ])
  const job = only(only(answer).jobs)
  return { agent_id: agent, lease_token: token, job_id: job.job_id, job_token: job.lease_token }
}

describe('what comes after its turn is over', () => {
  test('is refused, and leaves nothing: its first try may have stood in line while the repeat was answered', async () => {
    await using db = await freshDatabase()
    const { n1, token, save, call } = await turnOf(db)
    const sent = message('b', 'a')
    await n1.send({ messages: [sent], stamps: { a: token } })
    const mine = { message_id: sent.id }
    expect((await save({ ...mine, key: 's', phase: 'start' })).verdict).toBe('ok')
    const handled = { agent_id: 'a', lease_token: token, message: { id: sent.id, attempts: 0 }, steps: true }
    expect((await n1.commit({ turns: [handled] })).turns).toMatchObject([{ verdict: 'ok' }])
    const args = { idempotency_key: 'k1', market_id: 'm', side: 'YES', amount: 2 }
    const late = [await save({ ...mine, key: 's', phase: 'start' }), await call('reserve_execution', args, mine)]
    expect(late.map(({ verdict }) => verdict)).toEqual(['stale', 'stale'])
    expect(await db.sql`select key from public.agent_steps union all select id::text from public.trade_executions`).toEqual([])
  })

  test('waits for a commit that ends its turn', async () => {
    await using db = await freshDatabase()
    const { n1, token, save } = await turnOf(db)
    const sent = message('b', 'a')
    await n1.send({ messages: [sent], stamps: { a: token } })
    const turns = [{ agent_id: 'a', lease_token: token, message: { id: sent.id, attempts: 0 } }]
    const ending = await openTransaction(db.sql, (host) => host.commit({ turns }))
    const late = save({ message_id: sent.id, key: 's', phase: 'start' })
    await untilBlockedBy(db.sql, ending.pid)
    await ending.end()
    expect([(await late).verdict, await db.sql`select from public.agent_steps`]).toEqual(['stale', []])
  })
})

describe('a step', () => {
  test('is started once and finished once; a later run gets its result', async () => {
    await using db = await freshDatabase()
    const { save } = await turnOf(db)
    const start = { key: 'order', phase: 'start' }
    const finish = { key: 'order', phase: 'finish', result: '{"b":1,"a":2}' }
    expect(await save(finish)).toEqual({ key: 'order', verdict: 'not_found' })
    expect(await save(start)).toEqual({ key: 'order', verdict: 'ok' })
    expect(await save(start)).toEqual({ key: 'order', verdict: 'repeat', status: 'started' }) // with once: STEP_UNKNOWN
    expect(await save(finish)).toEqual({ key: 'order', verdict: 'ok' })
    expect(await save({ ...finish, result: '"other"' })).toEqual({
      key: 'order',
      verdict: 'repeat',
      status: 'finished',
      result: '{"b":1,"a":2}',
    })
    expect(await save(start)).toEqual({ key: 'order', verdict: 'repeat', status: 'finished', result: '{"b":1,"a":2}' })
  })

  test('tells a start whose answer was lost from the start of an earlier run', async () => {
    await using db = await freshDatabase()
    const { save } = await turnOf(db)
    const start = (run: string) => save({ key: 'order', phase: 'start', run })
    expect([await start('run 1'), await start('run 1'), await start('run 2')].map(({ verdict }) => verdict)).toEqual(['ok', 'ok', 'repeat'])
  })

  test('belongs to its agent and message, and a successor of the agent goes on with it', async () => {
    await using db = await freshDatabase()
    const { n1, save, turn } = await turnOf(db)
    const { b } = await n1.hold('b')
    await save({ key: 'order', phase: 'start' })
    expect((await save({ key: 'order', phase: 'start', message_id: randomUUID() })).verdict).toBe('ok')
    expect((await save({ key: 'order', phase: 'start', agent_id: 'b', lease_token: b })).verdict).toBe('ok') // the same broadcast
    const { a: next } = await n1.hold('a')
    expect((await save({ key: 'order', phase: 'finish', result: '1' })).verdict).toBe('stale')
    expect(only(await n1.steps({ ...turn, lease_token: next, key: 'order', phase: 'start' }))).toMatchObject({
      verdict: 'repeat',
      status: 'started',
    })
    expect(only(await n1.steps({ ...turn, lease_token: next, key: 'order', phase: 'finish', result: '1' })).verdict).toBe('ok')
  })

  test('of a job goes with the job to the agent that claims it next, and the former holder is refused', async () => {
    await using db = await freshDatabase()
    const n1 = hostOf(db.connect({ max: 1 }))
    const { a = 0, b = 0 } = await n1.hold('a', 'b')
    await n1.call('create_jobs', [{ job_type: 'execute_trade', max_attempts: 5 }])
    const first = await claim(db, 'a', a)
    await n1.steps({ ...first, key: 'place order', phase: 'start' })
    await db.sql`update public.agent_jobs set lease_expires_at = now() - interval '1 s', reap_at = now() - interval '1 s'`
    const second = await claim(db, 'b', b)
    expect(second.job_id).toBe(first.job_id)
    expect(only(await n1.steps({ ...first, key: 'place order', phase: 'finish', result: '1' })).verdict).toBe('stale')
    expect(only(await n1.functions({ ...first, key: 'f', fn: 'sweep_rows', args: {} })).verdict).toBe('stale')
    expect(only(await n1.steps({ ...second, key: 'place order', phase: 'start' }))).toMatchObject({ verdict: 'repeat', status: 'started' })
    const job = { id: second.job_id, lease_token: second.job_token }
    await n1.commit({ turns: [{ agent_id: 'b', lease_token: b, job, steps: true }] })
    expect(await db.sql`select from public.agent_steps`).toHaveLength(0)
    expect(only(await n1.steps({ ...second, key: 'late', phase: 'start' })).verdict).toBe('stale')
  })

  test('with bad input fails alone, with its code', async () => {
    await using db = await freshDatabase()
    const { n1, turn, save } = await turnOf(db)
    for (const key of ['ok', 'nul', 'large', 'broken']) await save({ key, phase: 'start' })
    const answers = await n1.steps(
      { ...turn, key: 'ok', phase: 'finish', result: '1' },
      { ...turn, key: 'nul', phase: 'finish', result: '"\\u0000"' },
      { ...turn, key: 'large', phase: 'finish', result: JSON.stringify('x'.repeat(1_048_576)) },
      { ...turn, key: 'broken', phase: 'finish', result: '{' },
      { ...turn, key: 'x', phase: 'middle' },
      { ...turn, key: 'x', phase: 'start', message_id: 'no uuid' },
      { ...turn, key: null, phase: 'start' },
      { ...turn, key: 'x', phase: 'start', lease_token: null },
    )
    expect(answers.map(({ code, verdict }) => code ?? verdict)).toEqual([
      'ok',
      '22P05',
      '23514',
      '22P02',
      'PT400',
      '22P02',
      '23502',
      'stale',
    ])
    expect(await db.sql`select key, status from public.agent_steps where status = 'finished'`).toEqual([{ key: 'ok', status: 'finished' }])
  })
})

describe('a call', () => {
  test('keeps its result with its effect; a repeat gets it and runs nothing', async () => {
    await using db = await freshDatabase()
    const { call, turn } = await turnOf(db)
    const args = { idempotency_key: 'k1', market_id: 'm', side: 'YES', amount: 2 }
    const first = await call('reserve_execution', args)
    expect(first).toMatchObject({ verdict: 'ok', result: { verdict: 'ok' } })
    // By its key alone: the repeat would reserve again, under another idempotency key.
    expect(await call('reserve_execution', { ...args, idempotency_key: 'k2' })).toEqual({ ...first, verdict: 'repeat' })
    expect(await db.sql`select from public.trade_executions`).toHaveLength(1)
    expect(await db.sql`select status from public.agent_steps where message_id = ${turn.message_id}`).toEqual([{ status: 'finished' }])
  })

  test('keeps a result of any JSON type', async () => {
    await using db = await freshDatabase()
    const { call } = await turnOf(db)
    await db.sql.unsafe(`create function public.echo(p jsonb) returns jsonb language sql as 'select p -> ''say'''`)
    await db.sql`insert into troupe.callable_functions values ('echo')`
    for (const [n, say] of [{ a: [1] }, 'text', '"quoted"', 0, false, null, [], undefined].entries()) {
      const key = `k${n}`
      expect([await call('echo', { say }, { key }), await call('echo', {}, { key })]).toEqual([
        { key, verdict: 'ok', result: say ?? null },
        { key, verdict: 'repeat', result: say ?? null },
      ])
    }
  })

  test('that comes twice at once runs once: the second waits for the first', async () => {
    await using db = await freshDatabase()
    const { call, turn } = await turnOf(db)
    const args = { idempotency_key: 'k1', market_id: 'm', side: 'YES', amount: 2 }
    const open = await openTransaction(db.sql, (host) => host.functions({ ...turn, key: 'k', fn: 'reserve_execution', args }))
    const second = call('reserve_execution', { ...args, idempotency_key: 'k2' })
    await untilBlockedBy(db.sql, open.pid)
    await open.end()
    expect(await second).toEqual({ ...only(open.answer), verdict: 'repeat' })
    expect(await db.sql`select from public.trade_executions`).toHaveLength(1)
  })

  test('of a function that is not on the list, or that refuses, fails alone and leaves nothing', async () => {
    await using db = await freshDatabase()
    const { n1, turn, save } = await turnOf(db)
    await save({ key: 'a step', phase: 'start' })
    const one = (key: string, fn: string, args: unknown = {}) => ({ ...turn, key, fn, args })
    const answers = await n1.functions(
      one('1', 'commit_turns', { turns: [] }),
      one('2', 'version"; drop table agent_jobs; --'),
      one('3', 'reserve_execution', { idempotency_key: 'x', amount: -1 }),
      one('4', 'sweep_rows'),
      one('a step', 'sweep_rows'),
      { ...one('5', 'sweep_rows'), lease_token: turn.lease_token + 1 },
      { ...one('6', 'sweep_rows'), message_id: null },
    )
    expect(answers.map(({ code, verdict }) => code ?? verdict)).toEqual(['PT403', 'PT403', 'PT400', 'ok', 'PT409', 'stale', '23502'])
    expect(await db.sql`select key from public.agent_steps order by key`).toEqual([{ key: '4' }, { key: 'a step' }])
    // What failed may be tried again.
    expect(only(await n1.functions(one('3', 'sweep_rows'))).verdict).toBe('ok')
  })
})
