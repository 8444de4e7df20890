import { expect, test } from 'vitest'
import { type Account, type Amount, accountAt, judge, type Limits, reserve, settle, windowEnd } from '../../src/services/llm-budget.ts'
import type { RecordUsage } from '../../src/services/llm-pages.ts'
import { createManualClock } from '../host/manual-clock.ts'
import { caller, failureOf, llmAt } from './llm-service.ts'
import { startModelServer } from './model-server.ts'

const day = 86_400_000
const limits: Limits = { tokens: 100, usd: 1, every: 'day' }
const amount = (tokens: number, usd = 0): Amount => ({ tokens, usd })
const fresh = accountAt(undefined, limits, 5)

test('a call fits, has to wait for others, or is over', () => {
  const half = reserve(fresh, amount(50))
  const spent = settle(half, amount(50), amount(60))
  const verdicts = [
    judge(fresh, limits, amount(100, 1)),
    judge(half, limits, amount(51)),
    judge(spent, limits, amount(41)),
    judge(spent, limits, amount(40)),
  ]
  expect(verdicts).toEqual([
    { kind: 'ok' },
    { kind: 'wait' },
    { kind: 'exceeded', unit: 'tokens', used: 60, needs: 41, limit: 100 },
    { kind: 'ok' },
  ])
})

test('what is not limited never counts', () => {
  expect(judge(fresh, { every: 'day' }, amount(1e12, 1e12))).toEqual({ kind: 'ok' })
})

test('a new day starts anew, but keeps what is under way', () => {
  const late = reserve(settle(reserve(fresh, amount(10)), amount(10), amount(90)), amount(10))
  expect([accountAt(late, limits, day - 1), accountAt(late, limits, day), windowEnd(late, limits)]).toEqual([
    late,
    { window: 1, spent: amount(0), reserved: amount(10), calls: 1 },
    day,
  ])
})

test('fractions leave nothing behind that a later call would wait for', () => {
  const steps = [0.1, 0.2, 0.3]
  const held = steps.reduce((account: Account, usd) => reserve(account, amount(0, usd)), fresh)
  const free = steps.reduce((account: Account, usd) => settle(account, amount(0, usd), amount(0)), held)
  expect(free).toEqual(fresh)
})

test('an agent over its budget is stopped with the reason, others go on, and a new day lets it on', async () => {
  await using server = await startModelServer([], { kind: 'answer', text: 'Well.', usage: { prompt_tokens: 30, completion_tokens: 30 } })
  let now = Date.parse('2026-03-01T23:00:00Z')
  const { ask } = llmAt(server.url, { settings: { budget: { perAgent: { tokens: 100 } } }, now: () => now })
  const short = { prompt: 'y'.repeat(35), maxTokens: 50 }
  await ask(short)
  const failure = await failureOf(ask(short))
  await ask(short, caller('trader'))
  now += 3_600_000
  await ask(short)
  const reason =
    'the budget for models is used up: scanner has used 60 tokens of 100 tokens in this day (UTC); this call may take 60 tokens; ' +
    'there is room at 2026-03-02T00:00:00.000Z, or with a larger llm.budget.perAgent.tokens'
  const details = { reason, scope: 'perAgent', unit: 'tokens', used: 60, needs: 60, limit: 100, until: Date.parse('2026-03-02') }
  expect([failure, server.asked.length]).toEqual([{ code: 'BUDGET_EXCEEDED', message: reason, details }, 3])
})

test('the agents of a team share its dollars; another team has its own', async () => {
  await using server = await startModelServer([], { kind: 'answer', text: 'Well.', usage: { prompt_tokens: 10, completion_tokens: 50 } })
  const settings = { prices: { m: { input: 0, output: 10_000 } }, budget: { perTeam: { usd: 1 } } }
  const { ask } = llmAt(server.url, { settings })
  const short = { maxTokens: 60 }
  await ask(short, caller('a'))
  const { code, message } = await failureOf(ask(short, caller('b')))
  await ask(short, caller('c', 'other'))
  expect([code, message.split('; there')[0]]).toEqual([
    'BUDGET_EXCEEDED',
    'the budget for models is used up: the agents of team trading have used $0.5 of $1 in this day (UTC); this call may take $0.6',
  ])
})

test('calls at the same time never go over a budget together', async () => {
  await using server = await startModelServer([], { kind: 'answer', text: 'Well.', usage: { prompt_tokens: 10, completion_tokens: 10 } })
  const { ask, events } = llmAt(server.url, { settings: { budget: { perAgent: { tokens: 100 } } } })
  const calls = Array.from({ length: 10 }, () => failureOf(ask({ prompt: 'y'.repeat(35), maxTokens: 30 })))
  const codes = (await Promise.all(calls)).map(({ code }) => code ?? 'done')
  // Each may take 40 and takes 20: two at a time at most, and four in all.
  expect([codes.filter((code) => code === 'done').length, new Set(codes), server.now.most <= 2, events.length]).toEqual([
    4,
    new Set(['done', 'BUDGET_EXCEEDED']),
    true,
    4,
  ])
})

test('a call that no budget ever has room for fails alone', async () => {
  const { ask } = llmAt('http://127.0.0.1:1', { settings: { budget: { perAgent: { tokens: 100 } } } })
  const { code, message } = await failureOf(ask({ prompt: 'y'.repeat(35), maxTokens: 95 }))
  expect([code, message]).toEqual([
    'MODEL_FAILED',
    'A call that may take 105 tokens is more than llm.budget.perAgent.tokens allows in a day (100 tokens)',
  ])
})

test('a budget in dollars needs a price', async () => {
  const budget = { perTeam: { usd: 5 } }
  const prices = { m: { input: 1, output: 1 } }
  const message =
    'llm.prices: found none of m, so llm.budget.perTeam.usd cannot be kept; expected "m": { input: …, output: … }, in USD per 1,000,000 tokens'
  expect(() => llmAt('http://127.0.0.1:1', { settings: { budget } })).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID', message }))
  const failure = await failureOf(llmAt('http://127.0.0.1:1', { settings: { budget, prices } }).ask({ model: 'other' }))
  const reason = 'no price of the model other: a budget in USD needs llm.prices to have one'
  expect(failure).toEqual({ code: 'BLOCKED', message: reason, details: { reason } })
})

/** What record_usage does, without a store; it can be away, or lose its answers. */
function createBooks() {
  const totals = new Map<string, Amount>()
  const ids = new Set<string>()
  const books = { isAway: false, losesAnswers: false, totals, record: undefined as unknown as RecordUsage }
  books.record = async (id, entries) => {
    if (books.isAway) throw new Error('away')
    const isNew = !ids.has(id)
    ids.add(id)
    const answer = entries.map(({ tokens, usd, ...window }) => {
      const page = JSON.stringify(window)
      const before = totals.get(page) ?? amount(0)
      if (isNew) totals.set(page, { tokens: before.tokens + tokens, usd: before.usd + usd })
      return totals.get(page) as Amount
    })
    if (books.losesAnswers) throw new Error('no answer')
    return answer
  }
  return books
}

test('a budget holds for the next process too, and for one beside it', async () => {
  await using server = await startModelServer([], { kind: 'answer', text: 'Well.', usage: { prompt_tokens: 30, completion_tokens: 30 } })
  const books = createBooks()
  const settings = { budget: { perTeam: { tokens: 150 } } }
  const short = { prompt: 'y'.repeat(35), maxTokens: 50 }
  const first = llmAt(server.url, { settings, record: books.record })
  await first.ask(short)
  await first.service.close()
  const second = llmAt(server.url, { settings, record: books.record })
  await second.ask(short, caller('trader'))
  await second.service.close()
  expect(await failureOf(first.ask(short))).toMatchObject({ code: 'BUDGET_EXCEEDED', details: { used: 120 } })
})

test('while the store is away a budget is kept all the same, and told later', async () => {
  await using server = await startModelServer([], { kind: 'answer', text: 'Well.', usage: { prompt_tokens: 30, completion_tokens: 30 } })
  const books = createBooks()
  books.isAway = true
  const { ask, service } = llmAt(server.url, { settings: { budget: { perAgent: { tokens: 100 } } }, record: books.record })
  const short = { prompt: 'y'.repeat(35), maxTokens: 50 }
  await ask(short)
  expect(await failureOf(ask(short))).toMatchObject({ code: 'BUDGET_EXCEEDED', details: { used: 60 } })
  books.isAway = false
  await service.close()
  expect([...books.totals.values()]).toEqual([amount(60)])
})

/** A store of which the test decides when it answers, one write after the other. */
function createSlowBooks() {
  const begun: PromiseWithResolvers<readonly Amount[]>[] = []
  const waiting: (() => void)[] = []
  return {
    record: (() => {
      const one = Promise.withResolvers<readonly Amount[]>()
      begun.push(one)
      for (const resolve of waiting.splice(0)) resolve()
      return one.promise
    }) as RecordUsage,
    /** The nth write, once it has begun. */
    async write(n: number) {
      while (begun.length < n) await new Promise<void>((resolve) => waiting.push(resolve))
      return begun[n - 1] as PromiseWithResolvers<readonly Amount[]>
    },
  }
}

test('a store that did not answer holds up no call for a while, and what is to be written does not pile up', async () => {
  await using server = await startModelServer()
  const books = createSlowBooks()
  let now = Date.parse('2026-03-01T23:00:00Z')
  const { ask } = llmAt(server.url, { settings: { budget: { perAgent: { tokens: 100_000 } } }, record: books.record, now: () => now })
  const first = ask()
  const one = await books.write(1)
  one.reject(new Error('no answer'))
  await first
  // The write of what that took hangs, and nobody waits for it.
  const two = await books.write(2)
  for (const _ of [1, 2, 3, 4, 5]) await ask()
  now += 10_000
  let isHeld = true
  const last = ask().finally(() => {
    isHeld = false
  })
  two.resolve([amount(15)])
  const three = await books.write(3)
  const seen = [server.asked.length, isHeld]
  three.resolve([amount(90)])
  await last
  expect([seen, server.asked.length]).toEqual([[6, true], 7])
})

test('closing waits for a store that does not answer as long as it may', async () => {
  await using server = await startModelServer()
  const books = createSlowBooks()
  const clock = createManualClock()
  const { ask, service } = llmAt(server.url, { settings: { budget: { perAgent: { tokens: 100_000 } } }, record: books.record, clock })
  const asked = ask()
  const one = await books.write(1)
  one.resolve([amount(0)])
  await asked
  await books.write(2)
  const closed: number[] = []
  void service.close().then(() => closed.push(1))
  void service.close({ grace: 3_000 }).then(() => closed.push(3))
  await clock.pass(999)
  const before = [...closed]
  await clock.pass(1)
  const early = [...closed]
  await clock.pass(2_000)
  expect([before, early, closed]).toEqual([[], [1], [1, 3]])
})

test('what was used counts once, also when the store’s answer to it is lost', async () => {
  await using server = await startModelServer([], { kind: 'answer', text: 'Well.', usage: { prompt_tokens: 30, completion_tokens: 30 } })
  const books = createBooks()
  books.losesAnswers = true
  const { ask, service } = llmAt(server.url, { settings: { budget: { perAgent: { tokens: 1_000 } } }, record: books.record })
  const short = { prompt: 'y'.repeat(35), maxTokens: 50 }
  await ask(short)
  await ask(short)
  books.losesAnswers = false
  await service.close()
  expect([...books.totals.values()]).toEqual([amount(120)])
})
