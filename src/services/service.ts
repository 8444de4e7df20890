import type { Transferable } from 'node:worker_threads'
import type { ServiceName } from '../core/frames.ts'

/** Who uses a service: an agent, in the turn of a message or a job. */
export type Caller = {
  readonly team: string
  readonly agent: string
  readonly type: string
  readonly source: 'message' | 'job'
  /** Of the message or job. */
  readonly id: string
  /** The type of the message or job. */
  readonly name: string
}

/** Something that actors may ask of the host. Its input comes from an actor's thread and is to be parsed. */
export type Service = {
  /** Throws an ActorError, which crosses to the actor as it is; what else it throws crosses with its name and message. */
  use(caller: Caller, input: unknown, signal: AbortSignal): Promise<Used>
}

/** A value that a port can carry, and what of it is moved instead of copied. */
export type Used = { readonly value: unknown; readonly transfer?: readonly Transferable[] }

export type Services = Readonly<Partial<Record<ServiceName, Service>>>
