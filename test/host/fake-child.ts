import { hash, randomUUID } from 'node:crypto'
import type { Answer, Effects, ErrorData, HostFrame, Request, ThreadFrame } from '../../src/core/frames.ts'
import type { Outgoing } from '../../src/core/message.ts'
import type { DeskChild } from '../../src/host/desk.ts'

/** What a handler of a fake actor gets. */
export type FakeContext = {
  state: unknown
  readonly from: string | null
  readonly attempt: number
  readonly id: string
  tell(to: string | null, type: string, body?: unknown, options?: Partial<Outgoing>): void
  tellNow(to: string, type: string, body?: unknown): Promise<unknown>
  ask(to: string, type: string, body?: unknown, timeout?: number): Promise<unknown>
  step(name: string, fn: () => unknown, once?: boolean): Promise<unknown>
  call(fn: string, args: object): Promise<unknown>
  read(relation: string, filter?: object, options?: object): Promise<unknown>
  write(fn: string, args: object): void
  job(type: string, payload?: unknown, options?: object): void
  /** Resolves with the code of the abort. */
  readonly aborted: Promise<string>
  /** Ends the thread here and now. */
  die(exit?: string): never
  /** Mail only: it goes on after it was told to end. */
  hang(): never
}

export type FakeActor = {
  readonly init?: (saved: unknown) => { state?: unknown; timers?: Effects['timers'] }
  readonly receive?: Readonly<Record<string, (body: never, ctx: FakeContext) => unknown>>
  readonly run?: Readonly<Record<string, (payload: never, ctx: FakeContext) => unknown>>
}

/** A failure that says how it goes on. */
export class FakeEnding extends Error {
  readonly outcome: { readonly isFinal?: boolean; readonly retryIn?: number; readonly code?: string }
  constructor(message: string, outcome: FakeEnding['outcome']) {
    super(message)
    this.outcome = outcome
  }
}

/** Plays a thread with one actor, by its frames. */
export type FakeChild = DeskChild & {
  readonly isAlive: boolean
  /** Frames that came from the host. */
  readonly received: readonly HostFrame[]
  post(frame: HostFrame): void
  /** Says something that no turn says. */
  send(frame: ThreadFrame): void
}

const dead = Symbol('dead')

export function createFakeChild(id: string, actor: FakeActor, incarnation = 1): FakeChild {
  const exited = Promise.withResolvers<{ exit: string; detail: string }>()
  const listeners: ((frame: ThreadFrame) => void)[] = []
  const answers = new Map<number, (answer: Answer) => void>()
  const received: HostFrame[] = []
  let isAlive = true
  let calls = 0
  let state: unknown
  let done = 0
  let current = 0
  let abort = Promise.withResolvers<string>()
  const queue: Extract<HostFrame, { kind: 'turn' | 'mail' }>[] = []
  let isBusy = false

  function send(frame: ThreadFrame): void {
    // As through a port: later, and not at all once the thread is gone.
    setImmediate(() => {
      for (const listener of listeners) listener(frame)
    })
  }

  function end(exit: string, detail = ''): void {
    if (!isAlive) return
    isAlive = false
    setImmediate(() => setImmediate(() => exited.resolve({ exit, detail })))
  }

  async function work(): Promise<void> {
    if (isBusy) return
    isBusy = true
    for (let next = queue.shift(); next && isAlive; next = queue.shift()) await (next.kind === 'turn' ? turn(next) : mail(next))
    isBusy = false
  }

  async function turn(frame: Extract<HostFrame, { kind: 'turn' }>): Promise<void> {
    if (frame.after !== undefined && frame.after !== done) return
    current = frame.turn
    abort = Promise.withResolvers()
    const collected = { messages: [] as Outgoing[], jobs: [] as Effects['jobs'][number][], writes: [] as Effects['writes'][number][] }
    const { ctx, usesSteps } = createContext(frame, collected)
    const before = state
    const handlers = frame.source === 'message' ? actor.receive : actor.run
    try {
      const handler = handlers?.[frame.type]
      if (!handler) throw new FakeEnding(`no handler for ${frame.type}`, { isFinal: true, code: 'HANDLER_NOT_FOUND' })
      const reply = JSON.stringify((await handler(JSON.parse(frame.body) as never, ctx)) ?? null)
      const isNew = state !== before
      const effects = { ...collected, timers: [], steps: usesSteps(), ...(isNew && { state: JSON.stringify(state) }) }
      done = frame.turn
      // However long it took: the more is handed ahead, the more a test sees of it.
      if (isAlive) send({ kind: 'ended', actor: id, turn: frame.turn, isQuick: true, outcome: { kind: 'done', reply, effects } })
    } catch (thrown) {
      state = before
      if (thrown === dead || !isAlive) return
      const { isFinal = false, retryIn, code = 'HANDLER_FAILED' } = thrown instanceof FakeEnding ? thrown.outcome : {}
      const error: ErrorData = { name: 'ActorError', code: (thrown as { code?: string }).code ?? code, message: (thrown as Error).message }
      send({
        kind: 'ended',
        actor: id,
        turn: frame.turn,
        outcome: { kind: 'threw', error, isFinal, ...(retryIn !== undefined && { retryIn }) },
      })
    }
  }

  async function mail({ first, items }: Extract<HostFrame, { kind: 'mail' }>): Promise<void> {
    const failed: Extract<ThreadFrame, { kind: 'acks' }>['failed'][number][] = []
    let type = ''
    for (let at = 0; at < items.length && isAlive; at += 3) {
      type = items[at] ?? type
      try {
        const die = () => {
          end('crash', 'as asked')
          throw dead
        }
        const hang = () => {
          const error = { name: 'ActorError', code: 'TURN_TIMEOUT', message: 'too long' }
          send({ kind: 'acks', actor: id, upTo: first + at / 3, failed: [{ number: first + at / 3, error }], isHung: true })
          throw dead
        }
        await actor.receive?.[type]?.(JSON.parse(items[at + 1] ?? '') as never, { die, hang } as unknown as FakeContext)
      } catch (thrown) {
        if (thrown === dead) return
        failed.push({ number: first + at / 3, error: { name: 'Error', message: (thrown as Error).message } })
      }
    }
    if (isAlive) send({ kind: 'acks', actor: id, upTo: first + items.length / 3 - 1, failed })
  }

  function createContext(
    frame: Extract<HostFrame, { kind: 'turn' }>,
    collected: { messages: Outgoing[]; jobs: Effects['jobs'][number][]; writes: Effects['writes'][number][] },
  ) {
    const counts = new Map<string, number>()
    let steps = false
    const keyOf = (...parts: string[]) => {
      const base = hash('sha256', [id, frame.id, ...parts].join('\0'))
      counts.set(base, (counts.get(base) ?? 0) + 1)
      return `${base}:${counts.get(base)}`
    }
    const uuidOf = (key: string) => {
      const hex = hash('sha256', key)
      return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`
    }
    async function request(one: Request): Promise<Extract<Answer, { ok: true }>> {
      calls += 1
      const { promise, resolve } = Promise.withResolvers<Answer>()
      answers.set(calls, resolve)
      send({ kind: 'call', actor: id, turn: frame.turn, call: calls, request: one })
      const stop = abort.promise.then((code) => ({ ok: false, error: { name: 'ActorError', code, message: code } }) as Answer)
      const answer = await Promise.race([promise, stop])
      if (!answer.ok) throw Object.assign(new Error(answer.error.message), { code: answer.error.code })
      return answer
    }
    const outgoing = (to: string | null, type: string, body: unknown, key: string) =>
      ({ id: key === '' ? randomUUID() : uuidOf(key), to, type, body: JSON.stringify(body ?? null) }) as const
    const readValue = ({ value }: { value: string | null }) => (value === null ? null : JSON.parse(value))
    const ctx: FakeContext = {
      get state() {
        return state
      },
      set state(next) {
        state = next
      },
      from: frame.from,
      attempt: frame.attempt,
      id: frame.id,
      tell: (to, type, body, options = {}) => void collected.messages.push({ ...outgoing(to, type, body, ''), ...options }),
      async tellNow(to, type, body) {
        const key = keyOf('send', to, type, JSON.stringify(body))
        return readValue(await request({ kind: 'send', key, message: outgoing(to, type, body, key) }))
      },
      async ask(to, type, body, timeout = 10_000) {
        const key = keyOf('ask', to, type, JSON.stringify(body))
        return readValue(await request({ kind: 'ask', key, message: outgoing(to, type, body, key), timeout }))
      },
      async step(name, fn, once = false) {
        steps = true
        const start = await request({ kind: 'stepStart', key: `step:${name}` })
        if (start.known === 'finished') return readValue(start)
        if (start.known === 'started' && once) throw Object.assign(new Error(name), { code: 'STEP_UNKNOWN' })
        const result = JSON.stringify((await fn()) ?? null)
        await request({ kind: 'stepFinish', key: `step:${name}`, result })
        return JSON.parse(result)
      },
      async call(fn, args) {
        steps = true
        return readValue(await request({ kind: 'function', key: keyOf('call', fn, JSON.stringify(args)), fn, args: JSON.stringify(args) }))
      },
      async read(relation, filter = {}, options = {}) {
        return readValue(await request({ kind: 'read', relation, filter: JSON.stringify(filter), options: JSON.stringify(options) }))
      },
      write: (fn, args) => void collected.writes.push({ fn, args: JSON.stringify(args) }),
      job: (type, payload = {}, options = {}) =>
        void collected.jobs.push({ id: randomUUID(), type, payload: JSON.stringify(payload), ...options }),
      aborted: abort.promise,
      die(exit = 'crash') {
        end(exit, 'as asked')
        throw dead
      },
      hang() {
        throw new Error('A turn that hangs is one that never ends')
      },
    }
    return { ctx, usesSteps: () => steps }
  }

  return {
    incarnation,
    received,
    get isAlive() {
      return isAlive
    },
    exited: exited.promise,
    onFrame: (listener) => void listeners.push(listener),
    kill: (why) => end(why?.exit ?? 'crash', why?.detail),
    send,
    async load({ state: saved }) {
      const given = saved === null ? undefined : JSON.parse(saved)
      const first = actor.init?.(given) ?? {}
      const isNew = given === undefined && first.state !== undefined
      state = isNew ? first.state : given
      const effects: Effects = {
        messages: [],
        jobs: [],
        writes: [],
        timers: first.timers ?? [],
        steps: false,
        ...(isNew && { state: JSON.stringify(state) }),
      }
      const frame = { kind: 'loaded', actor: id, incarnation, effects } as const
      send(frame)
      return frame
    },
    move(frame) {
      received.push(frame)
    },
    post(frame) {
      received.push(frame)
      if (!isAlive) return
      if (frame.kind === 'answer') answers.get(frame.call)?.(frame.answer)
      if (frame.kind === 'abort' && frame.turn === undefined) done = Number.NaN
      if (frame.kind === 'abort' && (frame.turn === undefined || frame.turn === current)) abort.resolve(frame.code)
      if (frame.kind === 'stop') end('shutdown')
      if (frame.kind !== 'turn' && frame.kind !== 'mail') return
      queue.push(frame)
      setImmediate(() => void work())
    },
  }
}
