import { randomUUID } from 'node:crypto'
import { ActorError, defineActor } from 'troupe/actor'

/** Handlers that do what the test says. */
export default defineActor({
  sql: ['record_performance', 'v_active_jobs'],
  receive: {
    /** Uses everything that is collected. */
    collect(_body, ctx) {
      ctx.tell('b', 'hello', { n: 1 }, { priority: 'high', expiresIn: 1_000, delay: 10.5 })
      ctx.tell('b', 'empty')
      ctx.broadcast('news', ['x'])
      const job = ctx.jobs.create('trade', { amount: 1 }, { priority: 2, dedupeKey: 'k', delay: 5, maxAttempts: 4 })
      ctx.db.write('record_performance', { period: 'daily' })
      ctx.every(1_000, 'collect')
      ctx.after(50, 'collect', { late: true }, { name: 'once' })
      ctx.cancel('old')
      return { job }
    },
    /** Tells what the ctx says without asking anybody. */
    look(body, ctx) {
      const { self, args, from, attempt, now } = ctx
      return {
        body,
        self,
        args,
        from,
        attempt,
        now: Math.abs(now() - Date.now()) < 1_000,
        aborted: ctx.signal.aborted,
        id: ctx.id('order'),
      }
    },
    collectThenThrow(_body, ctx) {
      ctx.tell('b', 'never')
      throw new TypeError('bad luck', { cause: new ActorError('STORE_FAILED', 'away', { details: { table: 't' } }) })
    },
    fatal: (_body, ctx) => {
      throw ctx.fatal('no such market', { cause: new Error('404') })
    },
    retry: (_body, ctx) => {
      throw ctx.retry(5_000)
    },
    throwBody: (body) => {
      throw body
    },
    reply: (body) => {
      const replies: Record<string, unknown> = {
        nothing: undefined,
        date: new Date(0),
        nan: { a: [1, Number.NaN] },
        promise: { p: Promise.resolve() },
      }
      return replies[String(body)]
    },
    tellBad: (_body, ctx) => ctx.tell('b', 'x', { list: [{ size: 1n }] }),
    tellNobody: (_body, ctx) => ctx.tell('', 'x'),
    timerForNobody: (_body, ctx) => ctx.every(10, 'unknown'),
    denied: (_body, ctx) => ctx.db.write('reserve_execution' as 'record_performance'),
    async requests(body, ctx) {
      const { note } = body as { note: string }
      await ctx.tell('b', 'now', { note }, { now: true })
      await ctx.tell('b', 'now', { note }, { now: true })
      const answer = await ctx.ask('b', 'price', { note }, { timeout: 900 })
      const result = await ctx.db.call('record_performance', { period: 'daily' })
      const rows = await ctx.db.read('v_active_jobs', { status: 'pending' }, { limit: 3 })
      return { answer, result, rows }
    },
    readWrongly: (_body, ctx) => ctx.db.read('v_active_jobs', { id: { in: 'x' as unknown as [] } }),
    async asks(body, ctx) {
      return await Promise.all((body as string[]).map((to) => ctx.ask(to, 'price')))
    },
    async step(body, ctx) {
      const { once, fail } = body as { once?: boolean; fail?: boolean }
      let runs = 0
      const work = () => {
        runs += 1
        if (fail) throw new Error('step failed')
        return { at: new Date(0), gone: undefined }
      }
      const result = await ctx.step('work', work, { once })
      return { result, runs }
    },
    async twice(_body, ctx) {
      await ctx.step('a', () => 1)
      return await ctx.step('a', () => 2)
    },
    /** Waits until it is aborted, and says with what. */
    async wait(body, ctx) {
      if (body === 'ask') return await ctx.ask('b', 'never')
      await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve, { once: true }))
      await ctx.tell('b', 'too late', null, { now: true })
      return 'not reached'
    },
    /** Waits until it is aborted, and ends as if it had not been. */
    async heedless(_body, ctx) {
      await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve, { once: true }))
    },
    /** Leaves a promise behind that goes on when the next message has told it to. */
    forget(body, ctx) {
      const effects: Record<string, () => unknown> = {
        tell: () => ctx.tell('b', 'late'),
        now: () => ctx.tell('b', 'late', null, { now: true }),
        ask: () => ctx.ask('b', 'late'),
        step: () => ctx.step('late', () => 1),
        job: () => ctx.jobs.create('late'),
        write: () => ctx.db.write('record_performance'),
        read: () => ctx.db.read('v_active_jobs'),
        every: () => ctx.every(10, 'look'),
        state: () => {
          ctx.state = undefined
        },
        post: () => ctx.post({ type: 'look', body: 'socket' }, { id: 'event-7' }),
      }
      left.push(async () => effects[String(body)]?.())
    },
    /** Ends before what it started, directly or in a function of its own. */
    async hurry(_body, ctx) {
      const starts = [
        () => ctx.ask('b', 'slow'),
        () => ctx.tell('b', 'slow', null, { now: true }),
        () => ctx.step(`slow ${randomUUID()}`, () => 1),
        () => ctx.db.call('record_performance'),
        () => ctx.llm.text({ prompt: 'slow' }),
        () => ctx.compute(new URL('./slow.ts#slow', import.meta.url), null),
      ]
      for (const start of starts) {
        void start()
        void (async () => await start())()
      }
      return 'in a hurry'
    },
    async goOn() {
      const results = await Promise.allSettled(left.splice(0).map((one) => one()))
      return results.map((result) => (result.status === 'rejected' ? (result.reason as Error).message : 'worked'))
    },
  },
})

const left: (() => Promise<unknown>)[] = []
