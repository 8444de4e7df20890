import type { z } from 'zod'
import type { Event } from '../../src/core/events.ts'
import type { LlmRequest, LlmText } from '../../src/core/llm.ts'
import { createLlm, type LlmServiceOptions } from '../../src/services/llm.ts'
import type { Caller } from '../../src/services/service.ts'
import { llmEnvironment } from '../../src/sources/llm-environment.ts'
import { llmSettings } from '../../src/sources/llm-settings.ts'

export const key = 'sk-very-secret-0123456789'

export const caller = (agent = 'scanner', team = 'trading'): Caller => ({
  team,
  agent,
  type: 'scanner',
  source: 'message',
  id: 'm1',
  name: 'scan',
})

type Given = Partial<Pick<LlmServiceOptions, 'clock' | 'fetch' | 'now' | 'record'>> & {
  readonly settings?: z.input<typeof llmSettings>
  readonly env?: Readonly<Record<string, string>>
}

/** The service as a team has it, for a model "m" at the address, with pauses that a test can wait for. */
export function llmAt(url: string, { settings = {}, env = {}, ...given }: Given = {}) {
  const events: Event[] = []
  const service = createLlm({
    endpoint: llmEnvironment({ LLM_BASE_URL: url, LLM_API_KEY: key, LLM_MODEL: 'm', ...env }),
    settings: llmSettings.parse(settings),
    fetch,
    emit: (event) => void events.push(event),
    backoff: { base: 5, max: 20 },
    ...given,
  })
  const ask = async (request: LlmRequest | object = {}, by = caller(), signal = new AbortController().signal) =>
    (await service.use(by, { prompt: 'Say something.', ...request }, signal)).value as LlmText
  return { service, events, ask }
}

/** What a call threw, as a test compares it. */
export async function failureOf(work: Promise<unknown>): Promise<{ code: unknown; message: string; details: unknown }> {
  const error = await work.then(
    () => new Error('it did not fail'),
    (thrown) => thrown,
  )
  return { code: Reflect.get(error, 'code'), message: error.message, details: Reflect.get(error, 'details') }
}
