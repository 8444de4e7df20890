import { randomUUID } from 'node:crypto'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { freshDatabase } from '../postgres.ts'
import type { Client } from '../postgres-setup.ts'
import { runs } from '../seed.ts'
import { hostOf, only } from './host.ts'
import { type Agent, agents, type Commit, createModel, leaseMs, type Message, type Model, type Node } from './turns-model.ts'

const agent = fc.constantFrom(...agents)
const node = fc.constantFrom<Node>('n1', 'n2')
const seldom = <Value>(value: fc.Arbitrary<Value>) =>
  fc.oneof({ weight: 6, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: value })
const told = fc.record({
  to: fc.option(fc.constantFrom<Agent | 'nobody'>(...agents, ...agents, 'nobody'), { freq: 4 }),
  isExpress: fc.boolean(),
  delay: seldom(fc.constantFrom(10_000, 25_000)),
  expiresIn: seldom(fc.constantFrom(5_000, 40_000)),
})
const at = fc.nat({ max: 999 })
const action = fc.oneof(
  { weight: 1, arbitrary: fc.record({ do: fc.constant('take' as const), node, agent }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('hold' as const), node, agent }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('release' as const), node, agent }) },
  {
    weight: 7,
    arbitrary: fc.record({ do: fc.constant('send' as const), node, from: fc.constantFrom('s1', 's2', 'a'), told, isStamped: fc.boolean() }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('poll' as const), at, limit: fc.constantFrom(1, 4, 50) }) },
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constant('commit' as const),
      at,
      outcome: fc.constantFrom<Commit['outcome']>('done', 'done', 'done', 'retry', 'dead', 'started', 'back'),
      state: fc.constantFrom('none', 'right', 'right', 'wrong'),
      tells: fc.array(told, { maxLength: 2 }),
      isStamped: fc.boolean(),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('again' as const), at }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('replay' as const, 'drop' as const), at }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('sweep' as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('pass' as const),
      ms: fc.oneof({ weight: 20, arbitrary: fc.constantFrom(1_000, 5_000, 16_000) }, fc.constant(90_000_000)),
    }),
  },
)
type Action = typeof action extends fc.Arbitrary<infer Value> ? Value : never

/** What a node believes about an agent that it took once; perhaps it is a zombie and does not know. */
type Belief = { node: Node; agent: Agent; token: number; version: number; held: Map<string, number> }

const pick = <Item>(items: readonly Item[], at: number): Item | undefined => items[at % Math.max(1, items.length)]

/** Plays actions on the database and on the model, and compares what they say. */
function createRun(sql: Client, model: Model) {
  const hosts = { n1: hostOf(sql, 'n1'), n2: hostOf(sql, 'n2') }
  const beliefs = new Map<string, Belief>()
  const commits: Commit[] = []
  const handled = new Map<string, number>()
  const belief = (on: Node, of: Agent) => beliefs.get(`${on} ${of}`)
  const stampsOf = (on: Node, isStamped: boolean) =>
    Object.fromEntries(isStamped ? agents.flatMap((name) => (belief(on, name) ? [[name, belief(on, name)?.token ?? 0]] : [])) : [])
  const toWire = (message: Message) => ({
    id: message.id,
    from_agent: message.from,
    to_agent: message.to,
    type: 't',
    priority: message.isExpress ? 'high' : 'normal',
    delay_ms: message.delay,
    expires_in_ms: message.expiresIn,
  })

  async function commit(turn: Commit): Promise<void> {
    const expected = model.commit(turn)
    const { turns } = await hosts.n1.commit({
      turns: [
        {
          agent_id: turn.agent,
          lease_token: turn.token,
          message: { id: turn.id, attempts: turn.attempts, ...(turn.outcome === 'back' && { counted: true, taken_back: true }) },
          outcome: turn.outcome === 'back' ? 'retry' : turn.outcome,
          retry_in_ms: 5_000,
          state: turn.version === undefined ? undefined : { version: turn.version, value: `"${turn.id}"` },
          messages: turn.tells.map(toWire),
        },
      ],
      stamps: turn.stamps,
    })
    const { verdict, reason } = only(turns)
    expect(reason ?? verdict, 'commit').toBe(expected)
    if (verdict === 'ok' && turn.outcome === 'done') {
      const key = `${turn.id} ${turn.agent}`
      handled.set(key, (handled.get(key) ?? 0) + 1)
    }
    if (verdict === 'ok') expect(turn.token, 'only the current token writes').toBe(model.token(turn.agent))
  }

  async function play(step: Action): Promise<void> {
    switch (step.do) {
      case 'take': {
        const expected = model.take(step.node, step.agent)
        const taken = only(await hosts[step.node].sync([{ agent_id: step.agent, action: 'take' }], { lease_ms: leaseMs }))
        expect(taken, 'take').toMatchObject(
          expected.verdict === 'ok' ? { verdict: 'ok', lease_token: expected.token, unclean: expected.unclean } : { verdict: 'busy' },
        )
        if (taken.verdict !== 'ok') return
        expect(taken.state?.version ?? 0, 'state').toBe(model.versions.get(step.agent) ?? 0)
        const version = taken.state?.version ?? 0
        beliefs.set(`${step.node} ${step.agent}`, {
          node: step.node,
          agent: step.agent,
          token: taken.lease_token,
          version,
          held: new Map(),
        })
        return
      }
      case 'hold':
      case 'release': {
        const token = belief(step.node, step.agent)?.token ?? 0
        const expected = model[step.do](step.node, step.agent, token)
        const element = { agent_id: step.agent, action: step.do, lease_token: token }
        const answer = only(await hosts[step.node].sync([element], { lease_ms: leaseMs }))
        expect(answer.verdict, step.do).toBe(expected)
        return
      }
      case 'send': {
        const message = { id: randomUUID(), from: step.from, ...step.told }
        const stamps = stampsOf(step.node, step.isStamped)
        model.send(message, stamps)
        const answer = only(await hosts[step.node].send({ messages: [toWire(message)], stamps }))
        expect(answer.verdict, 'send').toBe('ok')
        return
      }
      case 'poll': {
        const known = pick([...beliefs.values()], step.at)
        if (!known) return
        const expected = model.poll(known.agent, known.token, step.limit)
        const taken = only(await hosts[known.node].take({ agent_id: known.agent, lease_token: known.token, limit: step.limit }))
        expect({ verdict: taken.verdict, ids: taken.messages.map(({ id }) => id) }, 'poll').toEqual(expected)
        for (const { id, attempts } of taken.messages) known.held.set(id, attempts)
        return
      }
      case 'commit': {
        const mail = [...beliefs.values()].flatMap((known) => {
          const stamped = [...model.rows.values()].filter(
            (row) => row.agent === known.agent && row.token === known.token && row.status === 'ready',
          )
          return [...new Map([...stamped.map((row) => [row.id, row.attempts] as const), ...known.held])].map(([id, attempts]) => ({
            known,
            id,
            attempts,
          }))
        })
        const chosen = pick(mail, step.at)
        if (!chosen) return
        const { known, id, attempts } = chosen
        const turn: Commit = {
          agent: known.agent,
          token: known.token,
          id,
          attempts,
          outcome: step.outcome === 'back' && attempts === 0 ? 'started' : step.outcome,
          version: step.state === 'none' || step.outcome !== 'done' ? undefined : known.version + (step.state === 'wrong' ? 1 : 0),
          tells: step.tells.map((one) => ({ id: randomUUID(), from: known.agent, ...one })),
          stamps: stampsOf(known.node, step.isStamped),
        }
        commits.push(turn)
        await commit(turn)
        const row = model.rows.get(`${id} ${known.agent}`)
        if (row?.token === known.token && row.status === 'ready') known.held.set(id, row.attempts)
        else known.held.delete(id)
        if (model.token(known.agent) === known.token) known.version = model.versions.get(known.agent) ?? 0
        return
      }
      case 'again': {
        const turn = pick(commits, step.at)
        if (turn) await commit(turn)
        return
      }
      case 'replay':
      case 'drop': {
        const row = pick([...model.rows.values()], step.at)
        if (!row) return
        const expected = model[step.do](row.id, row.agent)
        if (step.do === 'replay' && expected === 'ok') handled.delete(`${row.id} ${row.agent}`)
        const [answer] = await hosts.n1.call<{ verdict: string }[]>(`${step.do}_messages`, [{ id: row.id, agent_id: row.agent }])
        expect(answer?.verdict, step.do).toBe(expected)
        return
      }
      case 'sweep':
        model.sweep()
        await hosts.n1.call('sweep_rows', {})
        return
      case 'pass':
        model.pass(step.ms)
        await hosts.n1.setClock(`${model.now()} milliseconds`)
        return
    }
  }

  return {
    play,
    compare: async () => {
      const stored = await sql<
        { id: string; agent: string; status: string; token: number | null; attempts: number; interruptions: number }[]
      >`
        select message_id as id, agent_id as agent, status, token::int, attempts, interruptions from public.agent_deliveries order by seq`
      const wanted = [...model.rows.values()]
        .sort((one, other) => one.seq - other.seq)
        .map(({ id, agent, status, token, attempts, interruptions }) => ({ id, agent, status, token, attempts, interruptions }))
      expect(stored.map((row) => ({ ...row }))).toEqual(wanted) // none lost, none made up, each in one of its five states, in order
      expect([...handled].filter(([, times]) => times > 1)).toEqual([])
    },
  }
}

test('whatever two nodes do with three agents, mailboxes are what a plain model says', async () => {
  await using db = await freshDatabase()
  const sql = db.connect({ max: 1 })
  // A clock that stands still between the steps, so that no deadline is passed by accident.
  await sql.unsafe(`create or replace function troupe.now() returns timestamptz language sql stable set search_path = '' as
    $$ select timestamptz '2030-01-01 00:00Z' + coalesce(nullif(current_setting('troupe.clock_offset', true), '')::interval, interval '0') $$`)
  const property = fc.asyncProperty(fc.array(action, { minLength: 10, maxLength: 60, size: 'max' }), async (steps) => {
    await sql`delete from public.agent_messages`
    await sql`delete from public.agent_leases`
    await sql`delete from public.agent_state`
    await sql`select set_config('troupe.clock_offset', '0', false)`
    const run = createRun(sql, createModel())
    const homes: Action[] = agents.map((agent, n) => ({ do: 'take', node: n === 0 ? 'n2' : 'n1', agent }))
    for (const step of [...homes.slice(0, 2), ...steps]) {
      await run.play(step)
      await run.compare()
    }
  })
  // On a busy machine fewer runs; never a failure for lack of time.
  await fc.assert(property, { ...runs(60), interruptAfterTimeLimit: 15_000 })
}, 120_000)
