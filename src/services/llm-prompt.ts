import type { LlmRequest } from '../core/llm.ts'
import { fence } from './llm-fence.ts'

/** What the model reads. */
export interface Prompt {
  readonly system: string | undefined
  readonly messages: readonly { readonly role: 'user' | 'assistant'; readonly content: string }[]
}

/** English prose has about four bytes to a token, JSON and code about three. Other scripts have more bytes and fewer characters to one. */
const bytesPerToken = 3.5

/** How many tokens a text has, more or less: its bytes of UTF-8 / 3.5. */
export function estimateTokens(text: string): number {
  return Math.ceil(Buffer.byteLength(text) / bytesPerToken)
}

/** How many tokens a prompt has, more or less. */
export function promptTokens({ system = '', messages }: Prompt): number {
  return messages.reduce((sum, { content }) => sum + estimateTokens(content), estimateTokens(system))
}

/** Puts a prompt together; `draw` gives random words for the marks around what is from outside. */
export function promptOf({ prompt, system, untrusted = {}, jsonSchema, repair }: LlmRequest, draw: () => string): Prompt {
  const outside = Object.keys(untrusted).length > 0 ? fence(untrusted, draw) : undefined
  // An endpoint may hold the model to the schema without ever showing it: names and descriptions say what is meant.
  const shape =
    jsonSchema && `Answer with one JSON value and nothing around it. It has to fit this JSON Schema:\n${JSON.stringify(jsonSchema)}`
  const rules = [system, outside?.rule, shape].filter((text) => text !== undefined && text !== '')
  const question = { role: 'user', content: outside ? `${prompt}\n\n${outside.blocks}` : prompt } as const
  return { system: rules.length > 0 ? rules.join('\n\n') : undefined, messages: repair ? [question, ...corrected(repair)] : [question] }
}

function corrected({ answer, issues }: NonNullable<LlmRequest['repair']>): Prompt['messages'] {
  const faults = issues.map((issue) => `- ${issue}`).join('\n')
  return [
    // Some endpoints refuse a message without content.
    { role: 'assistant', content: answer.trim() === '' ? '(nothing)' : answer },
    {
      role: 'user',
      content: `That answer cannot be used:\n${faults}\n\nAnswer again, with one JSON value that fits the schema and nothing around it.`,
    },
  ]
}
