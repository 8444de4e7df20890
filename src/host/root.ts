import type { Event } from '../core/events.ts'
import { clean, type History } from '../core/history.ts'
import { exitCode, rootSpec } from '../core/root.ts'
import { type ChildSpec, faultsOf, type TeamSpec } from '../core/spec.ts'
import type { Status } from '../core/status.ts'
import { recall, type Supervision } from '../core/supervision.ts'
import type { Result } from '../core/team.ts'
import { type ChildView, createSupervisor, type Launched, type Supervisor, type SupervisorOptions, type TeamOf } from './supervisor.ts'

export type RootOptions<Spec extends ChildSpec> = Pick<SupervisorOptions<Spec>, 'launch' | 'random' | 'isHeld'> & {
  readonly emit: (event: Event) => void
  readonly saveHistory?: (team: string, history: History) => void
  /** Every team has given up: the process has nothing left to do and should end with exit code 1. */
  readonly onGiveUp: () => void
}

export type TeamView = { readonly id: string; readonly status: Status; readonly children: readonly ChildView[] }

/** The supervisor of all teams. Ids of agents are unique among all teams, and a command may name a team as well. */
export type Root<Spec extends ChildSpec> = {
  /**
   * Makes the teams what the specs say; boot is this from nothing. With a fault in any of them, nothing changes. `kept`: what was
   * saved of agents that come, by id.
   */
  apply(teams: readonly TeamOf<Spec>[], kept?: ReadonlyMap<string, Supervision>): Promise<Readonly<Record<string, Result>>>
  stop(options?: { readonly grace?: number }): Promise<void>
  /** Ends everything at once. */
  kill(): void
  pause(id: string): Promise<Result>
  restart(id: string): Promise<Result>
  renew(id: string): Promise<Result>
  outdated(id: string): void
  which(): TeamView[]
}

/**
 * Runs teams side by side: one that gives up is parked, the others go on. The history of the root itself is not kept: the start
 * of a process is the command that tries a parked team again, and the team's own history says what its agents have against them.
 */
export function createRoot<Spec extends ChildSpec>(options: RootOptions<Spec>): Root<Spec> {
  const { launch, emit, saveHistory, onGiveUp, random, isHeld } = options
  const histories = new Map<string, History>()
  const specs = new Map<string, TeamOf<Spec>>()
  /** How often a team that was down has changed: another version is what makes the root try it again. */
  const versions = new Map<string, number>()
  /** The latest supervisor of each team, also when it has ended. */
  const supervisors = new Map<string, Supervisor<Spec>>()
  let code: 0 | 1 | undefined

  const root = createSupervisor({
    team: rootSpec([]),
    launch: ({ id }) => launchTeam(id),
    emit,
    onStep(team) {
      const before = code
      code = exitCode(team)
      if (code === 1 && before === undefined) onGiveUp()
    },
  })
  const up = root.start()

  /** Boots a team empty and applies its spec, so that an agent that cannot start is retried and parked alone. */
  function launchTeam(id: string): Launched {
    const spec = specs.get(id)
    if (!spec) throw new Error(`Team "${id}" is not in any spec`)
    const supervisor = createSupervisor<Spec>({
      team: { ...spec, children: [] },
      history: histories.get(id),
      launch,
      emit,
      ...(random && { random }),
      ...(isHeld && { isHeld }),
      saveHistory(history) {
        histories.set(id, history)
        saveHistory?.(id, history)
      },
    })
    supervisors.set(id, supervisor)
    return {
      begun: Promise.resolve(),
      ready: boot(supervisor, () => specs.get(id) ?? spec),
      exited: supervisor.ended.then((exit) => {
        // A new supervisor has its whole budget, as in OTP; what each agent has against it stays.
        histories.set(id, { ...(histories.get(id) ?? clean), restarts: [] })
        return { exit, detail: `team ${id} ${exit === 'gave_up' ? 'is over its budget' : 'was stopped'}` }
      }),
      stop: () => void supervisor.stop(),
      kill: supervisor.kill,
    }
  }

  async function applyTo(spec: TeamOf<Spec>, kept: ReadonlyMap<string, Supervision>): Promise<Result> {
    const known = specs.get(spec.id)
    specs.set(spec.id, spec)
    const result = await supervisors.get(spec.id)?.apply(spec, kept)
    if (result && !isDown(result)) return result
    histories.set(spec.id, recall(histories.get(spec.id) ?? clean, kept))
    if (known && isChanged(known, spec)) versions.set(spec.id, (versions.get(spec.id) ?? 0) + 1)
    return { kind: 'planned', plan: { stop: [], start: spec.children } }
  }

  /** Who has to take up a command about a team or an agent. */
  function ownerOf(id: string): Pick<Supervisor<Spec>, 'pause' | 'restart' | 'renew' | 'outdated'> {
    const teams = root.which().flatMap((team) => supervisors.get(team.id) ?? [])
    return teams.find((supervisor) => supervisor.which().some((child) => child.id === id)) ?? root
  }

  return {
    async apply(teams, kept = new Map()) {
      await up
      const faults = teams.flatMap(faultsOf)
      if (faults.length > 0) return Object.fromEntries(teams.map(({ id }) => [id, { kind: 'invalid', faults }]))
      const results = await Promise.all(teams.map(async (spec) => [spec.id, await applyTo(spec, keptOf(spec, kept))] as const))
      await root.apply(rootSpec(teams.map(({ id }) => ({ id, version: String(versions.get(id) ?? 0) }))))
      return Object.fromEntries(results)
    },
    stop: root.stop,
    kill: root.kill,
    pause: (id) => ownerOf(id).pause(id),
    restart: (id) => ownerOf(id).restart(id),
    renew: (id) => ownerOf(id).renew(id),
    outdated: (id) => ownerOf(id).outdated(id),
    which: () => root.which().map(({ id, status }) => ({ id, status, children: supervisors.get(id)?.which() ?? [] })),
  }
}

async function boot<Spec extends ChildSpec>(supervisor: Supervisor<Spec>, spec: () => TeamOf<Spec>): Promise<'ready'> {
  await supervisor.start()
  // It may have changed meanwhile.
  await supervisor.apply(spec())
  return 'ready'
}

function isDown(result: Result): boolean {
  return result.kind === 'refused' && result.why === 'team_down'
}

function keptOf({ children }: TeamSpec, kept: ReadonlyMap<string, Supervision>): ReadonlyMap<string, Supervision> {
  return new Map([...kept].filter(([id]) => children.some((child) => child.id === id)))
}

/** Whether a team is not what it was: its children are what their versions say. */
function isChanged(before: TeamSpec, after: TeamSpec): boolean {
  const content = ({ strategy, intensity, children }: TeamSpec) => [strategy, intensity, children.map(({ id, version }) => [id, version])]
  return JSON.stringify(content(before)) !== JSON.stringify(content(after))
}
