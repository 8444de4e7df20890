import { defineActor } from 'troupe/actor'
import * as z from 'zod'

type State = { seen: number; names: string[]; at?: string }

/** Has schemas, jobs, and a state that is saved. */
export default defineActor({
  args: z.object({ first: z.number().default(7), mode: z.enum(['new', 'migrate', 'send', 'post', 'throw']).default('new') }),
  messages: {
    add: z.object({ name: z.string(), list: z.array(z.object({ n: z.number() })).default([]) }),
    later: z.object({ n: z.number() }).refine(async ({ n }) => n > 0, 'must be positive'),
    raw: true,
  },
  jobs: { count: z.object({ to: z.coerce.number() }) },
  sql: ['publish_opportunity'],
  origins: ['https://example.com'],
  persist: true,
  async init(ctx): Promise<State> {
    if (ctx.args.mode === 'throw') throw new Error('no luck today')
    if (ctx.args.mode === 'send') (ctx as unknown as { tell(to: string, type: string): void }).tell('b', 'hello')
    if (ctx.args.mode === 'migrate' && ctx.state) ctx.state = { seen: 100, names: [], ...(ctx.state as Partial<State>) }
    ctx.every(60_000, 'raw', { name: 'tick', body: { from: 'timer' } })
    return { seen: ctx.args.first, names: [] }
  },
  receive: {
    add(body, ctx) {
      ctx.state = { seen: ctx.state.seen + 1, names: [...ctx.state.names, body.name] }
      if (body.name === 'bad') throw new Error('after the change')
      if (body.name === 'date') ctx.state = { ...ctx.state, at: new Date(0) as unknown as string }
      const answer = { ...ctx.state, length: body.list.length }
      if (body.name === 'map') ctx.state = { ...ctx.state, names: new Map() as unknown as string[] }
      return answer
    },
    later: ({ n }) => n,
    raw: (body, ctx) => ({ body, state: ctx.state }),
    mutateTop(_body, ctx) {
      ;(ctx.state as State).seen += 1
    },
    mutateDeep(_body, ctx) {
      ctx.state.names.push('x')
    },
  },
  run: {
    count: ({ to }, ctx) => ({ to, from: ctx.from, state: ctx.state.seen }),
  },
  stop(ctx) {
    ctx.log.info('closing', { seen: ctx.state.seen })
    if (ctx.state.names.includes('stuck')) throw new Error('cannot close')
  },
})
