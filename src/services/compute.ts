import { availableParallelism } from 'node:os'
import { setTimeout } from 'node:timers/promises'
import { type ComputeLimits, computeDefaults } from '../core/compute-limits.ts'
import { ActorError } from '../core/errors.ts'
import type { Event } from '../core/events.ts'
import type { Answer, LogLines } from '../worker/compute-task.ts'
import { logLine } from '../worker/log.ts'
import { failure, isFatal, readAnswer, readLoss } from './compute-failure.ts'
import { createLine } from './compute-line.ts'
import { createOrders, type Places } from './compute-order.ts'
import type { Pool } from './compute-pool.ts'
import { openRun, type Run } from './compute-run.ts'
import { createPoolThreads } from './compute-threads.ts'
import type { Service } from './service.ts'

export type ComputeService = Service & {
  stats(): ComputeStats
  /** Ends whatever runs. */
  close(): Promise<void>
}

export type ComputeStats = {
  readonly threads: number
  readonly running: number
  readonly waiting: number
  /** Threads that run on although they were terminated: the process is to be replaced. */
  readonly zombies: number
}

export type ComputeServiceOptions = Places & { readonly [Limit in keyof ComputeLimits]?: ComputeLimits[Limit] | undefined } & {
  readonly emit: (event: Event) => void
  /** Takes lines of NDJSON: what tasks print. */
  readonly log: (lines: string) => void
  /** Ms after which a thread without work ends. */
  readonly idle?: number
  /** Ms after which a thread that was terminated and still runs is given up. */
  readonly zombieAfter?: number
  /** Added to the niceness of the threads: whoever answers goes before whoever computes. */
  readonly niceness?: number
}

/** Ms that a thread may take to start. */
const startLimit = 30_000
/** Ms between two looks at a thread's memory. */
const poll = 250
/** V8's own limit is far above ours, for at it the whole process may abort before anybody has looked. */
const hardLimitOf = (memory: number) => Math.max(2 ** 30, 4 * memory)

/** Runs actors' CPU work on threads of its own, at most one per core. Nothing is there before the first task. */
export function createCompute(options: ComputeServiceOptions): ComputeService {
  const { emit, log, idle = 10_000, niceness = 10, zombieAfter = 2_000, memory = computeDefaults.memory } = options
  const places = Math.max(1, Math.min(availableParallelism(), options.threads ?? computeDefaults.threads))
  const read = createOrders(options, options.timeout ?? computeDefaults.timeout)
  const hard = hardLimitOf(memory)
  const capacity = options.queue ?? computeDefaults.queue
  const line = createLine({ places, capacity })
  const runs = new Map<number, Run>()
  let pool: Promise<Pool> | undefined
  let last = 0
  let isClosed = false

  const threads = createPoolThreads({
    memory: { soft: memory, hard, poll },
    zombieAfter,
    onBreach(worker, says) {
      const culprit = [...runs.values()].find((run) => run.worker === worker)
      if (culprit) culprit.kill(failure(culprit.order, 'out_of_memory', `took too much memory: ${says}`))
      else threads.discard(worker) // tasks that are over left it there
    },
    onZombie(thread, zombies, run) {
      const { caller: { team = '', agent = '' } = {}, order: { title = '' } = {} } = run ?? {}
      emit({ name: 'task:stuck', team, id: agent, task: title, thread, zombies })
    },
    onReaped: (thread, zombies) => emit({ name: 'thread:reaped', thread, zombies }),
  })

  function take(message: unknown): void {
    // The port is open to whatever a task imports.
    if (typeof message !== 'object' || message === null) return
    const answer = message as Answer | LogLines
    if (answer.kind === 'log') log(String(answer.lines))
    else if (answer.kind === 'done' || answer.kind === 'failed') runs.get(answer.id)?.settle(answer)
  }

  function onLost(cause: Error, left: number): void {
    log(`${logLine('warn', null, `A thread for tasks has ended: ${cause.message}`, { err: cause })}\n`)
    if (left > 0) return // the others take what is meant for it
    for (const run of runs.values()) run.lose(cause)
  }

  async function open(): Promise<Pool> {
    const { openPool } = await import('./compute-pool.ts') // a process whose actors compute nothing does without
    return openPool({ places, hard, idle, niceness, threads, take, onLost })
  }

  function forget(run: Run): void {
    runs.delete(run.id)
    run.close()
  }

  async function queueUp(run: Run): Promise<void> {
    const { order, signal } = run
    try {
      const place = line.enter(signal)
      const details = { queue: capacity, threads: places }
      if (!place) throw failure(order, 'full', `is refused: ${capacity} tasks wait for ${places} threads already`, details)
      await place
    } catch (error) {
      forget(run)
      throw error
    }
  }

  /** Keeps the place until the thread is free: that is a little later than its answer, and much later on a busy machine. */
  async function perform(run: Run): Promise<void> {
    const { id, caller, order, signal } = run
    run.expect(startLimit)
    pool ??= open()
    try {
      await (await pool).run({ id, agent: caller.agent, file: order.file, name: order.name, input: order.input }, run)
      run.end()
      await run.answer
    } catch (thrown) {
      if (!signal.aborted) run.kill(readLoss(order, thrown))
    } finally {
      forget(run)
      line.leave()
    }
  }

  function announce({ caller: { team, agent: id }, order: { title: task } }: Run, { message: error, details }: ActorError): void {
    emit({ name: 'task:killed', team, id, task, reason: String(details.reason), error })
  }

  return {
    async use(caller, given, until) {
      const order = await read(given)
      if (isClosed) throw new ActorError('STOPPED', `The task ${order.title} is not run: the process ends`)
      last += 1
      const run = openRun({ id: last, caller, order, until, discard: threads.discard })
      runs.set(run.id, run)
      await queueUp(run)
      void perform(run) // whatever becomes of it, the answer has it
      try {
        return readAnswer(order, await run.answer)
      } catch (error) {
        if (error instanceof ActorError && isFatal(error)) announce(run, error)
        throw error
      }
    },
    stats: () => ({ threads: threads.count, running: runs.size - line.waiting, waiting: line.waiting, zombies: threads.zombies }),
    async close() {
      isClosed = true
      for (const { kill, order } of runs.values()) kill(new ActorError('STOPPED', `The task ${order.title} is ended: the process ends`))
      const ending = pool?.then(
        (one) => one.close(),
        () => {},
      )
      await Promise.race([ending, setTimeout(zombieAfter, undefined, { ref: false })])
      await threads.gone()
    },
  }
}
