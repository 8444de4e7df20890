import { defineActor } from 'troupe/actor'
// @ts-expect-error there is none
import { rules } from './no-such-file.ts'

export default defineActor({ receive: { rules: () => rules } })
