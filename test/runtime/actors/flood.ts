import { defineActor } from 'troupe/actor'

type Flood = { readonly to: string; readonly first: number; readonly count: number; readonly of: number; readonly tell: string }

/** Tells somebody many numbered messages in one turn. */
export default defineActor({
  receive: {
    send(body, ctx) {
      const { to, first, count, of, tell } = body as Flood
      for (let n = first; n < first + count; n++) ctx.tell(to, 'note', { n, of, tell })
    },
  },
})
