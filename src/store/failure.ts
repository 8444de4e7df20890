/**
 * What a failed request means for whoever asked.
 * `unavailable` the store is away or busy: the identical request may work later · `conflict` somebody else was first ·
 * `data` the database rejects the values · `schema` the function or table is not there · `denied` key or role ·
 * `refused` the function said no · `answer` the answer is not what the schema promises · `aborted` the caller gave up.
 */
export type FailureKind = 'unavailable' | 'conflict' | 'data' | 'schema' | 'denied' | 'refused' | 'answer' | 'aborted'

const sqlState = /^[0-9A-Z]{5}$/

/** Classifies the answer of a gateway or of PostgREST by the database's code, else by the HTTP status (0: no answer at all). */
export function failureKind(status: number, code: string): FailureKind {
  if (code === 'PT409') return 'conflict'
  if (/^PT\d{3}$/.test(code)) return 'refused'
  if (/^(08|25006|25P03|40|53|55P03|57014|57P|58|PGRST00)/.test(code)) return 'unavailable'
  if (/^2[123]/.test(code)) return 'data'
  if (/^(42883|42P01|3F000|PGRST20\d)$/.test(code)) return 'schema'
  if (code === '42501' || status === 401 || status === 403) return 'denied'
  if (sqlState.test(code)) return 'refused'
  return status === 0 || status === 408 || status === 429 || status >= 500 ? 'unavailable' : 'refused'
}

export interface Backoff {
  /** The first wait. */
  readonly base: number
  readonly max: number
}

/** Doubles from base to max; the jitter takes up to half off, so that a herd spreads out. `random` is in 0..1. */
export function backoffDelay(attempt: number, { base, max }: Backoff, random: number): number {
  return Math.min(max, base * 2 ** (attempt - 1)) * (1 - random / 2)
}
