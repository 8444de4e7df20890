import type { AgentSpec } from '../core/agent.ts'
import { ActorError } from '../core/errors.ts'
import type { Event } from '../core/events.ts'
import type { History } from '../core/history.ts'
import type { Status } from '../core/status.ts'
import { readSupervision, type Supervision, supervisionOf } from '../core/supervision.ts'
import { changesOf } from './changes.ts'
import { wallNow } from './clock.ts'
import type { Desired, DesiredTeam } from './desired.ts'
import { createHoldings, type Holdings, type Refused, type Taken } from './holdings.ts'
import type { Launcher } from './launch.ts'
import { createPauses } from './pauses.ts'
import { requireDone } from './require-done.ts'
import { createRoot, type Root } from './root.ts'
import { createSerial } from './serial.ts'
import type { ChildView } from './supervisor.ts'
import type { Changes } from './troupe-types.ts'
import type { Versions } from './versions.ts'

/** The teams of this process: what is wanted, what of it this process may run, and the supervisors that run it. */
export type Running = {
  readonly holdings: Holdings
  readonly desired: Desired
  /** Whether there is nothing left to take. */
  isComplete(): boolean
  which(): ReturnType<Root<AgentSpec>['which']>
  /** Takes what is free, and makes the teams what they should be. */
  arrange(): Promise<void>
  /** Resolves when every agent that this process has is up, waits for its next try, or is parked. */
  up(): Promise<void>
  /** What a change to this would do. */
  compare(desired: Desired): Changes
  change(desired: Desired): Promise<Changes>
  restart(id: string, options: { readonly lastGood: boolean }): Promise<void>
  pause(id: string): Promise<void>
  resume(id: string): Promise<void>
  isPaused(id: string): boolean
  /** What this process has in memory of an agent counts no more: it starts again, and nobody is blamed. */
  outdated(id: string): void
  lose(id: string): void
  stop(options: { readonly grace: number }): Promise<void>
  kill(): void
}

export type RunningOptions = {
  readonly desired: Desired
  readonly versions: Versions
  readonly launcher: Launcher
  readonly take: (specs: readonly AgentSpec[], stamp: number) => Promise<readonly (Taken | undefined)[]>
  readonly saveSupervision: (id: string, supervision: Supervision) => void
  /** Gives an agent back that is in no config any more. */
  readonly retire: (id: string, stamp: number) => Promise<void>
  /** An agent is in quarantine or paused: whoever waits for it need not. */
  readonly onDown: (id: string) => void
  /** Agents came that were another process's, or nobody's. */
  readonly onTaken: (ids: readonly string[]) => void
  readonly emit: (event: Event) => void
  readonly onGiveUp: () => void
}

export function createRunning(options: RunningOptions): Running {
  const { versions, launcher, take, saveSupervision, retire, onDown, onTaken, emit, onGiveUp } = options
  let { desired } = options
  const { config: started } = desired
  /** As it was saved last. */
  const kept = new Map<string, Supervision>()
  /** What came with leases, for the supervisors of their agents. */
  let arrived = new Map<string, Supervision>()
  const paused = createPauses()
  const applied = new Set<string>()
  const serial = createSerial()
  const looking = new Set<() => void>()
  let root: Root<AgentSpec> | undefined
  let isEnding = false

  const resolved = () => desired.teams.map((team) => ({ ...team, children: team.children.map(versions.resolve) }))
  const agents = () => resolved().flatMap(({ children }) => children)

  const holdings = createHoldings({
    wanted: agents,
    instances: () => desired.instances,
    take: (specs) => take(specs, desired.stamp),
    onTaken({ id }, { supervision }) {
      const read = readSupervision(supervision, wallNow())
      kept.set(id, read)
      arrived.set(id, read)
    },
    emit,
  })

  /** The teams as this process may run them; one that has run stays, also without agents. */
  function ours(): DesiredTeam[] {
    const teams = resolved().map((team) => ({ ...team, children: team.children.filter(({ id }) => holdings.has(id)) }))
    return teams.filter(({ id, children }) => children.length > 0 || applied.has(id))
  }

  function openRoot(): Root<AgentSpec> {
    return createRoot<AgentSpec>({
      launch: launcher.launch,
      saveHistory: remember,
      emit(event) {
        emit(event)
        // Whatever it says: something has changed.
        for (const { id, status } of children()) if (status === 'quarantined') onDown(id)
        for (const look of looking) look()
      },
      onGiveUp,
      isHeld: paused.has,
    })
  }

  function remember(team: string, history: History): void {
    const children = desired.teams.find(({ id }) => id === team)?.children ?? []
    for (const { id } of children) {
      const supervision = supervisionOf(history, id)
      if (!holdings.has(id) || JSON.stringify(kept.get(id)) === JSON.stringify(supervision)) continue
      kept.set(id, supervision)
      saveSupervision(id, supervision)
    }
  }

  async function apply(): Promise<void> {
    const teams = ours()
    // Leases that were on their way may still come.
    if (isEnding || (teams.length === 0 && root === undefined)) return
    root ??= openRoot()
    for (const { id } of teams) applied.add(id)
    const coming = arrived
    arrived = new Map()
    await root.apply(teams, coming)
  }

  async function arrange(): Promise<void> {
    const taken = await holdings.takeMissing()
    if (taken.length === 0) return
    await apply()
    onTaken(taken)
  }

  async function change(next: Desired): Promise<Changes> {
    const changes = compare(next)
    const gone = holdings.ids().filter((id) => !next.teams.some(({ children }) => children.some((child) => child.id === id)))
    // A reload to an older copy of a file is a newer wish all the same: going by its age this process could not have its own agents.
    desired = { ...next, stamp: Math.max(desired.stamp, next.stamp) }
    for (const id of [...applied]) if (!next.teams.some((team) => team.id === id)) applied.delete(id)
    await holdings.takeMissing()
    await apply()
    for (const id of gone) void giveUp(id)
    return changes
  }

  function compare(next: Desired): Changes {
    return changesOf(desired, next, versions, started)
  }

  const children = () => root?.which().flatMap((team) => team.children) ?? []

  function isSettled(): boolean {
    const teams = root?.which() ?? []
    return teams.every(
      ({ status, children }) =>
        isThrough(status) || (status === 'running' && children.every((child) => paused.has(child.id) || isTried(child))),
    )
  }

  function up(): Promise<void> {
    if (isSettled()) return Promise.resolve()
    const { promise, resolve } = Promise.withResolvers<void>()
    const look = () => isSettled() && resolve()
    looking.add(look)
    return promise.finally(() => looking.delete(look))
  }

  /** Once an agent that is not wanted any more has stopped, its lease ends for good. */
  async function giveUp(id: string): Promise<void> {
    await launcher.ended(id)
    if (agents().some((spec) => spec.id === id)) return // it was wanted again in the meantime
    paused.end(id)
    holdings.drop(id)
    kept.delete(id)
    launcher.forget(id)
    await retire(id, desired.stamp)
  }

  function specOf(id: string): AgentSpec {
    const spec = desired.teams.flatMap(({ children }) => children).find((child) => child.id === id)
    if (spec) return spec
    const known = agents().map((one) => one.id)
    throw new ActorError('ACTOR_NOT_FOUND', `There is no agent "${id}" here, only ${known.join(', ')}`, { details: { id } })
  }

  function requireRoot(id: string): Root<AgentSpec> {
    specOf(id)
    if (root && holdings.has(id)) return root
    throw new ActorError('ACTOR_DOWN', `"${id}" ${whyNotHere(holdings.refusal(id))}`, { details: { id } })
  }

  async function restart(id: string, { lastGood }: { readonly lastGood: boolean }): Promise<void> {
    const owner = requireRoot(id)
    const wanted = specOf(id)
    const before = versions.resolve(wanted).version
    if (!lastGood) versions.goOn(id)
    else if (!versions.goBack(id, wanted.version)) {
      throw new ActorError('CONFIG_INVALID', `"${id}" has no version to go back to`, { details: { id } })
    }
    paused.end(id)
    const spec = versions.resolve(wanted)
    const isSame = spec.version === before
    const isParked = owner.which().some((team) => team.id === wanted.team && team.status === 'quarantined')
    if (isSame && isParked) return requireDone(id, await owner.restart(wanted.team))
    await startAgain(spec, async () => (isSame ? requireDone(id, await owner.renew(id)) : serial.run(apply)))
  }

  async function resume(id: string): Promise<void> {
    if (!paused.has(id)) return
    const owner = requireRoot(id)
    await startAgain(versions.resolve(specOf(id)), async () => requireDone(id, await paused.resume(id, owner)))
  }

  /** Waits for a start that somebody asked for, and tells of one that fails; it is tried again like any other. */
  async function startAgain({ id, version, shutdown, startTimeout }: AgentSpec, begin: () => Promise<void>): Promise<void> {
    const up = launcher.settled(id, version, shutdown + startTimeout)
    await Promise.all([up, begin()])
  }

  return {
    holdings,
    get desired() {
      return desired
    },
    isComplete: () => root !== undefined && agents().every(({ id }) => holdings.has(id)),
    which: () => root?.which() ?? [],
    arrange: () => serial.run(arrange),
    up,
    compare,
    change: (next) => serial.run(() => change(next)),
    restart,
    async pause(id) {
      requireDone(id, await paused.pause(id, requireRoot(id)))
      onDown(id)
    },
    resume,
    isPaused: (id) => paused.has(id) && children().find((child) => child.id === id)?.status === 'stopped',
    outdated(id) {
      root?.outdated(id)
    },
    lose(id) {
      holdings.lose(id)
      void serial.run(apply)
    },
    async stop({ grace }) {
      isEnding = true
      await root?.stop({ grace })
    },
    kill() {
      isEnding = true
      root?.kill()
    },
  }
}

function whyNotHere(refusal: Refused | undefined): string {
  if (refusal === undefined) return 'does not run here: its lease was not given to this process so far'
  const { why, holder, error } = refusal
  if (why === 'invalid') return `does not run: the store does not take its lease: ${error}`
  return why === 'older' ? 'was last run with a newer config' : `runs in another process: ${holder ?? 'unknown'}`
}

function isThrough(status: Status): boolean {
  return status === 'quarantined' || status === 'stopped'
}

function isTried({ status, incarnation }: ChildView): boolean {
  return status === 'running' || status === 'waiting' || status === 'quarantined' || (status === 'stopped' && incarnation > 0)
}
