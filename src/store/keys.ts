import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

/** The service key in its two forms: today's, and the JWT that older clients insist on. */
export interface ServiceKeys {
  readonly secret: string
  readonly jwt: string
}

/** Makes a new service key. */
export function generateServiceKey(): string {
  return `sb_secret_${randomBytes(24).toString('base64url')}`
}

/** Both forms of a key: the one given stays as it is, the other follows from it. */
export function serviceKeys(key: string): ServiceKeys {
  if (key.split('.').length !== 3) return { secret: key, jwt: signedRole(key) }
  return { secret: `sb_secret_${createHmac('sha256', key).update('secret').digest('base64url').slice(0, 32)}`, jwt: key }
}

/** An HS256 JWT for service_role. Without a clock in it, the same key always has the same one. */
function signedRole(key: string): string {
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const claims = { iss: 'troupe', role: 'service_role', iat: 1_700_000_000, exp: 4_102_444_800 }
  const signed = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(claims)}`
  return `${signed}.${createHmac('sha256', key).update(signed).digest('base64url')}`
}

/**
 * Decides who may come in: at least one credential, and every one of them the service key in either form. A second, unknown
 * one is refused, because a real Supabase would give it precedence: we must not make a visitor of it stronger.
 */
export function createGate(key: string): (headers: Headers) => boolean {
  const { secret, jwt } = serviceKeys(key)
  const accepted = [digest(secret), digest(jwt)]
  const isAccepted = (given: string): boolean => {
    const found = accepted.map((known) => timingSafeEqual(known, digest(given)))
    return found.includes(true)
  }
  return (headers) => {
    const authorization = headers.get('authorization')
    const given = [headers.get('apikey'), authorization?.replace(/^bearer\s+/i, '') ?? null].filter((one) => one !== null)
    return given.length > 0 && given.every(isAccepted)
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
