import { afterAll, beforeAll, expect, test } from 'vitest'
import { again, seed } from '../seed.ts'
import { chanceOf } from './chance.ts'
import type { FakeActor, FakeContext } from './fake-child.ts'
import { type Fault, faultyStore } from './faulty-store.ts'
import { openTestStore, startNode } from './path.ts'

let opened: Awaited<ReturnType<typeof openTestStore>>
beforeAll(async () => {
  opened = await openTestStore()
})
afterAll(() => opened?.[Symbol.asyncDispose]())

const accounts = Array.from({ length: 6 }, (_, n) => `account-${n}`)
const opening = 1_000
const transfers = 90

type Transfer = { readonly n: number; readonly to: string; readonly amount: number; readonly how: 'message' | 'job' | 'now' }
type Book = { readonly balance: number; readonly paid: readonly number[]; readonly got: readonly number[] }

test('no money appears or vanishes, whatever happens to answers, handlers and threads', async () => {
  const chance = chanceOf(seed)
  let isCalm = false
  const faults = { lost: 0, away: 0, threw: 0, died: 0 }

  function faultOf(): Fault {
    if (isCalm) return 'none'
    const fault = chance(0.12) ? 'lost' : chance(0.05) ? 'away' : 'none'
    if (fault !== 'none') faults[fault] += 1
    return fault
  }

  function mishap(ctx: FakeContext): void {
    if (isCalm) return
    if (chance(0.04)) {
      faults.threw += 1
      throw new Error('by chance')
    }
    if (chance(0.015)) {
      faults.died += 1
      ctx.die()
    }
  }

  const credit = (book: Book, { n, amount }: Transfer): Book => ({ ...book, balance: book.balance + amount, got: [...book.got, n] })
  const account: FakeActor = {
    init: () => ({ state: { balance: opening, paid: [], got: [] } satisfies Book }),
    receive: {
      async pay(transfer: Transfer, ctx) {
        const book = ctx.state as Book
        ctx.state = { ...book, balance: book.balance - transfer.amount, paid: [...book.paid, transfer.n] }
        mishap(ctx)
        if (transfer.how === 'job') ctx.job('credit', transfer, { maxAttempts: 50, dedupeKey: `transfer-${transfer.n}` })
        if (transfer.how === 'message') ctx.tell(transfer.to, 'credit', transfer)
        if (transfer.how === 'now') await ctx.tellNow(transfer.to, 'credit', transfer)
        mishap(ctx)
      },
      credit(transfer: Transfer, ctx) {
        ctx.state = credit(ctx.state as Book, transfer)
        mishap(ctx)
      },
      look: (_: unknown, { state }) => state,
    },
    run: {
      credit(transfer: Transfer, ctx) {
        ctx.state = credit(ctx.state as Book, transfer)
        mishap(ctx)
      },
    },
  }

  await using node = startNode(faultyStore(opened.store, faultOf), 'bank')
  await Promise.all(accounts.map((id) => node.start(id, account, { maxAttempts: 50, mailbox: 20 })))
  const ways = ['message', 'job', 'now'] as const
  await Promise.all(
    Array.from({ length: transfers }, (_, n) => {
      const from = accounts[n % accounts.length] ?? ''
      const transfer = { n, to: accounts[(n * 5 + 1) % accounts.length] ?? '', amount: 1 + (n % 9), how: ways[n % 3] ?? 'message' }
      return node.tell(from, 'pay', transfer satisfies Transfer)
    }),
  )

  /** How the accounts are, once they have nothing left to do. */
  async function books(): Promise<Book[]> {
    const answers = await Promise.all(accounts.map((id) => node.ask(id, 'look', null, 20_000)))
    return answers.map((answer) => JSON.parse(answer.ok ? (answer.value ?? '') : '{}') as Book)
  }
  const isOver = (found: readonly Book[]) => found.flatMap(({ got }) => got).length >= transfers
  let found = await books()
  for (const until = Date.now() + 20_000; !isOver(found) && Date.now() < until; ) {
    isCalm = Date.now() > until - 10_000
    found = await books()
  }
  isCalm = true
  await node.outbox.flush()
  found = await books()

  const all = Array.from({ length: transfers }, (_, n) => n)
  const inOrder = (numbers: readonly number[]) => numbers.toSorted((one, other) => one - other)
  expect(
    {
      money: found.reduce((sum, { balance }) => sum + balance, 0),
      paid: inOrder(found.flatMap(({ paid }) => paid)),
      got: inOrder(found.flatMap(({ got }) => got)),
      dead: node.log.filter(({ name }) => name === 'message:dead').length,
      hadFaults: Object.values(faults).every((count) => count > 0),
    },
    `${again}, ${JSON.stringify(faults)}`,
  ).toEqual({ money: opening * accounts.length, paid: all, got: all, dead: 0, hadFaults: true })
}, 60_000)
