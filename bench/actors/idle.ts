import { defineActor } from 'troupe/actor'

/** Does nothing: what a thread costs. */
export default defineActor({
  receive: { nothing: () => {} },
})
