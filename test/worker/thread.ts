import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { agentDefaults } from '../../src/core/agent.ts'
import type { Answer, HostFrame, Request, ThreadFrame } from '../../src/core/frames.ts'
import type { TurnLimits } from '../../src/core/turn-limit.ts'

type FrameOf<Kind extends ThreadFrame['kind']> = Extract<ThreadFrame, { kind: Kind }>
type Outcome = FrameOf<'ended'>['outcome']
type Waiter = { isMet: (frame: ThreadFrame) => boolean; resolve: (frame: ThreadFrame) => void }

/** An actor's thread with the test in the host's place. */
export type Thread = AsyncDisposable & {
  readonly worker: Worker
  readonly frames: readonly ThreadFrame[]
  /** The requests so far, in order. */
  readonly requests: readonly Request[]
  readonly exited: Promise<{ readonly code: number; readonly error: unknown }>
  post(...frames: HostFrame[]): void
  /** The first frame of this kind that passes, among those that came and those to come. */
  next<Kind extends ThreadFrame['kind']>(kind: Kind, filter?: (frame: FrameOf<Kind>) => boolean): Promise<FrameOf<Kind>>
  load(
    file: string,
    options?: { args?: unknown; state?: unknown; sql?: readonly string[]; id?: string; limits?: TurnLimits },
  ): Promise<FrameOf<'loaded'> | FrameOf<'refused'>>
  /** Runs one turn to its end. */
  turn(type: string, body?: unknown, options?: Partial<Extract<HostFrame, { kind: 'turn' }>>): Promise<Outcome>
  /** Posts a turn that is not waited for; gives its number. */
  begin(type: string, body?: unknown, options?: Partial<Extract<HostFrame, { kind: 'turn' }>>): number
  ended(turn: number): Promise<Outcome>
  /** The log so far, one object per line. */
  lines(): readonly Record<string, unknown>[]
}

const entry = fileURLToPath(new URL('../../src/worker/main.ts', import.meta.url))
const limit = 25_000

/** The path of a sample actor. */
export function sample(name: string): string {
  return fileURLToPath(new URL(`actors/${name}.ts`, import.meta.url))
}

export const done: Answer = { ok: true, value: null }

/** Starts a thread; `answer` plays the store, and leaves a request open when it gives nothing. */
export async function startThread(answer: (request: Request, turn: number) => Answer | undefined = () => done): Promise<Thread> {
  const worker = new Worker(entry, { execArgv: [] })
  const frames: ThreadFrame[] = []
  const requests: Request[] = []
  const waiters = new Set<Waiter>()
  const exited = watchExit(worker)
  let turns = 0

  function take(frame: ThreadFrame): void {
    frames.push(frame)
    if (frame.kind === 'call') {
      requests.push(frame.request)
      const answered = answer(frame.request, frame.turn)
      if (answered) worker.postMessage([{ kind: 'answer', actor: frame.actor, call: frame.call, answer: answered }])
    }
    for (const waiter of waiters) {
      if (waiter.isMet(frame)) waiter.resolve(frame)
    }
  }
  worker.on('message', (batch: ThreadFrame[]) => batch.forEach(take))

  async function next<Kind extends ThreadFrame['kind']>(kind: Kind, filter: (frame: FrameOf<Kind>) => boolean = () => true) {
    const isMet = (frame: ThreadFrame) => frame.kind === kind && filter(frame as FrameOf<Kind>)
    const known = frames.find(isMet)
    if (known) return known as FrameOf<Kind>
    const { promise, resolve, reject } = Promise.withResolvers<ThreadFrame>()
    const waiter = { isMet, resolve }
    waiters.add(waiter)
    const timer = setTimeout(() => reject(new Error(`No frame "${kind}" within ${limit} ms; there were ${JSON.stringify(frames)}`)), limit)
    try {
      return (await promise) as FrameOf<Kind>
    } finally {
      clearTimeout(timer)
      waiters.delete(waiter)
    }
  }

  const thread: Thread = {
    worker,
    frames,
    requests,
    exited,
    post: (...batch) => worker.postMessage(batch),
    next,
    async load(file, { args = {}, state, sql = [], id = 'lab', limits = agentDefaults } = {}) {
      const loaded = Promise.any([next('loaded', ({ actor }) => actor === id), next('refused', ({ actor }) => actor === id)])
      const texts = { args: JSON.stringify(args), state: state === undefined ? null : JSON.stringify(state) }
      thread.post({ kind: 'load', actor: id, incarnation: 1, file, sql, limits, ...texts })
      return loaded
    },
    begin(type, body = null, options = {}) {
      turns += 1
      const given = { id: `message-${turns}`, type, body: JSON.stringify(body), from: 'tester', attempt: 1, priority: 'normal' } as const
      thread.post({ kind: 'turn', actor: 'lab', turn: turns, source: 'message', ...given, ...options })
      return options.turn ?? turns
    },
    ended: async (turn) => (await next('ended', (frame) => frame.turn === turn)).outcome,
    turn: (type, body, options) => thread.ended(thread.begin(type, body, options)),
    lines: () => frames.flatMap((frame) => (frame.kind === 'log' ? frame.lines.trimEnd().split('\n') : [])).map((line) => JSON.parse(line)),
    async [Symbol.asyncDispose]() {
      await worker.terminate()
    },
  }
  await next('up')
  return thread
}

function watchExit(worker: Worker): Thread['exited'] {
  const { promise, resolve } = Promise.withResolvers<{ code: number; error: unknown }>()
  let error: unknown
  worker.on('error', (thrown) => {
    error = thrown
  })
  worker.on('exit', (code) => resolve({ code, error }))
  return promise
}
