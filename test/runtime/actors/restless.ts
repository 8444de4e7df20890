import { appendFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { threadId } from 'node:worker_threads'
import { defineActor } from 'troupe/actor'

const here = `${process.pid}/${threadId}`
const note = (args: unknown) => appendFileSync((args as { file: string }).file, `${here}\n`)

/** Takes its time to start, is never idle, and writes down where it lives whenever it does something. */
export default defineActor({
  persist: true,
  async init(ctx) {
    note(ctx.args)
    await setTimeout(300)
    note(ctx.args)
    ctx.every(20, 'tick')
    return { ticks: 0 }
  },
  receive: {
    tick(_, ctx) {
      note(ctx.args)
      ctx.state = { ticks: ctx.state.ticks + 1 }
    },
    crash() {
      process.exit(3)
    },
  },
})
