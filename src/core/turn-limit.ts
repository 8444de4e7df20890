/** How long turns may take, in ms. */
export type TurnLimits = {
  readonly turnTimeout: number
  /** By the type of the message or job; the rest has `turnTimeout`. */
  readonly turnTimeouts?: Readonly<Record<string, number>>
}

/** A turn that was told to end has so many ms, then its thread is ended. */
export const patience = 5_000

/** Why a turn over its limit is told to end. */
export const overLimit = 'The turn took longer than turnTimeout (or turnTimeouts, for its type) allows'

/** Ms that the turn of a message or job of this type may take. */
export function limitOf({ turnTimeout, turnTimeouts = {} }: TurnLimits, type: string): number {
  return Object.hasOwn(turnTimeouts, type) ? (turnTimeouts[type] ?? turnTimeout) : turnTimeout
}
