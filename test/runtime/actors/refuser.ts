import { defineActor } from 'troupe/actor'

/** Never comes up. */
export default defineActor({
  init() {
    throw new Error('no, as asked')
  },
  receive: {},
})
