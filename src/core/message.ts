/** JSON as text: what a body, reply, state or step result is from the sender's worker to the receiver's parser. */
export type JsonText = string

export type Priority = 'low' | 'normal' | 'high' | 'urgent'

/** A message in the memory of the process that runs its receiver. Times are monotonic ms. */
export type Message = {
  readonly id: string
  /** Its place in the receiver's mailbox; grows per sender. */
  readonly seq: number
  readonly from: string
  readonly type: string
  readonly body: JsonText
  readonly priority: Priority
  /** Throws so far, and deaths of the thread while it ran this message alone. */
  readonly attempts: number
  /** Deaths of the process and lost leases while this message was in hand. */
  readonly interruptions: number
  readonly retryAt?: number
  readonly expiresAt?: number
  /** Of an ask: the actors that wait for each other through it, the first asker first. */
  readonly chain?: readonly string[]
  /** It was told to all: whoever has no handler for it was not meant. */
  readonly isBroadcast?: true
}

/** A job that was claimed for an actor of this process. */
export type Job = {
  readonly id: string
  readonly type: string
  readonly payload: JsonText
  readonly attempt: number
  readonly maxAttempts: number
  readonly token: number
}

/** What a turn handles. */
export type Delivery = { readonly kind: 'message'; readonly message: Message } | { readonly kind: 'job'; readonly job: Job }

/** A message that a turn sends, before the database has given it a place. `to` null: a broadcast. Durations in ms. */
export type Outgoing = {
  readonly id: string
  readonly to: string | null
  readonly type: string
  readonly body: JsonText
  readonly priority?: Priority
  readonly expiresIn?: number
  readonly delay?: number
}
