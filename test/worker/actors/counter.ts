import { defineActor } from 'troupe/actor'

const order: number[] = []

/** Takes mail of `durability: async`. */
export default defineActor({
  init: () => ({ count: 0 }),
  receive: {
    add(body, ctx) {
      ctx.state = { count: ctx.state.count + Number(body) }
    },
    async slow(body, ctx) {
      const { count } = ctx.state
      await new Promise((resolve) => setImmediate(resolve))
      order.push(count)
      ctx.state = { count: count + Number(body) }
    },
    bad(_body, ctx) {
      ctx.state = { count: -1 }
      throw new Error('refused')
    },
    total: (_body, ctx) => ctx.tell(ctx.from ?? '', 'total', { count: ctx.state.count, order }),
    durable: (_body, ctx) => ctx.every(10, 'add'),
    tellBad: (_body, ctx) => ctx.tell('b', 'x', 1n),
    wait: (_body, ctx) =>
      new Promise((_resolve, reject) => ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason), { once: true })),
    get: (_body, ctx) => ctx.state.count,
  },
})
