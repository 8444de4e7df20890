import type { Context, Llm, LlmUsage } from 'troupe/actor'
import * as z from 'zod'

const usage = z.strictObject({ model: z.string(), inputTokens: z.number(), outputTokens: z.number(), usd: z.number().nullable() })
/** What the answers of models took, each model once; dollars as the host counts them. */
export type ModelUsage = readonly Readonly<z.output<typeof usage>>[]

const carrier = z.looseObject({ modelUsage: z.array(usage).min(1) })

/** A value with what models took for it; what is no plain object, or could be taken for such a pair, is its `output`. */
export function withUsage(value: unknown, used: ModelUsage): unknown {
  if (used.length === 0) return value
  return isOpen(value) ? { ...value, modelUsage: used } : { output: value ?? null, modelUsage: used }
}

/** The two of them again. */
export function withoutUsage(value: unknown): { readonly output: unknown; readonly used: ModelUsage } {
  const parsed = carrier.safeParse(value)
  if (!parsed.success) return { output: value, used: [] }
  const { modelUsage: used, ...output } = parsed.data
  return { output: isPair(output) ? output.output : output, used }
}

/**
 * A turn's model and steps that count what is used. The result of a step is saved with what was used for it, so that a turn that is
 * repeated, and asks no more, still knows.
 */
export function countUsage({ llm, step }: Pick<Context, 'llm' | 'step'>) {
  let used: ModelUsage = []
  /** Not in the result of a step so far. */
  let open: ModelUsage = []

  async function counted<Answer extends { readonly model: string; readonly usage: LlmUsage }>(answer: Promise<Answer>): Promise<Answer> {
    const given = await answer
    open = added(open, [{ model: given.model, ...given.usage }])
    return given
  }

  async function counting(name: string, fn: () => unknown, options?: Parameters<Context['step']>[2]): Promise<unknown> {
    const saved = await step(
      name,
      async () => {
        const value = await fn()
        const taken = open
        open = []
        return withUsage(value, taken)
      },
      options,
    )
    const one = withoutUsage(saved)
    used = added(used, one.used)
    return one.output
  }

  const counter: Llm = { text: (options) => counted(llm.text(options)), object: (options) => counted(llm.object(options)) }
  return { llm: counter, step: counting as Context['step'], used: (): ModelUsage => added(used, open) }
}

function added(before: ModelUsage, more: ModelUsage): ModelUsage {
  const all = Map.groupBy([...before, ...more], ({ model }) => model)
  return [...all.values()].map((same) =>
    same.reduce((one, other) => ({
      model: one.model,
      inputTokens: one.inputTokens + other.inputTokens,
      outputTokens: one.outputTokens + other.outputTokens,
      usd: one.usd === null || other.usd === null ? null : one.usd + other.usd,
    })),
  )
}

function isOpen(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || 'modelUsage' in value || isPair(value)) return false
  const prototype = Object.getPrototypeOf(value)
  return (prototype === Object.prototype || prototype === null) && !('toJSON' in value)
}

function isPair(value: object): value is { readonly output: unknown } {
  return Object.keys(value).join() === 'output'
}
