import { defineActor } from 'troupe/actor'

/** Has others compute. */
export default defineActor({
  receive: {
    square: (n, ctx) => ctx.compute(new URL('./lib/reckon.ts#square', import.meta.url), n),
    spin: (_, ctx) => ctx.compute(new URL('./lib/reckon.ts#spin', import.meta.url)),
    fail: (_, ctx) =>
      ctx
        .compute(new URL('./lib/reckon.ts#fail', import.meta.url))
        .catch(({ code, message, cause }) => ({ code, message, cause: cause.name })),
    async halve(_, ctx) {
      const values = new Float64Array([1, 2])
      const task = new URL('./lib/reckon.ts#halve', import.meta.url)
      const halves = await ctx.compute<Float64Array>(task, values, { transfer: [values.buffer] })
      return { halves: [...halves], left: values.byteLength }
    },
    async giveUp(_, ctx) {
      const signal = AbortSignal.timeout(50)
      return await ctx.compute(new URL('./lib/reckon.ts#spin', import.meta.url), null, { signal }).catch(({ name }) => name)
    },
    uncloneable: (_, ctx) => ctx.compute(new URL('./lib/reckon.ts#square', import.meta.url), () => 1).catch(({ code }) => code),
  },
})
