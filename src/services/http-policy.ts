import type { AgentSpec } from '../core/agent.ts'
import { ActorError } from '../core/errors.ts'
import type { RawHeaders } from '../core/http-wire.ts'

/** How the pool treats one origin; what is not said is as for all. */
export type OriginSettings = {
  /** Sockets to it, of all actors together. */
  readonly connections?: number | undefined
  readonly retries?: number | undefined
  /** Sent with every request to it, whatever the actor says; no actor sees them. */
  readonly headers?: Readonly<Record<string, string>> | undefined
}

export type HttpSettings = {
  /** Sockets to one origin, of all actors together. */
  readonly connections: number
  /** Ms for which an idle socket is kept, unless the server says less. */
  readonly keepAlive: number
  /** How often a request that may be repeated is repeated. */
  readonly retries: number
  /** By origin, such as https://api.example.com. */
  readonly origins: Readonly<Record<string, OriginSettings>>
}

export const httpDefaults: HttpSettings = { connections: 16, keepAlive: 4_000, retries: 2, origins: {} }

/** What one agent may ask of the pool. */
export type HttpRights = {
  readonly team: string
  readonly id: string
  /** Where it may connect: origins, https://*.example.com for all hosts below one, * for everywhere. */
  readonly origins: readonly string[]
  /** Requests in a second; no limit when absent. */
  readonly rate?: number | undefined
  /** Requests at a time; more wait. */
  readonly concurrency: number
}

/** What an actor is told that wants to go where it may not. */
export function denial({ id, origins }: HttpRights, origin: string): ActorError {
  const listed = origins.length > 0 ? origins.join(', ') : 'nothing'
  const message = `"${id}" may not connect to ${origin}: its actor file's list origins and its config have ${listed}`
  return new ActorError('ORIGIN_DENIED', message, { details: { origin } })
}

/** Behind one address there may be many sites: whoever names another one would reach that, and with the secrets of this one. */
export function misnamed(origin: string): ActorError {
  const message = `A request to ${origin} has a header host that names another one: leave it out, the address says it`
  return new ActorError('ORIGIN_DENIED', message, { details: { origin } })
}

/** Lets what the host attaches take the place of what the actor says. */
export function withSecrets(headers: RawHeaders, secrets: Readonly<Record<string, string>> | undefined): RawHeaders {
  if (!secrets) return headers
  const names = new Set(Object.keys(secrets).map((name) => name.toLowerCase()))
  const kept = headers.filter((_, at) => !names.has((headers[at - (at % 2)] as string).toLowerCase()))
  return [...kept, ...Object.entries(secrets).flat()]
}

/** What an agent may ask of the pool by its actor file and its spec. */
export function rightsOf({ team, id, origins, http }: AgentSpec, declared: readonly string[]): HttpRights {
  return { team, id, origins: [...new Set([...declared, ...origins])], ...http }
}

const fireworks = 'https://api.fireworks.ai'

/** Attaches the keys of the environment to the origins that they are for; what the config says of such an origin counts more. */
export function withKeys(settings: HttpSettings, { FIREWORKS_API_KEY: key }: Readonly<Record<string, string | undefined>>): HttpSettings {
  if (!key?.trim()) return settings
  const given = settings.origins[fireworks]
  const headers = { authorization: `Bearer ${key.trim()}`, ...given?.headers }
  return { ...settings, origins: { ...settings.origins, [fireworks]: { ...given, headers } } }
}
