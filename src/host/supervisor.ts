import type { Event } from '../core/events.ts'
import type { Exit } from '../core/exit.ts'
import { type History, standingOf } from '../core/history.ts'
import { longestTimer } from '../core/longest-timer.ts'
import type { ChildSpec, TeamSpec } from '../core/spec.ts'
import type { Status } from '../core/status.ts'
import type { Supervision } from '../core/supervision.ts'
import { reduce } from '../core/supervisor.ts'
import { createTeam, type Effect, type Input, type Result, type Team } from '../core/team.ts'
import { createAlarms } from './alarms.ts'
import { wallNow } from './clock.ts'

/** One incarnation as its supervisor sees it. */
export type Launched = {
  /** It has its thread; what it waited for until then is not of its making. */
  readonly begun: Promise<void>
  /** Up, or nothing to do. Rejects when it cannot start; it is then killed, and its end is one that counts. */
  readonly ready: Promise<'ready' | 'ignored'>
  /** Resolves whatever happens, and soon after a kill. After `ignored` it means nothing. */
  readonly exited: Promise<{ readonly exit: Exit; readonly detail?: string | undefined }>
  /** Asks it to stop; it is killed after `shutdown` ms. */
  stop(shutdown: number): void
  kill(): void
}

/** A team of children that the host knows more of than the supervisor has to. */
export type TeamOf<Spec extends ChildSpec> = TeamSpec & { readonly children: readonly Spec[] }

export type SupervisorOptions<Spec extends ChildSpec> = {
  readonly team: TeamOf<Spec>
  /** As it was saved; a clean one by default. */
  readonly history?: History | undefined
  /** Starts an incarnation; what it throws is a failed start. */
  readonly launch: (spec: Spec, incarnation: number) => Launched
  /** Gets the history whenever it has changed: plain JSON, to be given back when the process starts again. */
  readonly saveHistory?: (history: History) => void
  readonly emit: (event: Event) => void
  /** Gets the state after each step. */
  readonly onStep?: (team: Team) => void
  readonly random?: () => number
  /** Whether a child is paused, also where this supervisor has not been told: it may be new. */
  readonly isHeld?: (id: string) => boolean
}

/** A child as people want to see it. Times are wall-clock ms. */
export type ChildView = {
  readonly id: string
  readonly status: Status
  /** When it came to that status, in this process. */
  readonly since: number
  readonly incarnation: number
  /** In a row, without a healthy period between them. */
  readonly exits: number
  /** When its wait or its quarantine is over; null: not before a command or a new version. */
  readonly until: number | null | undefined
}

/** A supervisor that runs: requests are answered once the child or team is where it should be. */
export type Supervisor<Spec extends ChildSpec> = {
  /** Starts the children one after the other; one that fails takes the team down again. */
  start(): Promise<Result>
  /** Stops the children from last to first; whoever is left after `grace` ms is killed. */
  stop(options?: { readonly grace?: number }): Promise<void>
  /** Ends all children at once. */
  kill(): void
  /** Makes the team what the spec says; answered when it is decided, not when it is done. `kept`: what is remembered of those that come. */
  apply(team: TeamOf<Spec>, kept?: ReadonlyMap<string, Supervision>): Promise<Result>
  /** Stops a child and keeps it stopped until a restart. */
  pause(id: string): Promise<Result>
  /** Starts a child that is down, with nothing held against it: the end of a pause or a quarantine. */
  restart(id: string): Promise<Result>
  /** Stops a child, whatever it is doing, and starts it again, also one that is paused; answered when it is decided, not when it is done. */
  renew(id: string): Promise<Result>
  /** What a child has in memory counts no more: it starts again, and nobody is blamed. */
  outdated(id: string): void
  which(): ChildView[]
  readonly history: History
  /** Resolves when the team has ended, by itself or because it was stopped. */
  readonly ended: Promise<Exit>
}

type Of<Kind extends Effect['kind']> = Extract<Effect, { kind: Kind }>

/** Drives the supervisor of one team: its decisions are core's, here they meet threads and timers. */
export function createSupervisor<Spec extends ChildSpec>(options: SupervisorOptions<Spec>): Supervisor<Spec> {
  const { launch, saveHistory, emit, onStep, random = Math.random, isHeld = () => false } = options
  let team = createTeam(options.team, options.history)
  let requests = 0
  const inputs: Input[] = []
  let isStepping = false
  const launched = new Map<string, { readonly incarnation: number; readonly child: Launched }>()
  const waiting = new Map<string, (result: Result) => void>()
  let statuses = new Map<string, Pick<ChildView, 'status' | 'incarnation' | 'since'>>()
  const alarms = createAlarms(wallNow, (id, at) => send({ kind: 'fired', id, at }))
  const ended = Promise.withResolvers<Exit>()

  /** Takes inputs one after the other, also those that come of what one makes the host do. */
  function send(input: Input): void {
    inputs.push(input)
    if (isStepping) return
    isStepping = true
    try {
      for (let next = inputs.shift(); next; next = inputs.shift()) step(next)
    } finally {
      isStepping = false
    }
  }

  function step(input: Input): void {
    const before = team.history
    const next = reduce(team, input, { now: wallNow(), random: random() })
    team = next.team
    noteStatuses()
    if (team.history !== before) saveHistory?.(team.history)
    for (const effect of next.effects) perform(effect)
    onStep?.(team)
  }

  function noteStatuses(): void {
    const at = Math.round(wallNow())
    const entries = team.children.map(({ spec: { id }, status, incarnation }) => {
      const noted = statuses.get(id)
      const isSame = noted?.status === status && noted.incarnation === incarnation
      return [id, isSame ? noted : { status, incarnation, since: at }] as const
    })
    statuses = new Map(entries)
  }

  function perform(effect: Effect): void {
    switch (effect.kind) {
      case 'startChild':
        return startChild(effect)
      case 'stopChild':
        return childOf(effect)?.stop(effect.shutdown)
      case 'killChild':
        return childOf(effect)?.kill()
      case 'setTimer':
        return alarms.set(effect.id, effect.at)
      case 'clearTimer':
        return alarms.clear(effect.id)
      case 'emit':
        return emit(effect.event)
      case 'reply':
        waiting.get(effect.to)?.(effect.result)
        waiting.delete(effect.to)
        return
      case 'exit':
        return ended.resolve(effect.exit)
    }
  }

  function startChild({ id, incarnation, spec }: Of<'startChild'>): void {
    const who = { id, incarnation }
    try {
      const child = launch(spec as Spec, incarnation) // core gives back the specs that it was given
      launched.set(id, { incarnation, child })
      void follow(who, child)
    } catch (error) {
      send({ kind: 'exited', ...who, exit: 'start_failed', detail: textOf(error) })
    }
  }

  async function follow(who: { id: string; incarnation: number }, child: Launched): Promise<void> {
    let failure: string | undefined
    void child.begun.then(() => send({ kind: 'begun', ...who }))
    const started = child.ready.then(
      (outcome) => send({ kind: outcome, ...who }),
      (error) => {
        failure = textOf(error)
        child.kill()
      },
    )
    const { exit, detail } = await child.exited
    if (launched.get(who.id)?.child === child) launched.delete(who.id)
    const reason = failure ?? detail
    send({ kind: 'exited', ...who, exit, ...(reason !== undefined && { detail: reason }) })
    await started
  }

  function childOf({ id, incarnation }: Of<'stopChild' | 'killChild'>): Launched | undefined {
    const found = launched.get(id)
    return found?.incarnation === incarnation ? found.child : undefined
  }

  function request(build: (to: string) => Input): Promise<Result> {
    requests += 1
    const to = String(requests)
    const { promise, resolve } = Promise.withResolvers<Result>()
    waiting.set(to, resolve)
    send(build(to))
    return promise
  }

  const ask = (kind: 'pause' | 'restart' | 'renew') => (id: string) => request((to) => ({ kind, to, id }))

  return {
    start: () => request((to) => ({ kind: 'start', to })),
    async stop({ grace = Number.POSITIVE_INFINITY } = {}) {
      const limit = Number.isFinite(grace) ? setTimeout(() => send({ kind: 'kill' }), Math.min(grace, longestTimer)) : undefined
      await request((to) => ({ kind: 'stop', to }))
      clearTimeout(limit)
    },
    kill: () => send({ kind: 'kill' }),
    apply: (spec, kept) =>
      request((to) => ({ kind: 'apply', to, spec, held: spec.children.map(({ id }) => id).filter(isHeld), ...(kept && { kept }) })),
    pause: ask('pause'),
    restart: ask('restart'),
    renew: ask('renew'),
    outdated: (id) => send({ kind: 'outdated', id }),
    which: () =>
      team.children.map((child) => {
        const { since = Math.round(wallNow()) } = statuses.get(child.spec.id) ?? {}
        return { ...viewOf(child), since, ...standingIn(team.history, child.spec) }
      }),
    get history() {
      return team.history
    },
    ended: ended.promise,
  }
}

function viewOf({ spec, status, incarnation, until }: Team['children'][number]) {
  const isDue = status === 'waiting' || status === 'quarantined'
  return { id: spec.id, status, incarnation, until: isDue ? (until ?? null) : undefined }
}

function standingIn(history: History, spec: ChildSpec): { exits: number } {
  return { exits: standingOf(history, spec).exits }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
