import type { MessagePort } from 'node:worker_threads'
import type { AgentSpec, Manifest } from '../core/agent.ts'
import type { ExitRecord } from '../core/ending.ts'
import { ActorError } from '../core/errors.ts'
import type { Exit } from '../core/exit.ts'
import { longestTimer } from '../core/longest-timer.ts'
import type { Job } from '../core/message.ts'
import { toErrorData } from '../worker/error-data.ts'
import type { Child, ChildStats, Exited } from './child.ts'
import { createDesk, type Desk, type Office } from './desk.ts'
import type { Claim } from './holdings.ts'
import type { Launched } from './supervisor.ts'

/** The latest incarnation of an agent, from the wish to start it to its last commit. */
export type Life = {
  readonly spec: AgentSpec
  readonly incarnation: number
  /** There once it has a thread. */
  desk(): Desk | undefined
  stats(): ChildStats | undefined
  /** Resolves when its thread is gone and everything that ended is committed. */
  readonly over: Promise<void>
}

export type LauncherOptions = {
  readonly threads: { start(spec: AgentSpec, incarnation: number): Child }
  readonly office: Office
  readonly manifestOf: (file: string) => Promise<Manifest>
  /** Undefined: the agent is another process's now. */
  readonly claim: (spec: AgentSpec) => Promise<Claim | undefined>
  /** Gives it a port to the HTTP pool, for as long as it runs. */
  readonly connect?: ((spec: AgentSpec, manifest: Manifest, exited: Promise<unknown>) => MessagePort) | undefined
  /** A desk is open: its lease is renewed, and jobs of these types may be claimed for it. */
  readonly onOpen: (desk: Desk, spec: AgentSpec, manifest: Manifest) => void
  /** Its desk takes no more. */
  readonly onClosing: (desk: Desk) => void
  readonly onClosed: (desk: Desk, spec: AgentSpec) => void
  readonly onUp: (spec: AgentSpec) => void
  readonly onNotOurs: (id: string) => void
  readonly onRestart: (id: string) => void
  readonly onJobsLeft: (jobs: readonly Job[]) => void
  readonly onWorthClaiming: () => void
}

export type Launcher = {
  launch(spec: AgentSpec, incarnation: number): Launched
  life(id: string): Life | undefined
  lives(): readonly Life[]
  exit(id: string): Exited['record'] | undefined
  /** Whether any incarnation of it has come up in this process. */
  wasUp(id: string): boolean
  /** Resolves when the agent's latest incarnation is over; at once when there is none. */
  ended(id: string): Promise<void>
  /** Keeps nothing of an agent that has ended and is not wanted any more. */
  forget(id: string): void
  /** Resolves when this version is up, rejects when its start has failed or was not even tried in so many ms. */
  settled(id: string, version: string, limit: number): Promise<void>
}

/** Parts of `shutdown` in which what runs may end by itself; the rest is for what heeds its signal, and for stop. */
const unhurried = 0.6

const killedWhile = {
  starting: 'killed before it was up',
  up: 'killed',
  stopping: 'killed: it did not stop in time',
  killed: 'killed',
} as const

type Watcher = { readonly version: string; resolve(): void; reject(error: unknown): void }

/** Starts incarnations: lease, thread, init, and only then the next message. */
export function createLauncher(options: LauncherOptions): Launcher {
  const {
    threads,
    office,
    manifestOf,
    claim,
    connect,
    onOpen,
    onClosing,
    onClosed,
    onUp,
    onNotOurs,
    onRestart,
    onJobsLeft,
    onWorthClaiming,
  } = options
  const lives = new Map<string, Life>()
  const exits = new Map<string, Exited['record']>()
  const watchers = new Map<string, Watcher[]>()
  const ups = new Set<string>()

  function launch(spec: AgentSpec, incarnation: number): Launched {
    const { id } = spec
    const before = lives.get(id)?.over
    const begun = Promise.withResolvers<void>()
    const killed = Promise.withResolvers<void>()
    const over = Promise.withResolvers<void>()
    let phase: 'starting' | 'up' | 'stopping' | 'killed' = 'starting'
    let child: Child | undefined
    let desk: Desk | undefined

    async function begin(): Promise<'ready' | 'ignored'> {
      await before // what it had to commit comes before what it begins with
      const manifest = await manifestOf(spec.file)
      const given = phase === 'killed' ? undefined : await claim(spec)
      if (phase !== 'starting') throw new ActorError('STOPPED', `"${id}" was stopped before it was up`)
      if (!given) {
        onNotOurs(id)
        return 'ignored'
      }
      const thread = threads.start(spec, incarnation)
      child = thread
      begun.resolve()
      const opened = createDesk({
        spec,
        child: thread,
        ...given,
        sql: manifest.sql,
        http: connect?.(spec, manifest, thread.exited),
        office,
        // A restart that an earlier incarnation asks for is not about this one.
        onRestart: () => lives.get(id) === life && onRestart(id),
        onJobsLeft,
        onWorthClaiming,
      })
      desk = opened
      onOpen(opened, spec, manifest)
      await opened.start()
      if (phase === 'starting') phase = 'up'
      ups.add(id)
      onUp(spec)
      return 'ready'
    }

    /** One that is asked to stop before it is up does not fail to start: it has its time to stop, as any other. */
    async function comeUp(): Promise<'ready' | 'ignored'> {
      try {
        return await begin()
      } catch (error) {
        if (phase === 'stopping') await child?.exited
        throw error
      }
    }

    function refused(error: unknown): 'refused' {
      if (!child && phase === 'starting') exits.set(id, withoutThread(spec, incarnation, error))
      return 'refused'
    }

    /** With the store away its commits wait, and so does its restart; but who is killed is gone at once. */
    async function live(): Promise<{ exit: Exit; detail?: string }> {
      const outcome = await Promise.race([ready.catch(refused), killed.promise])
      if (!child) {
        if (outcome === 'refused') await killed.promise
        over.resolve(before) // which may have commits left: the next one waits for them as well
        return { exit: 'shutdown' }
      }
      const { exit, detail, record } = await child.exited
      exits.set(id, record)
      if (desk) onClosing(desk)
      void finish(desk)
      await Promise.race([over.promise, killed.promise])
      return { exit, detail }
    }

    async function finish(closing: Desk | undefined): Promise<void> {
      await closing?.settled
      if (closing) onClosed(closing, spec)
      over.resolve()
    }

    async function retire(shutdown: number): Promise<void> {
      if (phase === 'killed') return
      phase = 'stopping'
      const abortAfter = Number.isFinite(shutdown) ? shutdown * unhurried : Number.POSITIVE_INFINITY
      if (desk) onClosing(desk)
      desk?.drain({ abortAfter })
      await desk?.settled
      child?.stop()
    }

    const life: Life = { spec, incarnation, desk: () => desk, stats: () => child?.stats(), over: over.promise }
    lives.set(id, life)
    const ready = comeUp()
    tell(spec, ready)
    return {
      begun: begun.promise,
      ready,
      exited: live(),
      stop: (shutdown) => void retire(shutdown),
      kill() {
        // Whoever wanted its end is not the message's fault.
        child?.kill({ exit: 'shutdown', detail: killedWhile[phase] })
        phase = 'killed'
        killed.resolve()
      },
    }
  }

  /** Tells those who wait for this version how its start went. */
  function tell({ id, version }: AgentSpec, ready: Promise<unknown>): void {
    const waiting = watchers.get(id) ?? []
    const mine = waiting.filter((watcher) => watcher.version === version)
    watchers.set(
      id,
      waiting.filter((watcher) => watcher.version !== version),
    )
    for (const { resolve, reject } of mine) ready.then(resolve, reject)
  }

  return {
    launch,
    life: (id) => lives.get(id),
    lives: () => [...lives.values()],
    exit: (id) => exits.get(id),
    wasUp: (id) => ups.has(id),
    ended: (id) => lives.get(id)?.over ?? Promise.resolve(),
    forget(id) {
      // Agents of documents may come and go under new ids for as long as the process runs.
      for (const known of [lives, exits, ups]) known.delete(id)
      if (watchers.get(id)?.length === 0) watchers.delete(id)
    },
    settled(id, version, limit) {
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      const watcher = { version, resolve, reject }
      watchers.set(id, [...(watchers.get(id) ?? []), watcher])
      const giveUp = () => {
        watchers.set(
          id,
          (watchers.get(id) ?? []).filter((other) => other !== watcher),
        )
        reject(new ActorError('START_TIMEOUT', `"${id}" did not come up within ${limit} ms`, { details: { id, version } }))
      }
      const timer = setTimeout(giveUp, Math.min(limit, longestTimer)).unref() // nobody waits for a start that was refused
      return promise.finally(() => clearTimeout(timer))
    },
  }
}

/** Of a start that got as far as no thread, such as with the store away. */
function withoutThread({ team, id, version }: AgentSpec, incarnation: number, thrown: unknown): ExitRecord {
  const error = toErrorData(thrown)
  return { team, id, version, incarnation, exit: 'start_failed', detail: error.message, error, turns: [], at: Date.now(), after: 0 }
}
