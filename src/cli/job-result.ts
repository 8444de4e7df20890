import * as z from 'zod'
import { plainLines } from './print.ts'

const usage = z.array(z.object({ model: z.string(), inputTokens: z.number(), outputTokens: z.number(), usd: z.number().nullable() })).min(1)
type ModelUsage = z.output<typeof usage>

/** A job's result as people read it: its text first, then what else is in it. */
export type Parts = { readonly text: string | undefined; readonly rest: unknown; readonly used: ModelUsage | undefined }

/** The parts of a result. Specialists give a summary, and beside it what models took; a bare text stands in `output` then. */
export function partsOf(result: unknown): Parts {
  if (typeof result === 'string') return { text: result, rest: undefined, used: undefined }
  if (!isObject(result)) return { text: undefined, rest: result, used: undefined }
  const { data: used } = usage.safeParse(result.modelUsage)
  const { modelUsage: _, ...others } = result
  const said = used === undefined ? result : others
  if (used !== undefined && Object.keys(said).join() === 'output') return { ...partsOf(said.output), used }
  const { summary, ...more } = said
  if (typeof summary !== 'string') return { text: undefined, rest: said, used }
  return { text: summary, rest: Object.keys(more).length > 0 ? more : undefined, used }
}

/** The result for programs and files: a text as it is, anything else as JSON. On a terminal nothing in it is obeyed. */
export function resultText(result: unknown, { isTerminal }: { readonly isTerminal: boolean }): string {
  const { text, rest } = partsOf(result)
  const isText = text !== undefined && rest === undefined && !(isObject(result) && 'summary' in result)
  const whole = isText ? text : JSON.stringify(result, null, 2)
  return isTerminal ? plainLines(whole) : whole
}

/** A value as JSON for people: long texts are cut. */
export function readableJson(value: unknown, longest: number): string {
  const cut = (_: string, one: unknown) =>
    typeof one === 'string' && one.length > longest ? `${one.slice(0, longest)}… (${one.length} characters)` : one
  return plainLines(JSON.stringify(value, cut, 2))
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
