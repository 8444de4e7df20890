import * as z from 'zod'
import { ActorError } from '../core/errors.ts'
import { explained } from '../core/troubles.ts'

/** Which store the environment asks for. */
export type StoreTarget =
  | { readonly kind: 'hosted'; readonly url: string; readonly key: string; readonly databaseUrl: string | undefined }
  | { readonly kind: 'postgres'; readonly url: string }
  | { readonly kind: 'embedded'; readonly key: string | undefined }

const isHttpUrl = (text: string) => /^https?:$/.test(URL.parse(text)?.protocol ?? '')
const isPostgresUrl = (text: string) => /^postgres(ql)?:$/.test(URL.parse(text)?.protocol ?? '')

// Secrets are never repeated, an URL may hold one: the message says what was expected, and of what length the found text was.
const found = (text: unknown) => (text === '' ? 'nothing' : `${String(text).length} characters that are not one`)
const text = (isValid: (text: string) => boolean, expected: string) =>
  z
    .string()
    .refine(isValid, { error: ({ input }) => `expected ${expected}, found ${found(input)}` })
    .optional()

const environment = z.object({
  SUPABASE_URL: text(isHttpUrl, 'an http(s) address such as https://<project>.supabase.co'),
  SUPABASE_SERVICE_KEY: text((key) => key.length >= 16 && !/\s/.test(key), 'a service key (sb_secret_… or a JWT, at least 16 characters)'),
  DATABASE_URL: text(isPostgresUrl, 'a postgres:// address'),
  ENABLE_SUPABASE: z
    .enum(['true', '1', 'false', '0'], { error: ({ input }) => `expected true or false, found ${JSON.stringify(input)}` })
    .transform((word) => word === 'true' || word === '1')
    .optional(),
})

/**
 * Decides where the store is: hosted, postgres, embedded, in this order. ENABLE_SUPABASE demands or forbids hosted, and so may
 * somebody else, who is named then.
 */
export function storeTarget(env: Readonly<Record<string, string | undefined>>, demandedBy?: string): StoreTarget {
  const { SUPABASE_URL: url, SUPABASE_SERVICE_KEY: key, DATABASE_URL: databaseUrl, ENABLE_SUPABASE } = parse(env)
  const isDemanded = demandedBy === undefined ? ENABLE_SUPABASE : true
  if (isDemanded === false) return { kind: 'embedded', key: url ? undefined : key }
  if (url && key) return { kind: 'hosted', url, key, databaseUrl }
  if (isDemanded) {
    const missing = [url ? '' : 'SUPABASE_URL', key ? '' : 'SUPABASE_SERVICE_KEY'].filter(Boolean).join(' and ')
    throw notAvailable(`${demandedBy ?? 'ENABLE_SUPABASE is true'}: expected SUPABASE_URL and SUPABASE_SERVICE_KEY, found no ${missing}`)
  }
  // Going on with another store would write where nobody looks.
  if (url) throw notAvailable('SUPABASE_URL is set: expected SUPABASE_SERVICE_KEY beside it, found none')
  if (databaseUrl) return { kind: 'postgres', url: databaseUrl }
  return { kind: 'embedded', key }
}

function notAvailable(text: string): ActorError {
  const { message, ...details } = explained('Supabase coordinator not available', text)
  return new ActorError('CONFIG_INVALID', message, { details })
}

function parse(env: Readonly<Record<string, string | undefined>>): z.output<typeof environment> {
  // Compose files pass what is unset as ''.
  const given = Object.fromEntries(Object.keys(environment.shape).map((name) => [name, env[name]?.trim() || undefined]))
  const parsed = environment.safeParse(given)
  if (parsed.success) return parsed.data
  const lines = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)
  throw new ActorError('CONFIG_INVALID', lines.join('\n'), { details: { issues: lines } })
}
