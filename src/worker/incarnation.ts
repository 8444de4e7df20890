import { ActorError, type Code, codes } from '../core/errors.ts'
import type { HostFrame } from '../core/frames.ts'
import { createAbort } from './abort.ts'
import type { TurnFrame } from './context.ts'
import { toErrorData } from './error-data.ts'
import { runTurn } from './handle.ts'
import { createMail, type MailFrame } from './mail.ts'
import type { Port } from './port.ts'
import { createResident, type LoadFrame, runInit, runStop, startError } from './start.ts'
import type { Resident } from './turn.ts'

/** A frame for one actor of the thread. */
export type ActorFrame = Exclude<HostFrame, { kind: 'ping' }>
type Work = LoadFrame | TurnFrame | MailFrame | Extract<HostFrame, { kind: 'stop' }>

type Life =
  | { readonly phase: 'loading' }
  | { readonly phase: 'running'; readonly actor: Resident; readonly mail: ReturnType<typeof createMail> }
  | { readonly phase: 'ended' }

/** A turn of less than so many ns is quick. The first use of `performance` would cost a thread's first turn more than that. */
const quick = 1_000_000n

/** Runs one incarnation of an actor: it loads, handles one thing at a time in the order in which they came, and stops. */
export function createIncarnation(port: Port, onEnd: () => void) {
  const queue: Work[] = []
  let life: Life = { phase: 'loading' }
  /** The last turn that is done; NaN once nothing may follow any turn, however the one that runs ends. */
  let done = 0
  let current = { turn: 0, abort: createAbort() }
  let isWorking = false

  async function work(): Promise<void> {
    if (isWorking) return
    isWorking = true
    for (let next = queue.shift(); next; next = queue.shift()) await perform(next)
    isWorking = false
  }

  function perform(next: Work): Promise<void> | undefined {
    if (next.kind === 'load') return life.phase === 'loading' ? load(next) : undefined
    if (next.kind === 'stop') return stop(next.actor)
    if (life.phase !== 'running') return undefined
    return next.kind === 'turn' ? turn(life.actor, next) : handleMail(life.mail, next)
  }

  async function load(frame: LoadFrame): Promise<void> {
    const { actor: id, incarnation } = frame
    try {
      const actor = await createResident(frame, port)
      life = { phase: 'running', actor, mail: createMail(actor, frame.limits) }
      const effects = await runInit(actor, current.abort)
      port.send({ kind: 'loaded', actor: id, incarnation, effects })
    } catch (thrown) {
      const error = thrown instanceof ActorError ? thrown : startError(`Loading "${id}"`, thrown)
      life = { phase: 'ended' }
      port.send({ kind: 'refused', actor: id, incarnation, error: toErrorData(error) })
      onEnd()
    }
  }

  async function turn(actor: Resident, frame: TurnFrame): Promise<void> {
    if (frame.after !== undefined && frame.after !== done) return
    current = { turn: frame.turn, abort: createAbort() }
    const began = process.hrtime.bigint()
    const outcome = await runTurn(actor, frame, current.abort)
    const isQuick = process.hrtime.bigint() - began < quick
    if (outcome.kind === 'done' && !Number.isNaN(done)) done = frame.turn
    port.send({ kind: 'ended', actor: frame.actor, turn: frame.turn, outcome, ...(isQuick && { isQuick }) })
  }

  async function handleMail(mail: ReturnType<typeof createMail>, frame: MailFrame): Promise<void> {
    const acks = await mail.handle(frame)
    // Its handler still runs: beside it nothing may.
    if (acks.isHung) life = { phase: 'ended' }
    port.send(acks)
  }

  async function stop(id: string): Promise<void> {
    const before = life
    life = { phase: 'ended' }
    current = { turn: -1, abort: createAbort() }
    try {
      if (before.phase === 'running') await runStop(before.actor, current.abort)
      port.send({ kind: 'stopped', actor: id })
    } catch (error) {
      port.send({ kind: 'stopped', actor: id, error: toErrorData(error) })
    }
    onEnd()
  }

  function abort({ code, reason, turn }: Extract<HostFrame, { kind: 'abort' }>): void {
    if (turn === undefined) done = Number.NaN
    if (!isWorking || (turn !== undefined && turn !== current.turn)) return
    const error = new ActorError(isCode(code) ? code : 'STOPPED', reason)
    current.abort.abort(error)
    if (life.phase !== 'running') return
    life.mail.abort.abort(error)
    life.actor.calls.abandon(current.turn, error)
  }

  return {
    take(frame: ActorFrame): void {
      switch (frame.kind) {
        case 'answer':
          if (life.phase === 'running') life.actor.calls.settle(frame.call, frame.answer)
          return
        case 'used':
          if (life.phase === 'running') life.actor.calls.used(frame.call, frame.outcome)
          return
        case 'abort':
          return abort(frame)
        case 'load':
        case 'turn':
        case 'mail':
        case 'stop':
          queue.push(frame)
          // Nothing it does may fail but by a fault of ours, which then ends the thread as any unhandled error does.
          void work()
      }
    },
  }
}

function isCode(code: string): code is Code {
  return Object.values(codes).some((family) => (family as readonly string[]).includes(code))
}
