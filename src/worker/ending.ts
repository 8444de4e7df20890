import { ActorError, type Code } from '../core/errors.ts'

type EndingOptions = {
  readonly isFinal: boolean
  readonly retryIn?: number
  readonly cause?: unknown
  readonly details?: Readonly<Record<string, unknown>>
}

/** An error that also says how its turn goes on: `ctx.fatal` and `ctx.retry` make them, to be thrown. */
export class Ending extends ActorError {
  readonly isFinal: boolean
  readonly retryIn: number | undefined

  constructor(code: Code, message: string, { isFinal, retryIn, cause, details = {} }: EndingOptions) {
    super(code, message, cause === undefined ? { details } : { cause, details })
    this.isFinal = isFinal
    this.retryIn = retryIn
  }
}
