import { ActorError } from '../core/errors.ts'

type Environment = Readonly<Record<string, string | undefined>>

const fireworks = 'https://api.fireworks.ai/inference/v1'

/** Where models are asked, and with which key. */
export interface LlmEndpoint {
  /** Without a slash at its end. */
  readonly baseUrl: string
  /** Undefined for an endpoint that is asked without one. */
  readonly key: string | undefined
  /** The variable that the key is from, or would be from. */
  readonly keyName: 'LLM_API_KEY' | 'FIREWORKS_API_KEY'
  /** Of LLM_MODEL. */
  readonly model: string | undefined
  /** Why nobody can be asked. */
  readonly blocked: string | undefined
}

/**
 * The endpoint of LLM_BASE_URL, else Fireworks. FIREWORKS_API_KEY is for api.fireworks.ai alone; LLM_API_KEY goes to LLM_BASE_URL, without
 * it to Fireworks. An endpoint of LLM_BASE_URL may need no key, Fireworks does. CONFIG_INVALID when a variable is not what it has to be.
 */
export function llmEnvironment(env: Environment): LlmEndpoint {
  const chosen = given(env, 'LLM_BASE_URL')
  const baseUrl = chosen === undefined ? fireworks : addressOf(chosen)
  const isFireworks = new URL(baseUrl).origin === new URL(fireworks).origin
  const own = keyOf(env, 'LLM_API_KEY')
  const key = own ?? (isFireworks ? keyOf(env, 'FIREWORKS_API_KEY') : undefined)
  return {
    baseUrl,
    key,
    keyName: own === undefined && isFireworks ? 'FIREWORKS_API_KEY' : 'LLM_API_KEY',
    model: given(env, 'LLM_MODEL'),
    blocked: key === undefined && isFireworks ? 'no key for models: set FIREWORKS_API_KEY, or LLM_BASE_URL and LLM_API_KEY' : undefined,
  }
}

/** Compose files pass what is unset as ''. */
function given(env: Environment, name: string): string | undefined {
  return env[name]?.trim() || undefined
}

/** What is no header would be quoted whole by the error of the request. */
function keyOf(env: Environment, name: 'LLM_API_KEY' | 'FIREWORKS_API_KEY'): string | undefined {
  const key = given(env, name)
  if (key === undefined || /^[\x21-\x7e]+$/.test(key)) return key
  throw new ActorError('CONFIG_INVALID', `${name}: found characters that a key cannot have, expected ASCII without spaces`)
}

function addressOf(text: string): string {
  const url = URL.parse(text)
  const isFine = url && /^https?:$/.test(url.protocol) && url.search === '' && url.hash === '' && url.username === '' && url.password === ''
  if (isFine) return url.href.replace(/\/+$/, '')
  // Not what was found: it may hold a password.
  throw new ActorError(
    'CONFIG_INVALID',
    'LLM_BASE_URL: expected an address like https://api.example.com/v1, without user, query and fragment; a key belongs in LLM_API_KEY',
  )
}
