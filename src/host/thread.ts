import { fileURLToPath } from 'node:url'
import { type Transferable, Worker } from 'node:worker_threads'
import type { Ended } from '../core/ending.ts'
import type { HostFrame, ThreadFrame } from '../core/frames.ts'
import type { Heap } from '../core/guard.ts'
import { toErrorData } from '../worker/error-data.ts'

/** A thread with the actors' shell in it, from its start to its end. */
export type Thread = {
  readonly id: number
  /** Whether its shell runs. */
  readonly isUp: boolean
  /** Resolves when the thread is gone, or is given up because it cannot be ended. */
  readonly ended: Promise<Ended>
  /** Sends a frame, together with the others of the same stretch of code. */
  post(frame: HostFrame): void
  /** Sends a frame by itself, of which parts are moved. Throws what cannot be cloned. */
  move(frame: HostFrame, transfer: readonly Transferable[]): void
  /** Who gets its frames, but for those of the shell and the log. */
  receive(receiver: (frame: ThreadFrame) => void): void
  /** Ends it as it is. */
  terminate(): void
  /** Undefined when it does not run yet, or any more; never settles while its code cannot be interrupted. */
  heap(): Promise<Heap | undefined>
  /** How busy its event loop was since the last call, from 0 to 1. */
  utilization(): number
}

export type ThreadOptions = {
  /** The shell as one file, see writeShell; its sources, when absent. */
  readonly shell?: string | undefined
  /** V8's own limit in bytes; it is fixed when a thread is made. */
  readonly hard: number
  /** Ms after which a thread that was terminated and still runs is given up. */
  readonly zombieAfter: number
  /** Takes lines of NDJSON. */
  readonly log: (lines: string) => void
  /** It was given up, and now has ended all the same. */
  readonly onReaped: () => void
}

const sources = fileURLToPath(new URL('../worker/main.ts', import.meta.url))
const inherited = ['NODE_COMPILE_CACHE', 'NODE_ENV', 'TZ', 'LANG', 'LIVE_TRADING']

/** Starts a thread. Whatever becomes of it, `ended` tells. */
export function startThread({ shell = sources, hard, zombieAfter, log, onReaped }: ThreadOptions): Thread {
  const worker = new Worker(shell, {
    env: threadEnv(),
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: hard / 2 ** 20 },
    stdout: true,
    stderr: true,
  })
  const { threadId } = worker // it is -1 once it has ended
  const ended = Promise.withResolvers<Ended>()
  let phase: 'starting' | 'up' | 'givenUp' | 'ended' = 'starting'
  let receiver: ((frame: ThreadFrame) => void) | undefined
  let error: Ended['error']
  let limit: NodeJS.Timeout | undefined
  let utilization = worker.performance.eventLoopUtilization()

  function take(frame: ThreadFrame): void {
    if (frame.kind === 'log') log(frame.lines)
    else if (phase === 'givenUp') return
    else if (frame.kind === 'up') phase = 'up'
    else receiver?.(frame)
  }

  function say(level: number, msg: string): void {
    log(`${JSON.stringify({ level, time: Date.now(), thread: threadId, msg })}\n`)
  }

  function giveUp(): void {
    phase = 'givenUp'
    ended.resolve({ code: undefined, error })
  }

  worker.on('message', (frames: unknown) => {
    // The port is open to whatever an actor imports.
    if (Array.isArray(frames) && frames.every(isFrame)) for (const frame of frames) take(frame)
    else say(40, 'a message on the port of the thread is none of ours, and is ignored')
  })
  worker.on('error', (thrown: unknown) => {
    error = toErrorData(thrown)
  })
  worker.on('exit', (code) => {
    clearTimeout(limit)
    if (phase === 'givenUp') onReaped()
    phase = 'ended'
    ended.resolve({ code, error })
  })
  // The shell turns what actors print into log frames; this is what goes past it.
  worker.stdout.on('data', (text) => say(30, String(text).trimEnd()))
  worker.stderr.on('data', (text) => say(50, String(text).trimEnd()))

  return {
    id: threadId,
    get isUp() {
      return phase === 'up'
    },
    ended: ended.promise,
    post: batched((frames: HostFrame[]) => worker.postMessage(frames)),
    move: (frame, transfer) => worker.postMessage([frame], transfer),
    receive(next) {
      receiver = next
    },
    terminate() {
      if (limit || phase === 'ended' || phase === 'givenUp') return
      limit = setTimeout(giveUp, zombieAfter)
      void worker.terminate()
    },
    heap: () => heapOf(worker),
    utilization() {
      const before = utilization
      utilization = worker.performance.eventLoopUtilization()
      return worker.performance.eventLoopUtilization(utilization, before).utilization
    },
  }
}

/** The environment of a thread that runs actors' code: no secret of the host's is in it. */
export function threadEnv(): Record<string, string> {
  const values = inherited.flatMap((name) => {
    const value = process.env[name]
    return value === undefined ? [] : [[name, value] as const]
  })
  return Object.fromEntries(values)
}

function isFrame(value: unknown): value is ThreadFrame {
  return typeof value === 'object' && value !== null && 'kind' in value
}

/** What a thread holds; undefined when it does not run. */
export async function heapOf(worker: Worker): Promise<Heap | undefined> {
  try {
    const { total_heap_size: total, used_heap_size: used, external_memory: external } = await worker.getHeapStatistics()
    return { total, used, external }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_WORKER_NOT_RUNNING') return undefined
    throw error
  }
}

function batched<Item>(send: (items: Item[]) => void): (item: Item) => void {
  let batch: Item[] = []
  return (item) => {
    batch.push(item)
    if (batch.length > 1) return
    queueMicrotask(() => {
      const items = batch
      batch = []
      send(items)
    })
  }
}
