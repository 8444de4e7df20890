import { type AgentSpec, agentDefaults } from '../core/agent.ts'
import { ActorError } from '../core/errors.ts'
import type { Event } from '../core/events.ts'
import { type Admission, createAdmission } from './admission.ts'
import { type Child, createChild } from './child.ts'
import { createStandbys } from './standby.ts'
import { startThread, type Thread } from './thread.ts'

/** All threads of actors of this process. */
export type Threads = {
  /** Gives an agent a thread; START_FAILED when there is no room for one more. */
  start(spec: AgentSpec, incarnation: number): Child
  stats(): ThreadsStats
  /** Ends whatever thread there is. */
  close(): Promise<void>
}

export type ThreadsStats = {
  readonly children: number
  readonly standbys: readonly { readonly thread: number; readonly isUp: boolean }[]
  /** Threads that run on although they were terminated: the process is to be replaced. */
  readonly zombies: number
}

export type ThreadsOptions = {
  readonly emit: (event: Event) => void
  /** Takes lines of NDJSON. */
  readonly log: (lines: string) => void
  /** See ThreadOptions. */
  readonly shell?: string | undefined
  readonly standbys?: number
  readonly admission?: Admission
  /** Ms after which a thread that was terminated and still runs is given up. */
  readonly zombieAfter?: number
}

/** Makes the threads' owner. The first standby starts with the first child, not before there is any use for it. */
export function createThreads({
  emit,
  log,
  shell,
  standbys: count = 1,
  admission = createAdmission(),
  zombieAfter = 2_000,
}: ThreadsOptions): Threads {
  const children = new Set<Child>()
  const hard = agentDefaults.memory.hard
  const standbys = createStandbys({
    count,
    start: () => (admission.admit() ? undefined : open(hard)),
    onLost: ({ error }) => emit({ name: 'standby:lost', error: error?.message }),
  })
  let zombies = 0
  let isClosed = false

  function open(limit: number): Thread {
    const thread = startThread({ shell, hard: limit, zombieAfter, log, onReaped: () => reap(thread) })
    // Also one that nobody has taken yet: what is not counted must not be taken off.
    void thread.ended.then(({ code }) => {
      if (code === undefined) zombies += 1
    })
    return thread
  }

  function reap(thread: Thread): void {
    zombies -= 1
    emit({ name: 'thread:reaped', thread: thread.id, zombies })
  }

  function threadFor(spec: AgentSpec): Thread {
    const warm = spec.memory.hard === hard ? standbys.take() : undefined
    if (warm) return warm
    const shortage = admission.admit()
    if (!shortage) return open(spec.memory.hard)
    const { what, usage } = shortage
    throw new ActorError('START_FAILED', shortage.message, { details: { exhausted: what, ...usage } })
  }

  async function watch(child: Child, thread: Thread): Promise<void> {
    const { team, id } = child.spec
    const { code } = await thread.ended
    children.delete(child)
    standbys.refill()
    if (code !== undefined) return
    emit({ name: 'thread:zombie', team, id, incarnation: child.incarnation, thread: thread.id, zombies })
  }

  return {
    start(spec, incarnation) {
      if (isClosed) throw new ActorError('STOPPED', `No thread for "${spec.id}": the threads are closed`)
      const thread = threadFor(spec)
      const child = createChild(thread, spec, incarnation)
      children.add(child)
      // Not before it has loaded: starting a thread takes processor time away from the one that somebody waits for.
      child.onFrame(({ kind }) => void (kind === 'loaded' && setImmediate(standbys.refill)))
      void watch(child, thread)
      return child
    },
    stats: () => ({ children: children.size, standbys: standbys.list(), zombies }),
    async close() {
      isClosed = true
      for (const child of children) child.kill({ exit: 'shutdown', detail: 'the process ends' })
      await Promise.all([standbys.close(), ...[...children].map(({ exited }) => exited)])
    },
  }
}

/**
 * Ends the process. With a thread that cannot be ended process.exit would wait for it for ever, so that only a signal helps;
 * then the exit code is that of SIGKILL. Whatever has to be written out must be.
 */
export function endProcess(code: number, zombies: number): void {
  if (zombies > 0) process.kill(process.pid, 'SIGKILL')
  else process.exit(code)
}
