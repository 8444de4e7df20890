import type { AgentSpec } from '../core/agent.ts'
import { ActorError } from '../core/errors.ts'
import { reasonsNotReady, standsBy } from '../core/readiness.ts'
import { isAlive } from '../core/status.ts'
import type { Parts } from './parts.ts'
import type { ChildView } from './supervisor.ts'
import type { AgentStatus, AgentView, TroupeStatus, Why } from './troupe-types.ts'

const statuses = [
  'starting',
  'running',
  'draining',
  'stopped',
  'waiting',
  'quarantined',
  'standby',
  'paused',
] as const satisfies AgentStatus[]

/** All agents that are wanted here, in the order of the config. */
export function agentViews(parts: Parts): AgentView[] {
  const { running } = parts
  const children = childrenOf(parts)
  return running.desired.teams.flatMap(({ children: specs }) => specs.map((spec) => viewOf(parts, spec, children.get(spec.id))))
}

/** One of them. */
export function agentView(parts: Parts, id: string): AgentView {
  const views = agentViews(parts)
  const view = views.find((one) => one.id === id)
  if (view) return view
  throw new ActorError('ACTOR_NOT_FOUND', `There is no agent "${id}" here, only ${views.map((one) => one.id).join(', ')}`, {
    details: { id },
  })
}

/** One of them with its past. */
export function explain(parts: Parts, view: AgentView): Why {
  const { running, launcher, versions } = parts
  const { id } = view
  const wanted = running.desired.teams.flatMap(({ children }) => children).find((spec) => spec.id === id)
  const child = childrenOf(parts).get(id)
  const life = launcher.life(id)
  const { holdings } = running
  const refusal = holdings.has(id) ? undefined : holdings.refusal(id)
  const isUnanswered = !holdings.has(id) && refusal === undefined
  return {
    ...view,
    file: life?.spec.file ?? wanted?.file ?? '',
    manifest: running.desired.manifests.get(id),
    since: refusal?.since ?? child?.since,
    teamStatus: running.which().find((team) => team.id === view.team)?.status,
    exits: child?.exits ?? 0,
    until: child?.until,
    exit: launcher.exit(id),
    standby: refusal?.why,
    holder: refusal?.holder,
    instead: holdings.instead(id),
    refusal: isUnanswered ? parts.unfit() : refusal?.error,
    wanted: wanted?.version ?? view.version,
    lastGood: wanted && versions.lastGood(id, wanted.version)?.version,
    thread: child && isAlive(child.status) ? life?.stats() : undefined,
  }
}

/** What health checks ask. */
export function statusOf(node: string, phase: TroupeStatus['phase'], parts: Parts | undefined): TroupeStatus {
  const counts = Object.fromEntries(statuses.map((status) => [status, 0])) as Record<AgentStatus, number>
  const views = parts && phase !== 'stopped' ? agentViews(parts) : []
  for (const { status } of views) counts[status] += 1
  const reasons = parts ? reasonsOf(parts, views, phase) : [`the team is ${phase}`]
  const isReady = reasons.length === 0
  return {
    phase,
    node,
    isReady,
    reasons,
    isStandby: isReady && standsBy(views),
    store: {
      kind: parts?.store.kind ?? 'unknown',
      where: parts?.where ?? '',
      isAway: parts?.engine.office.patience.awaySince !== undefined,
    },
    agents: counts,
    zombies: parts ? zombiesOf(parts) : 0,
  }
}

/** Threads that cannot be ended, of actors and of tasks. */
function zombiesOf({ threads, compute }: Parts): number {
  return threads.stats().zombies + compute.stats().zombies
}

function reasonsOf(parts: Parts, views: readonly AgentView[], phase: TroupeStatus['phase']): string[] {
  const { engine, unfit, running, launcher } = parts
  return reasonsNotReady({
    phase,
    isStoreAway: engine.office.patience.awaySince !== undefined,
    isInDoubt: engine.isInDoubt,
    unfit: unfit(),
    isSourceUnread: running.desired.documents?.isKnown === false,
    zombies: zombiesOf(parts),
    parked: running.which().flatMap(({ id, status }) => (status === 'quarantined' ? [id] : [])),
    agents: views.map(({ id, status }) => ({ id, status, wasUp: launcher.wasUp(id) })),
  })
}

function childrenOf({ running }: Parts): Map<string, ChildView> {
  return new Map(running.which().flatMap(({ children }) => children.map((child) => [child.id, child])))
}

function viewOf(parts: Parts, wanted: AgentSpec, child: ChildView | undefined): AgentView {
  const { launcher, versions } = parts
  const { id, team, type } = wanted
  const life = launcher.life(id)
  const report = life?.desk()?.report()
  const heap = child && isAlive(child.status) ? life?.stats()?.heap : undefined
  const words = report && [report.status === 'idle' ? undefined : report.status, report.reason].filter(Boolean)
  const says = words?.join(': ') || undefined
  return {
    team,
    id,
    type,
    status: statusIn(parts, id, child),
    incarnation: child?.incarnation ?? 0,
    version: versions.resolve(wanted).version,
    mailbox: report?.mailbox ?? 0,
    memory: heap && heap.total + heap.external,
    says,
  }
}

function statusIn({ running }: Parts, id: string, child: ChildView | undefined): AgentStatus {
  const { holdings } = running
  // There is nobody that it could be a standby for.
  if (!holdings.has(id)) return holdings.refusal(id)?.why === 'invalid' ? 'stopped' : 'standby'
  if (running.isPaused(id)) return 'paused'
  return child?.status ?? 'stopped'
}
