import type { Figure } from './report.ts'
import type { Part, Sizes } from './runtime.ts'
import { measureAsks } from './runtime-ask.ts'
import { measureCrashes } from './runtime-crash.ts'
import { measureMailbox } from './runtime-mailbox.ts'
import { measureMemory, measureSchemas } from './runtime-memory.ts'
import { measureSavina } from './runtime-savina.ts'
import { measureStart } from './runtime-start.ts'
import { measureTurns } from './runtime-turns.ts'

const measures: Readonly<Record<Part, (sizes: Sizes) => Promise<Figure[]>>> = {
  crash: measureCrashes,
  memory: measureMemory,
  schemas: measureSchemas,
  start: measureStart,
  mailbox: measureMailbox,
  ask: measureAsks,
  savina: measureSavina,
  turns: measureTurns,
}

/** The process of one part. */
const [, , part = '', sizes = ''] = process.argv
const figures = await measures[part as Part]?.(JSON.parse(sizes))
process.send?.(figures ?? [], undefined, {}, () => process.disconnect())
