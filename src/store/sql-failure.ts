/** What an error of either driver tells, in one shape. */
export interface SqlFailure {
  /** SQLSTATE; '' when the error is not the database's. */
  readonly code: string
  readonly message: string
  readonly detail?: string
  readonly hint?: string
}

const noConnection = /^(E[A-Z]+|CONNECTION_[A-Z]+|CONNECT_TIMEOUT)$/

/** Reads what a driver threw. A lost connection gets the database's own code for it, 08006. */
export function sqlFailure(error: unknown): SqlFailure {
  const { code, message, detail, hint } = error as { code?: unknown; message?: unknown; detail?: unknown; hint?: unknown }
  const given = typeof code === 'string' ? code : ''
  return {
    code: noConnection.test(given) ? '08006' : /^[0-9A-Z]{5}$/.test(given) ? given : '',
    message: typeof message === 'string' && message !== '' ? message : given || String(error),
    ...(typeof detail === 'string' ? { detail } : {}),
    ...(typeof hint === 'string' ? { hint } : {}),
  }
}

/** The HTTP status that PostgREST gives to an SQLSTATE. */
function statusOf(code: string): number {
  const [, own] = /^PT(\d{3})$/.exec(code) ?? []
  if (own !== undefined) return Number(own)
  if (/^42(883|P01)$/.test(code)) return 404
  if (code === '42501') return 403
  if (/^(08|53|25P03)/.test(code) || code === '57P01') return 503
  if (/^(23505|23503)$/.test(code)) return 409
  if (/^(0L|0P|28)/.test(code)) return 403
  if (/^(09|25|2D|38|39|3B|40|54|55|57|58|F0|HV|P0|XX)/.test(code) && code !== 'P0001') return 500
  return 400
}

/** What PostgREST answers for an error. */
export function failureAnswer(error: unknown) {
  const { code, message, detail = null, hint = null } = sqlFailure(error)
  return { status: code === '' ? 500 : statusOf(code), answer: { code, message, details: detail, hint } }
}

// lite keeps the code of these itself.
const kept = /^(PT|PGRST|42|22|21|55|23502|23503|23505|25006)/

/**
 * Turns an error into one that lite answers faithfully. It knows a dozen codes and makes a nameless 500 of the others, a
 * deadlock or a failed check among them; but like PostgREST it obeys `raise sqlstate 'PGRST'`, whose message is the answer.
 */
export function faithfulError(error: unknown): unknown {
  const { status, answer } = failureAnswer(error)
  const { code } = answer
  if (code === '' || kept.test(code)) return error
  return Object.assign(new Error(JSON.stringify(answer)), {
    code: 'PGRST',
    detail: JSON.stringify({ status, headers: {} }),
  })
}
