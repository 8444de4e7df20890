import { defineActor } from 'troupe/actor'

if (process.argv.length > 0) throw new RangeError('at the top level')

export default defineActor({})
