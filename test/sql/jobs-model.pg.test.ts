import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Database, freshDatabase } from '../postgres.ts'
import type { Client } from '../postgres-setup.ts'
import { runs } from '../seed.ts'
import { change, claim, createJobs, type Ending, finish, type JobRow, jobRows, moveClock, renew } from './job-queue.ts'
import { type Held, QueueModel, type Wish } from './jobs-model.ts'
import { call } from './rest.ts'

let db: Database
beforeAll(async () => {
  db = await freshDatabase({ max: 1 })
})
afterAll(() => db[Symbol.asyncDispose]())

// Every span is a multiple of 15 s and a run takes far less, so that the time it takes decides nothing.
const span = (...steps: number[]) => fc.constantFrom(...steps.map((step) => 15 * step))
const agent = fc.constantFrom('a', 'b', 'c')
const type = fc.constantFrom('work', 'toil')
const pick = fc.nat(1_000)

const creation = fc.record({
  kind: fc.constant('create' as const),
  type,
  priority: fc.constantFrom(1, 5, 10),
  target: fc.option(agent, { freq: 3 }),
  key: fc.option(fc.constantFrom('x', 'y'), { freq: 1 }),
  maxAttempts: fc.constantFrom(1, 2, 3),
  timeout: fc.option(span(1, 3, 6), { freq: 2 }),
  delay: span(0, 0, 0, 2),
  again: fc.option(pick, { freq: 6 }), // the id of an earlier one
})
const claiming = fc.record({
  kind: fc.constant('claim' as const),
  agent,
  types: fc.constantFrom<string[] | null>(null, ['work'], ['toil'], ['work', 'toil'], []),
  limit: fc.constantFrom(1, 2, 5),
  lease: span(2, 4),
})
const ending: fc.Arbitrary<Ending> = fc.record(
  {
    outcome: fc.constantFrom('completed' as const, 'failed' as const, 'released' as const),
    retry_in_ms: fc.constantFrom(0, 0, 30_000),
    retryable: fc.constantFrom(true, true, true, false),
  },
  { requiredKeys: ['outcome', 'retry_in_ms'] },
)
const operation = fc.oneof(
  { arbitrary: creation, weight: 5 },
  { arbitrary: claiming, weight: 6 },
  { arbitrary: fc.record({ kind: fc.constant('finish' as const), which: pick, ending }), weight: 7 },
  { arbitrary: fc.record({ kind: fc.constant('renew' as const), which: pick, lease: span(1, 2, 4), started: fc.boolean() }), weight: 3 },
  { arbitrary: fc.record({ kind: fc.constant('cancel' as const), which: pick }), weight: 1 },
  { arbitrary: fc.record({ kind: fc.constant('redrive' as const), which: pick }), weight: 2 },
  { arbitrary: fc.record({ kind: fc.constant('wait' as const), span: span(1, 2, 4, 7) }), weight: 3 },
  { arbitrary: fc.record({ kind: fc.constant('reap' as const) }), weight: 1 },
)
type Operation = typeof operation extends fc.Arbitrary<infer Value> ? Value : never

/** The queue and its model, driven together; `held` is every claim ever given, so that late holders act too. */
class Twins {
  readonly model = new QueueModel()
  readonly held: Held[] = []
  readonly ids: string[] = []
  readonly #sql: Client
  #offset = 0

  constructor(sql: Client) {
    this.#sql = sql
  }

  async apply(operation: Operation): Promise<void> {
    this.model.now += 0.001 // time passes in the database too: what is given back now is due after what was made before
    switch (operation.kind) {
      case 'create':
        return await this.#create(operation)
      case 'claim': {
        const { agent: agent_id, types: job_types, limit, lease } = operation
        const { jobs } = await claim(this.#sql, { agent_id, job_types, limit, lease_ms: lease * 1000 })
        const given = jobs.map(({ job_id, lease_token }) => ({ id: job_id, token: lease_token }))
        this.held.push(...given)
        return expect(given).toEqual(this.model.claim(agent_id, job_types, limit, lease))
      }
      case 'finish': {
        const job = this.#held(operation.which)
        const verdicts = await finish(this.#sql, [{ job_id: job.id, lease_token: job.token }], operation.ending)
        return expect(verdicts).toEqual([this.model.finish(job, operation.ending)])
      }
      case 'renew': {
        const job = this.#held(operation.which)
        const more = { lease_ms: operation.lease * 1000, started: operation.started }
        const verdicts = await renew(this.#sql, [{ job_id: job.id, lease_token: job.token }], more)
        return expect(verdicts).toEqual([this.model.renew(job, operation.lease, operation.started)])
      }
      case 'cancel':
      case 'redrive': {
        const id = this.#id(operation.which)
        const verdicts = await change(this.#sql, `${operation.kind}_jobs`, [id])
        return expect(verdicts).toEqual([this.model[operation.kind](id)])
      }
      case 'wait':
        this.model.now += operation.span
        this.#offset += operation.span
        return await moveClock(this.#sql, `${this.#offset} seconds`)
      case 'reap':
        return expect(await call(this.#sql, 'sweep_rows', {})).toMatchObject({ jobs: this.model.reap() })
    }
  }

  async #create({ kind: _, again, ...operation }: Operation & { kind: 'create' }): Promise<void> {
    const wish: Wish = { ...operation, id: again === null ? uuidOf(this.ids.length) : this.#id(again) }
    this.ids.push(wish.id)
    const [answer] = await createJobs(this.#sql, [
      {
        ...{ id: wish.id, job_type: wish.type, priority: wish.priority, delay_ms: wish.delay * 1000, max_attempts: wish.maxAttempts },
        ...(wish.target && { target_agent: wish.target }),
        ...(wish.key && { dedupe_key: wish.key }),
        ...(wish.timeout && { timeout_ms: wish.timeout * 1000 }),
      },
    ])
    const { verdict, id } = this.model.create(wish)
    expect(answer).toEqual({ verdict, job_id: id })
  }

  #id(which: number): string {
    return this.ids[which % this.ids.length] ?? uuidOf(1_000)
  }

  /** Mostly one of the last claims; sometimes an old one, or a token that nobody was ever given. */
  #held(which: number): Held {
    const recent = this.held.slice(which % 3 ? -4 : 0)
    const job = recent[which % recent.length] ?? { id: uuidOf(1_000), token: 1 }
    return which % 11 === 0 ? { ...job, token: job.token + 1 } : job
  }

  /** The rows are the model’s jobs: none is lost, none has another state, and no token ever shrank. */
  async compare(before: ReadonlyMap<string, number>): Promise<Map<string, number>> {
    const rows = await jobRows(this.#sql)
    expect(rows.map(stateOf)).toEqual([...this.model.jobs.values()].sort((a, b) => a.seq - b.seq).map(expected))
    for (const { id, lease_token } of rows) expect(lease_token).toBeGreaterThanOrEqual(before.get(id) ?? 0)
    return new Map(rows.map(({ id, lease_token }) => [id, lease_token]))
  }
}

const uuidOf = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`
const stateOf = ({ id, status, attempt, lease_token, assigned_to, dead_reason, history }: JobRow) => ({
  ...{ id, status, attempt, token: lease_token, holder: assigned_to, deadReason: dead_reason },
  history: history.map((entry) => ({ attempt: entry.attempt, token: entry.token, outcome: entry.outcome })),
})
const expected = ({
  id,
  status,
  attempt,
  token,
  holder,
  deadReason,
  history,
}: QueueModel['jobs'] extends Map<string, infer Job> ? Job : never) => ({
  ...{ id, status, attempt, token, holder, deadReason, history },
})

test('whatever is done in whatever order, the queue answers and remembers as its model does', async () => {
  const { sql } = db
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { minLength: 20, maxLength: 40 }), async (operations) => {
      await sql`delete from public.agent_jobs`
      await moveClock(sql, '0')
      const twins = new Twins(sql)
      let tokens = new Map<string, number>()
      for (const each of operations) {
        await twins.apply(each)
        tokens = await twins.compare(tokens)
      }
    }),
    { ...runs(100), interruptAfterTimeLimit: 20_000 },
  )
})
