import { performance } from 'node:perf_hooks'
import type { MessagePort, Transferable } from 'node:worker_threads'
import type { AgentSpec } from '../core/agent.ts'
import { type Ended, type ExitRecord, nameEnd, type Reason, type TurnRecord } from '../core/ending.ts'
import { ActorError } from '../core/errors.ts'
import type { Exit } from '../core/exit.ts'
import type { HostFrame, ThreadFrame } from '../core/frames.ts'
import type { Heap } from '../core/guard.ts'
import type { JsonText } from '../core/message.ts'
import type { TurnFrame } from '../worker/context.ts'
import { fromErrorData } from '../worker/error-data.ts'
import { guardLoop, guardMemory } from './guards.ts'
import type { Thread } from './thread.ts'

export type LoadedFrame = Extract<ThreadFrame, { kind: 'loaded' }>

/** One incarnation of an agent in its thread. */
export type Child = {
  readonly spec: AgentSpec
  readonly incarnation: number
  /** The thread's id. */
  readonly thread: number
  /** Loads the actor, once; rejects with START_FAILED, MODULE_INVALID or CONFIG_INVALID, and then the child ends as well. */
  load(given: {
    readonly state: JsonText | null
    readonly sql: readonly string[]
    readonly http?: MessagePort | undefined
  }): Promise<LoadedFrame>
  post(frame: HostFrame): void
  /** Sends a frame by itself, of which parts are moved. Throws what cannot be cloned. */
  move(frame: HostFrame, transfer: readonly Transferable[]): void
  /** Calls the listener with each of the actor's frames. */
  onFrame(listener: (frame: ThreadFrame) => void): void
  /** Asks it to finish what it does and to stop; how long that may take is the supervisor's to say. */
  stop(): void
  /** Ends it as it is. The first reason counts. */
  kill(why?: { readonly exit: Exit; readonly detail: string }): void
  readonly exited: Promise<Exited>
  stats(): ChildStats
}

/** How a child has ended. */
export type Exited = { readonly exit: Exit; readonly detail: string; readonly record: ExitRecord }

export type ChildStats = { readonly thread: number; readonly upFor: number; readonly turns: number; readonly heap: Heap | undefined }

const turnsKept = 5

/** Makes a thread one agent's. */
export function createChild(thread: Thread, spec: AgentSpec, incarnation: number): Child {
  const { id } = spec
  const startedAt = performance.now()
  const loaded = Promise.withResolvers<LoadedFrame>()
  const listeners: ((frame: ThreadFrame) => void)[] = []
  const turns = recordTurns()
  let reason: Reason | undefined
  let askedToStop = false

  const memory = guardMemory(thread, spec.memory, endFor)
  // While it loads, its imports block the loop; the start timeout sees to that.
  let loop: ReturnType<typeof guardLoop> | undefined

  function endFor(why: Reason): void {
    reason ??= why
    thread.terminate()
  }

  function take(frame: ThreadFrame): void {
    loop?.heard()
    if (frame.kind === 'pong') return
    if (frame.kind === 'ended') turns.ended(frame)
    if (frame.kind === 'loaded') {
      loop ??= guardLoop(thread, spec.hangAfter, endFor)
      loaded.resolve(frame)
    }
    for (const listener of listeners) listener(frame)
    if (frame.kind === 'refused') endFor({ kind: 'refused', error: frame.error })
    if (frame.kind === 'stopped') endFor({ kind: 'stopped', ...(frame.error && { error: frame.error }) })
  }

  function end(ended: Ended): Exited {
    memory.stop()
    loop?.stop()
    const { exit, detail } = nameEnd(ended, reason, loop !== undefined)
    loaded.reject(startError(id, detail, reason))
    const heap = memory.heap()
    const error = reason?.kind === 'stopped' || reason?.kind === 'refused' ? reason.error : ended.error
    const { team, version } = spec
    const when = { at: Date.now(), after: Math.round(performance.now() - startedAt) }
    const record = {
      team,
      id,
      version,
      incarnation,
      exit,
      detail,
      turns: turns.last(),
      ...when,
      ...(error && { error }),
      ...(heap && { heap }),
    }
    return { exit, detail, record }
  }

  thread.receive(take)
  // Nobody need have called load.
  loaded.promise.catch(() => {})
  const exited = thread.ended.then(end)

  return {
    spec,
    incarnation,
    thread: thread.id,
    load({ state, sql, http }) {
      const { file, args, turnTimeout, turnTimeouts } = spec
      const limits = { turnTimeout, turnTimeouts }
      const frame = { kind: 'load', actor: id, incarnation, file, args, state, sql, limits } as const
      if (http) thread.move({ ...frame, http }, [http])
      else thread.post(frame)
      return loaded.promise
    },
    post(frame) {
      if (frame.kind === 'turn') turns.given(frame)
      thread.post(frame)
    },
    move: thread.move,
    onFrame: (listener) => void listeners.push(listener),
    stop() {
      if (askedToStop) return
      askedToStop = true
      thread.post({ kind: 'stop', actor: id })
    },
    kill(why = { exit: 'crash', detail: askedToStop ? 'killed: it did not stop in time' : 'killed' }) {
      endFor({ kind: 'killed', ...why })
    },
    exited,
    stats: () => ({ thread: thread.id, upFor: performance.now() - startedAt, turns: turns.count(), heap: memory.heap() }),
  }
}

function startError(id: string, detail: string, reason: Reason | undefined): ActorError {
  const error = reason?.kind === 'refused' ? fromErrorData(reason.error) : undefined
  return error instanceof ActorError ? error : new ActorError('START_FAILED', `"${id}" did not start: ${detail}`)
}

/** Keeps the last turns, for people who ask why a thread has died. */
function recordTurns() {
  const kept = new Map<number, TurnRecord>()
  /** Handed to the thread behind a turn that runs. */
  let waiting: TurnFrame[] = []
  let count = 0

  function begin({ turn, source, id, type }: TurnFrame): void {
    count += 1
    kept.set(turn, { source, id, type, outcome: 'running' })
    const [oldest] = kept.keys()
    if (kept.size > turnsKept && oldest !== undefined) kept.delete(oldest)
  }

  return {
    given(frame: TurnFrame): void {
      if (frame.after === undefined) begin(frame)
      else waiting.push(frame)
    },
    ended({ turn, outcome }: Extract<ThreadFrame, { kind: 'ended' }>): void {
      const record = kept.get(turn)
      if (record) kept.set(turn, { ...record, outcome: outcome.kind })
      const [next, ...rest] = waiting
      waiting = outcome.kind === 'done' ? rest : []
      if (next && outcome.kind === 'done') begin(next)
    },
    last: () => [...kept.values()],
    count: () => count,
  }
}
