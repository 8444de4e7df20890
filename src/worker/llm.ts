import { ActorError } from '../core/errors.ts'
import type { Llm, LlmObject, LlmObjectOptions, LlmOptions, LlmRequest, LlmText, LlmUsage } from '../core/llm.ts'
import type { OutputOf, Schema } from '../core/schema.ts'
import { readAnswerJson } from './answer-json.ts'
import { toJson } from './json.ts'
import { isSchema, jsonSchemaOf, type Parsed, parse } from './schema.ts'
import type { Use } from './uses.ts'

/** An answer that did not fit is shown to the model, and to people; both need its beginning at most. */
const shown = { model: 50_000, people: 2_000 } as const

/** Makes ctx.llm of one turn. */
export function createLlmClient(use: Use): Llm {
  async function ask({ signal, ...request }: LlmOptions & LlmRequest): Promise<LlmText> {
    // The host is ours: what it answers needs no check.
    return (await use('llm', request, signal && { signal })) as LlmText
  }

  return {
    // Not what else stands in the options: the host would refuse it by the name of a schema.
    text: ({ prompt, system, untrusted, model, maxTokens, temperature, timeout, signal }) =>
      ask({ prompt, system, untrusted, model, maxTokens, temperature, timeout, signal }),
    async object<Given extends Schema>({ schema, jsonSchema, ...options }: LlmObjectOptions<Given>): Promise<LlmObject<OutputOf<Given>>> {
      const request = { ...options, jsonSchema: shapeOf(schema, jsonSchema) }
      const first = await ask(request)
      const read = await readAnswer(schema, first)
      if (!read.issues) return { value: read.value as OutputOf<Given>, usage: first.usage, model: first.model }
      const repair = { answer: first.text.slice(0, shown.model), issues: read.issues }
      const second = await ask({ ...request, repair })
      const repaired = await readAnswer(schema, second)
      if (repaired.issues) throw unfit(second, repaired.issues)
      return { value: repaired.value as OutputOf<Given>, usage: sum(first.usage, second.usage), model: second.model }
    },
  }
}

function shapeOf(schema: unknown, given: LlmRequest['jsonSchema']): NonNullable<LlmRequest['jsonSchema']> {
  if (!isSchema(schema))
    throw new ActorError('BODY_INVALID', 'ctx.llm.object: schema is no schema, expected one of Standard Schema, such as z.object({ … })')
  const shape = given ?? jsonSchemaOf(schema)
  if (typeof shape === 'object' && shape !== null) return shape as Readonly<Record<string, unknown>>
  throw new ActorError(
    'BODY_INVALID',
    'ctx.llm.object: schema says no JSON Schema of itself (a date or a transformation has none), expected one as jsonSchema',
  )
}

/** What the schema makes of an answer. */
async function readAnswer(schema: Schema, { text, isCut, usage }: LlmText): Promise<Parsed> {
  // To say it again would take as long.
  if (isCut) {
    throw new ActorError('MODEL_FAILED', `The answer was cut at maxTokens, after ${usage.outputTokens} tokens`, {
      details: { reason: 'answer_cut', answer: text.slice(0, shown.people) },
    })
  }
  const read = readAnswerJson(text)
  if (read.issue !== undefined) return { issues: [read.issue] }
  const fault = faultOf(read.value)
  return fault === undefined ? parse(schema, read.value, 'answer') : { issues: [fault] }
}

/** Why no step, state or result could hold the value: NULs, halves of characters, a thousand levels, a megabyte. */
function faultOf(value: unknown): string | undefined {
  try {
    toJson(value, 'answer')
    return undefined
  } catch (error) {
    if (!(error instanceof ActorError)) throw error
    // Not the path: it may hold words of the model, and this is said to it as ours.
    return `the answer${error.message.slice(String(error.details.path).length)}`
  }
}

function unfit({ text, model }: LlmText, issues: readonly string[]): ActorError {
  return new ActorError('MODEL_FAILED', `${model} answered twice with what the schema does not take: ${issues.join('; ')}`, {
    details: { reason: 'answer_unfit', issues, answer: text.slice(0, shown.people) },
  })
}

function sum(one: LlmUsage, other: LlmUsage): LlmUsage {
  return {
    inputTokens: one.inputTokens + other.inputTokens,
    outputTokens: one.outputTokens + other.outputTokens,
    usd: one.usd === null || other.usd === null ? null : one.usd + other.usd,
  }
}
