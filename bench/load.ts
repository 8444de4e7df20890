import { randomUUID } from 'node:crypto'
import type { Sql } from 'postgres'
import type { Store } from '../src/store/store.ts'
import { newMessageId } from '../src/worker/keys.ts'

/** Calls a function of the schema that takes one batch. */
export type Call = <Answer>(name: string, batch: unknown) => Promise<Answer>

/** Straight to PostgreSQL. */
export function callOver(sql: Sql): Call {
  return async <Answer>(name: string, batch: unknown) => {
    const [row] = await sql<{ answer: Answer }[]>`select ${sql.unsafe(`public.${name}`)}(${sql.json(batch as never)}) as answer`
    return row?.answer as Answer
  }
}

/** Through a store, with all that it checks and parses. */
export function callThrough(store: Store): Call {
  return async <Answer>(name: string, batch: unknown) => (await store.call(name as 'claim_jobs', { p_batch: batch } as never)) as Answer
}

/** How many were done in how many seconds. */
export interface Done {
  count: number
  seconds: number
}
export const rateOf = ({ count, seconds }: Done): number => count / seconds

/** Repeats work, which says how much it did, until the time is over or it has nothing more to do. */
export async function repeat(seconds: number, work: () => Promise<number>): Promise<Done> {
  const began = performance.now()
  let count = 0
  let last = 1
  while (last > 0 && performance.now() - began < seconds * 1000) {
    last = await work()
    count += last
  }
  return { count, seconds: (performance.now() - began) / 1000 }
}

/** Runs several at once; together they took as long as the slowest. */
export async function together(all: readonly Promise<Done>[]): Promise<Done> {
  const done = await Promise.all(all)
  return { count: done.reduce((sum, { count }) => sum + count, 0), seconds: Math.max(...done.map(({ seconds }) => seconds)) }
}

interface Work {
  agent: string
  batch: number
}

/** One agent that claims jobs and completes them, one after the other. `claimed` hears how many milliseconds each claim took. */
export function worker(call: Call, { agent, batch, claimed }: Work & { claimed?: (took: number) => void }): () => Promise<number> {
  const { claim, complete } = agentOver(call, { agent, batch })
  return async () => {
    const began = performance.now()
    const jobs = await claim()
    claimed?.(performance.now() - began)
    return await complete(jobs)
  }
}

/** The same without pauses: it claims the next jobs while the last ones are being completed, as a busy host does. */
export function busyWorker(call: Call, work: Work): () => Promise<number> {
  const { claim, complete } = agentOver(call, work)
  let next: Promise<Job[]> | undefined
  return async () => {
    const jobs = await (next ?? claim())
    const completed = complete(jobs)
    next = claim()
    const [count] = await Promise.all([completed, next])
    return count
  }
}

interface Job {
  job_id: string
  lease_token: number
}

function agentOver(call: Call, { agent, batch }: Work) {
  let cursor: unknown
  return {
    claim: async (): Promise<Job[]> => {
      const [answer] = await call<{ jobs: Job[]; cursor: unknown }[]>('claim_jobs', [
        { agent_id: agent, job_types: ['work'], limit: batch, cursor },
      ])
      cursor = answer?.cursor
      return answer?.jobs ?? []
    },
    complete: async (jobs: readonly Job[]): Promise<number> => {
      if (jobs.length === 0) return 0
      const ends = jobs.map(({ job_id, lease_token }) => ({ job_id, lease_token, outcome: 'completed', result: { ok: true } }))
      const verdicts = await call<{ verdict: string }[]>('finish_jobs', ends)
      const lost = verdicts.find(({ verdict }) => verdict !== 'ok')
      if (lost) throw new Error(`finish_jobs: ${lost.verdict}`)
      return verdicts.length
    },
  }
}

interface Told {
  id: string
  deliveries: { agent_id: string }[]
}

/** A team whose members hand notes around: each turn handles one, saves a state and sends one on. */
export async function openTeam(call: Call, notes: number): Promise<(turns: number) => Promise<number>> {
  const team = randomUUID().slice(0, 8) // an earlier team's mailboxes still hold its notes
  const names = Array.from({ length: 64 }, (_, index) => `${team}-${index}`)
  const taken = await call<{ agents: { agent_id: string; lease_token: number; state: { version: number } | null }[] }>('sync_node', {
    node_id: 'bench',
    lease_ms: 3_600_000,
    agents: names.map((agent_id) => ({ agent_id, action: 'take' })),
  })
  const stamps = Object.fromEntries(taken.agents.map(({ agent_id, lease_token }) => [agent_id, lease_token]))
  const versions = new Map(taken.agents.map(({ agent_id, state }) => [agent_id, state?.version ?? 0]))
  const note = (from_agent: string, to: number) => ({
    id: newMessageId(),
    from_agent,
    to_agent: names[to % names.length],
    type: 'note',
    body: JSON.stringify({ market: '0x1234567890abcdef', side: 'YES', price: 0.53 }),
  })
  const queue: { id: string; agent: string }[] = []
  const put = (told: readonly Told[]) => {
    for (const { id, deliveries } of told) for (const { agent_id: agent } of deliveries) queue.push({ id, agent })
  }
  const messages = Array.from({ length: notes }, (_, index) => note('bench', index))
  put(await call<Told[]>('send_messages', { messages, stamps }))

  return async (turns) => {
    const batch = queue.splice(0, turns).map(({ id, agent }) => {
      const version = versions.get(agent) ?? 0
      versions.set(agent, version + 1)
      return {
        agent_id: agent,
        lease_token: stamps[agent],
        message: { id, attempts: 0 },
        state: { version, value: `{"seen":${version}}` },
        messages: [note(agent, names.indexOf(agent) + 1)],
      }
    })
    const answer = await call<{ turns: { verdict: string; messages: Told[] }[] }>('commit_turns', { turns: batch, stamps })
    for (const { verdict, messages: told } of answer.turns) {
      if (verdict !== 'ok') throw new Error(`commit_turns: ${verdict}`)
      put(told)
    }
    return answer.turns.length
  }
}
