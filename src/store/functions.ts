import { jobFunctions } from './functions/jobs.ts'
import { messageFunctions } from './functions/messages.ts'
import { tradingFunctions } from './functions/trading.ts'
import { turnFunctions } from './functions/turns.ts'
import { upkeepFunctions } from './functions/upkeep.ts'
import type { FunctionMap } from './store.ts'

/** The functions of the schema that the host calls. Argument names are those of the SQL functions: they are wire API. */
export const storeFunctions = {
  ...jobFunctions,
  ...messageFunctions,
  ...turnFunctions,
  ...tradingFunctions,
  ...upkeepFunctions,
} as const satisfies FunctionMap

export type StoreFunctions = typeof storeFunctions

export { type Relations, relations } from './functions/relations.ts'
