import { ActorError } from 'troupe/actor'

/** What a model said, or why nobody asked it or could use what it said. */
export type Opinion<Value> = { readonly value: Value } | { readonly missing: string }

const withoutModel: ReadonlySet<string> = new Set(['BLOCKED', 'BUDGET_EXCEEDED', 'MODEL_FAILED'])

/** Asks a model where the work is worth something without it: no key, no budget and no usable answer are an outcome, not a failure. */
export async function opinionOf<Value>(ask: () => Promise<Value>): Promise<Opinion<Value>> {
  try {
    return { value: await ask() }
  } catch (error) {
    if (error instanceof ActorError && withoutModel.has(error.code)) return { missing: `${error.code}: ${error.message}` }
    throw error
  }
}
