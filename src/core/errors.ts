/** The closed set of codes, by who has to act: the operator, the sender or author of a message, the supervisor, the infrastructure. */
export const codes = {
  operator: ['CONFIG_INVALID', 'MODULE_INVALID', 'BLOCKED'],
  message: [
    'ACTOR_NOT_FOUND',
    'MAILBOX_FULL',
    'BODY_INVALID',
    'HANDLER_NOT_FOUND',
    'HANDLER_FAILED',
    'ASK_TIMEOUT',
    'ASK_CYCLE',
    'TURN_TIMEOUT',
    'STEP_UNKNOWN',
    'STEP_DUPLICATE',
    'BUDGET_EXCEEDED',
    'ACTOR_DOWN',
  ],
  lifecycle: ['START_FAILED', 'START_TIMEOUT', 'ACTOR_CRASHED', 'ACTOR_HUNG', 'OUT_OF_MEMORY', 'STOP_TIMEOUT', 'STOPPED'],
  infrastructure: ['STORE_FAILED', 'SOURCE_FAILED', 'LEASE_LOST', 'ORIGIN_DENIED', 'MODEL_FAILED', 'COMPUTE_FAILED'],
} as const

/** Who has to act on an error. */
export type Family = keyof typeof codes

/** What went wrong, in a form that programs compare. */
export type Code = (typeof codes)[Family][number]

/** The one error class: a code for programs, a message for people, details for both. */
export class ActorError extends Error {
  override readonly name = 'ActorError'
  readonly code: Code
  readonly details: Readonly<Record<string, unknown>>

  constructor(code: Code, message: string, options: { cause?: unknown; details?: Readonly<Record<string, unknown>> } = {}) {
    // An own property `cause: undefined` would print as a cause.
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.code = code
    this.details = options.details ?? {}
  }
}
