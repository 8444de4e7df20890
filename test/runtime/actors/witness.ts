import { appendFileSync, existsSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { defineActor } from 'troupe/actor'

type Note = { readonly n: number; readonly file: string; readonly first?: 'spin' | 'exit' }
type Meeting = { readonly file: string; readonly other: string; readonly ask: string }

async function until(file: string, signal: AbortSignal): Promise<void> {
  while (!existsSync(file)) await setTimeout(5, undefined, { signal })
}

/** Writes down each attempt where the end of its thread leaves it, and does what a test asks for. */
export default defineActor({
  persist: true,
  init: () => ({ heard: [] as unknown[] }),
  receive: {
    /** May end its thread at the first attempt, or be ended for it. */
    note(body, ctx) {
      const { n, file, first } = body as Note
      appendFileSync(file, `${n}.${ctx.attempt} `)
      if (first === 'exit' && ctx.attempt === 1) process.exit(3)
      while (first === 'spin' && ctx.attempt === 1);
      ctx.state = { heard: [...ctx.state.heard, n] }
    },
    keep(body, ctx) {
      ctx.state = { heard: [...ctx.state.heard, body] }
    },
    read: (_, ctx) => ctx.state.heard,
    /** Tells what is no JSON in itself; says what came of it. */
    kinds(body, ctx) {
      const kinds = { date: { at: new Date(0), none: undefined }, map: new Map([[1, 2]]), nan: { price: [Number.NaN] } }
      return Object.values(kinds).map((value) => {
        try {
          ctx.tell(body as string, 'keep', value)
          return 'told'
        } catch (error) {
          return (error as Error).message
        }
      })
    },
    /** Never ends, and does not listen. */
    stuck: () => new Promise(() => {}),
    /** Never ends, but listens. */
    idle: (_, ctx) => setTimeout(600_000, undefined, { signal: ctx.signal }),
    /** Ends once the file is there. */
    until: (body, ctx) => until(body as string, ctx.signal),
    /** Asks another one once both are about to. */
    async meet(body, ctx) {
      const { file, other, ask } = body as Meeting
      appendFileSync(`${file}-${ctx.self}`, '')
      await until(`${file}-${other}`, ctx.signal)
      return ctx.ask(other, ask).catch((error: { code: string }) => error.code)
    },
  },
})
