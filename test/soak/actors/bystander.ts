import { defineActor } from 'troupe/actor'

/** Answers the probe, and takes no part in anything else: it would take an account's jobs if it were one. */
export default defineActor({
  messages: { look: true },
  receive: { look: (asked) => asked },
})
