import { ActorError, type Context, defineActor } from 'troupe/actor'
import { expect, expectTypeOf, test } from 'vitest'
import * as z from 'zod'

const scanner = defineActor({
  args: z.object({ minEdge: z.number().default(0.1) }),
  messages: { scan: z.object({ query: z.string().optional() }), raw: true },
  jobs: { scan_markets: z.object({ limit: z.coerce.number() }) },
  sql: ['publish_opportunity', 'v_opportunity_pipeline'],
  persist: true,
  async init(ctx) {
    expectTypeOf(ctx.args).toEqualTypeOf<{ minEdge: number }>()
    expectTypeOf(ctx.state).toBeUnknown()
    // @ts-expect-error init does not send
    ctx.tell
    return { seen: 0, last: null as string | null }
  },
  receive: {
    async scan(body, ctx) {
      expectTypeOf(body).toEqualTypeOf<{ query?: string | undefined }>()
      expectTypeOf(ctx.args.minEdge).toBeNumber()
      expectTypeOf(ctx.state).toEqualTypeOf<Readonly<{ seen: number; last: string | null }>>()
      ctx.state = { ...ctx.state, seen: ctx.state.seen + 1 }
      // @ts-expect-error the state is replaced, not mutated
      ctx.state.seen = 1
      // @ts-expect-error another state than init made
      ctx.state = { seen: 'many' }
      ctx.db.write('publish_opportunity', { market: 'm' })
      // @ts-expect-error not in the list of sql
      ctx.db.write('reserve_execution', {})
      expectTypeOf(ctx.tell('a', 'b')).toBeVoid()
      expectTypeOf(ctx.tell('a', 'b', {}, { now: true })).toEqualTypeOf<Promise<void>>()
      expectTypeOf(await ctx.ask('a', 'b')).toBeUnknown()
      const saved = await ctx.step('fetch', async () => ({ at: new Date(), title: 'x', note: undefined as string | undefined }))
      expectTypeOf(saved.at).toBeString()
      expectTypeOf(saved.title).toBeString()
      expectTypeOf(await ctx.step('nothing', () => {})).toBeNull()
      help(ctx)
      // @ts-expect-error a priority that does not exist
      ctx.tell('a', 'b', {}, { priority: 'asap' })
      throw ctx.fatal('no market')
    },
    raw: (body, _ctx) => expectTypeOf(body).toBeUnknown(),
    unlisted: (body, ctx) => {
      expectTypeOf(body).toBeUnknown()
      expectTypeOf(ctx.state.seen).toBeNumber()
    },
  },
  run: {
    scan_markets(input, ctx) {
      expectTypeOf(input).toEqualTypeOf<{ limit: number }>()
      ctx.jobs.create('execute_trade', input, { priority: 1 })
      throw ctx.retry(5_000)
    },
  },
  stop(ctx) {
    expectTypeOf(ctx.state).toEqualTypeOf<Readonly<{ seen: number; last: string | null }>>()
    // @ts-expect-error nothing is sent at the end
    ctx.tell
  },
})

/** What actors share takes any context. */
function help(ctx: Context): void {
  ctx.log.info('help')
}

const bare = defineActor({ receive: { ping: (body, ctx) => [body, ctx.args, ctx.state] } })

const silent = defineActor({
  messages: { scan: z.object({}) },
  // @ts-expect-error a schema without a handler
  receive: { other: () => 1 },
})

const wrong = defineActor({
  // @ts-expect-error not a schema
  messages: { scan: { query: 'string' } },
})

const lone = defineActor({
  receive: {
    ping(_body, ctx) {
      expectTypeOf(ctx.args).toBeUnknown()
      expectTypeOf(ctx.state).toBeUndefined()
      // @ts-expect-error no sql, no db
      ctx.db.call('anything')
    },
  },
})

test('defineActor gives back what it was given, and its module has the error class', () => {
  const definition = { receive: { ping: () => 'pong' } }
  expect(defineActor(definition)).toBe(definition)
  expect([scanner.persist, typeof bare.receive?.ping, typeof silent, typeof wrong, typeof lone, ActorError.name]).toEqual([
    true,
    'function',
    'object',
    'object',
    'object',
    'ActorError',
  ])
})
