import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { freshDatabase } from '../postgres.ts'
import type { Client } from '../postgres-setup.ts'
import { type Host, hostOf, insist, message, only, type Taken, type Turn } from './host.ts'

const accounts = Array.from({ length: 20 }, (_, n) => `account-${n}`)
const opening = 1000
const transfers = 240

type Transfer = { n: number; to: string; amount: number }
type Book = { balance: number; paid: number[]; got: number[] }
type Account = { token: number; version: number; book: Book; mail: Map<string, Mail> }
type Mail = { id: string; type: string; transfer: Transfer; attempts: number; from: string }
type Job = { job_id: string; lease_token: number; payload: Transfer }

const pay = (book: Book, { n, amount }: Transfer): Book => ({ ...book, balance: book.balance - amount, paid: [...book.paid, n] })
const credit = (book: Book, { n, amount }: Transfer): Book => ({ ...book, balance: book.balance + amount, got: [...book.got, n] })

/**
 * One connection of a process, as its outbox would work: runs ahead with several turns of several agents, commits them
 * together, repeats what was not answered, and hands over an agent whose lease has gone elsewhere.
 */
function createLane(sql: Client, node: string, ended: { value: boolean }) {
  const host: Host = hostOf(sql, node)
  const held = new Map<string, Account>()
  const wanted: string[] = []
  const counts = { commits: 0, repeated: 0, deadlocks: 0, stale: 0 }

  async function take(agent: string): Promise<void> {
    const taken = only((await insist(() => host.sync([{ agent_id: agent, action: 'take' }]))).answer)
    if (taken.verdict !== 'ok') return
    const book: Book = taken.state ? JSON.parse(taken.state.value) : { balance: opening, paid: [], got: [] }
    held.set(agent, { token: taken.lease_token, version: taken.state?.version ?? 0, book, mail: new Map() })
  }

  /** Handles up to three messages of an agent, each on the state that the one before left. */
  function runAhead(agent: string, account: Account): { turn: Turn; mail: Mail; book: Book }[] {
    let { book, version } = account
    return [...account.mail.values()].slice(0, 3).map((mail) => {
      const base = { agent_id: agent, lease_token: account.token, message: { id: mail.id, attempts: mail.attempts } }
      if (Math.random() < 0.1 && mail.attempts < 2) {
        return { turn: { ...base, outcome: 'retry', error: 'by chance', retry_in_ms: 0 }, mail, book }
      }
      book = mail.type === 'pay' ? pay(book, mail.transfer) : credit(book, mail.transfer)
      const { n, to, amount } = mail.transfer
      const state = { version: version++, value: JSON.stringify(book) }
      if (mail.type !== 'pay') return { turn: { ...base, state }, mail, book }
      const sent =
        n % 2 === 0
          ? { messages: [message('', to, { n, to, amount }, { type: 'credit' })] }
          : { jobs: [{ id: randomUUID(), job_type: 'credit', target_agent: to, payload: { n, to, amount } }] }
      return { turn: { ...base, state, ...sent }, mail, book }
    })
  }

  function put(account: Account | undefined, taken: Taken | undefined): void {
    for (const waiting of taken?.messages ?? []) {
      const { id, type, body, attempts, from_agent: from } = waiting
      account?.mail.set(id, { id, type, transfer: JSON.parse(body), attempts, from })
    }
  }

  async function round(): Promise<void> {
    for (const agent of wanted.splice(0)) await take(agent)
    const stamps = Object.fromEntries([...held].map(([agent, account]) => [agent, account.token]))
    const runs = [...held].flatMap(([agent, account]) => runAhead(agent, account))
    const refills = [...held].map(([agent_id, account]) => ({
      agent_id,
      lease_token: account.token,
      limit: 20,
      have: [...account.mail.keys()],
    }))
    const batch = { turns: runs.map(({ turn }) => turn), stamps, refills }
    let { answer, repeats } = await insist(() => host.commit(batch))
    counts.deadlocks += repeats
    counts.commits += 1
    if (Math.random() < 0.2) {
      answer = (await insist(() => host.commit(batch))).answer // the first answer was lost on its way
      counts.repeated += 1
    }
    for (const [index, { turn, mail, book }] of runs.entries()) {
      const verdict = answer.turns[index]
      const account = held.get(turn.agent_id)
      if (!account) continue
      if (verdict?.verdict === 'failed') throw new Error(verdict.error)
      if (verdict?.verdict === 'stale') {
        counts.stale += 1
        held.delete(turn.agent_id) // whoever has it now goes on
        continue
      }
      if (turn.outcome === 'retry') {
        account.mail.set(mail.id, { ...mail, attempts: mail.attempts + 1 })
        continue
      }
      account.mail.delete(mail.id)
      account.version += 1
      account.book = book
      for (const told of verdict?.messages ?? []) {
        for (const { agent_id, stamped } of told.deliveries) {
          const sent = (turn.messages as { id: string; type: string; body: string }[]).find(({ id }) => id === told.id)
          if (stamped && sent) {
            const put = { id: sent.id, type: sent.type, transfer: JSON.parse(sent.body), attempts: 0, from: turn.agent_id }
            held.get(agent_id)?.mail.set(sent.id, put)
          }
        }
      }
    }
    for (const taken of answer.refills) {
      if (taken.verdict === 'stale') held.delete(taken.agent_id)
      else put(held.get(taken.agent_id), taken)
    }
    await work()
  }

  /** Claims jobs and completes each in a turn of the agent it is addressed to. */
  async function work(): Promise<void> {
    const request = [...held].map(([agent_id, { token }]) => ({
      agent_id,
      lease_token: token,
      job_types: ['credit'],
      limit: 1,
      claim_id: randomUUID(),
    }))
    const { answer } = await insist(() => host.call<{ agent_id: string; jobs: Job[] }[]>('claim_jobs', request))
    const runs = answer.flatMap(({ agent_id, jobs }) => {
      const account = held.get(agent_id)
      return account ? jobs.map((job) => ({ agent_id, account, job, book: credit(account.book, job.payload) })) : []
    })
    const turns = runs.map(({ agent_id, account, job, book }) => ({
      agent_id,
      lease_token: account.token,
      job: { id: job.job_id, lease_token: job.lease_token },
      state: { version: account.version, value: JSON.stringify(book) },
    }))
    const batch = { turns }
    let committed = (await insist(() => host.commit(batch))).answer.turns
    if (Math.random() < 0.2) committed = (await insist(() => host.commit(batch))).answer.turns
    const back: Job[] = []
    for (const [index, { agent_id, account, job, book }] of runs.entries()) {
      const verdict = committed[index]
      if (verdict?.verdict === 'ok' || verdict?.verdict === 'repeat') {
        account.version += 1
        account.book = book
      } else {
        if (verdict?.verdict === 'failed') throw new Error(verdict.error)
        held.delete(agent_id)
        back.push(job)
      }
    }
    const releases = back.map(({ job_id, lease_token }) => ({ job_id, lease_token, outcome: 'released' }))
    await insist(() => host.call('finish_jobs', releases))
  }

  return {
    counts,
    holds: (agent: string) => held.has(agent),
    want: (agent: string) => wanted.push(agent),
    run: async () => {
      while (!ended.value) await round()
    },
  }
}

test('money neither appears nor vanishes: numbered transfers between 20 agents on two nodes, over 8 connections', async () => {
  await using db = await freshDatabase()
  const ended = { value: false }
  const lanes = Array.from({ length: 8 }, (_, n) => createLane(db.connect({ max: 1 }), n < 4 ? 'n1' : `n2`, ended))
  for (const [n, agent] of accounts.entries()) lanes[n % 8]?.want(agent)
  const any = () => accounts[Math.floor(Math.random() * accounts.length)] ?? ''
  const orders = Array.from({ length: transfers }, (_, n) => {
    const [from, to] = [any(), any()]
    return message('teller', from, { n, to, amount: 1 + (n % 50) }, { type: 'pay' })
  })
  await hostOf(db.sql).send({ messages: orders })

  /** Lets agents change nodes under their holder's hands until all work is done. */
  async function disturb(): Promise<number> {
    for (let moves = 0; ; ) {
      const [left] = await db.sql<{ mail: number; jobs: number; states: number }[]>`select
        (select count(*)::int from public.agent_deliveries where status <> 'done') as mail,
        (select count(*)::int from public.agent_jobs where status <> 'completed') as jobs,
        (select count(*)::int from public.agent_leases) as states`
      if (left && left.states === accounts.length && left.mail + left.jobs === 0) return moves
      if (moves < 25 && (left?.states ?? 0) === accounts.length) {
        const victim = any()
        await db.sql`update public.agent_leases set lease_expires_at = clock_timestamp() - interval '1 s' where agent_id = ${victim}`
        const heirs = lanes.filter((lane) => !lane.holds(victim))
        heirs[Math.floor(Math.random() * heirs.length)]?.want(victim)
        moves += 1
      }
      // An agent that fell between two lanes is somebody's again.
      for (const agent of accounts) if (!lanes.some((lane) => lane.holds(agent))) lanes[Math.floor(Math.random() * 8)]?.want(agent)
    }
  }
  const moves = await Promise.race([disturb(), ...lanes.map((lane) => lane.run().then(() => 0))]).finally(() => {
    ended.value = true
  })

  const books = (await db.sql<{ state: string }[]>`select state from public.agent_state`).map(({ state }): Book => JSON.parse(state))
  const numbers = orders.map((_, n) => n)
  const sorted = (all: number[]) => [...all].sort((one, other) => one - other)
  const idle = accounts.length - books.length
  expect(books.reduce((sum, { balance }) => sum + balance, idle * opening)).toBe(accounts.length * opening)
  expect(sorted(books.flatMap(({ paid }) => paid))).toEqual(numbers)
  expect(sorted(books.flatMap(({ got }) => got))).toEqual(numbers)
  const total = (what: keyof (typeof lanes)[0]['counts']) => lanes.reduce((sum, { counts }) => sum + counts[what], 0)
  expect(moves).toBeGreaterThan(0)
  expect(total('repeated')).toBeGreaterThan(0)
})
