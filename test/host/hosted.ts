import { fileURLToPath } from 'node:url'
import { type AgentSpec, agentDefaults } from '../../src/core/agent.ts'
import type { Event } from '../../src/core/events.ts'
import type { ThreadFrame } from '../../src/core/frames.ts'
import { defaults, type Restart } from '../../src/core/spec.ts'
import type { Child } from '../../src/host/child.ts'
import { createSupervisor, type Launched, type Supervisor, type SupervisorOptions, type TeamOf } from '../../src/host/supervisor.ts'
import { createThreads, type Threads, type ThreadsOptions } from '../../src/host/threads.ts'
import type { Args } from './actors/wild.ts'

type Outcome = Extract<ThreadFrame, { kind: 'ended' }>['outcome']

const limit = 25_000
const none = { first: 0, max: 0, jitter: 0, reset: Number.POSITIVE_INFINITY }

export const wild = fileURLToPath(new URL('actors/wild.ts', import.meta.url))

/** An agent as OTP has a child: no backoff, no budget of its own. */
export function agent(id: string, { act = {}, ...given }: Partial<AgentSpec> & { act?: Args } = {}): AgentSpec {
  const policy = { ...defaults.child, backoff: none, budget: Number.POSITIVE_INFINITY }
  const what = { type: 'wild', file: wild, args: JSON.stringify(act) }
  return { ...policy, ...agentDefaults, ...what, id, version: '1', team: 'team', ...given }
}

/** Agents as "a b:transient d". */
export function agents(words: string, given: Parameters<typeof agent>[1] = {}): AgentSpec[] {
  return words.split(' ').map((word) => {
    const [id = '', restart] = word.split(':')
    return agent(id, { ...given, ...(restart !== undefined && { restart: restart as Restart }) })
  })
}

export function teamOf(children: readonly AgentSpec[], given: Partial<TeamOf<AgentSpec>> = {}): TeamOf<AgentSpec> {
  return { id: 'team', strategy: 'one_for_one', intensity: { max: 1, within: 5_000 }, children, ...given }
}

/** Writes down what happens, and lets a test wait for it. */
export function createJournal() {
  const events: Event[] = []
  const entries: string[] = []
  const checks = new Set<() => void>()

  function emit(event: Event): void {
    events.push(event)
    const entry = entryOf(event)
    if (entry) entries.push(entry)
    for (const check of checks) check()
  }

  /** Waits until an event was announced, or already has been. */
  async function until(isMet: (event: Event) => boolean): Promise<Event> {
    const { promise, resolve, reject } = Promise.withResolvers<Event>()
    const check = () => {
      const found = events.find(isMet)
      if (found) resolve(found)
    }
    const timer = setTimeout(() => reject(new Error(`It did not happen in ${limit} ms; there was ${JSON.stringify(events)}`)), limit)
    checks.add(check)
    check()
    try {
      return await promise
    } finally {
      clearTimeout(timer)
      checks.delete(check)
    }
  }

  return {
    events,
    emit,
    until,
    /** As "start b 2": its second incarnation is up. */
    untilEntry: (entry: string) => until((event) => 'incarnation' in event && `${entryOf(event)} ${event.incarnation}` === entry),
    /** What has happened since this was last read, in the words of OTP's cases. */
    ev: () => entries.splice(0).join(', '),
  }
}

function entryOf(event: Event): string | undefined {
  if (event.name === 'child:started') return `start ${event.id}`
  if (event.name !== 'child:exited') return undefined
  const { id, exit, intended, detail = '' } = event
  if (intended) return `${detail.startsWith('killed') ? 'kill' : 'stop'} ${id}`
  return `${exit === 'start_failed' || exit === 'start_timeout' ? 'fail' : 'die'} ${id}`
}

export type Journal = ReturnType<typeof createJournal>

/** Threads that write to a journal and end with the test. */
export function openThreads(
  options: Partial<ThreadsOptions> = {},
): Threads & AsyncDisposable & { journal: Journal; lines: Record<string, unknown>[] } {
  const journal = createJournal()
  const lines: Record<string, unknown>[] = []
  const log = (ndjson: string) => {
    for (const line of ndjson.trimEnd().split('\n')) lines.push(JSON.parse(line))
  }
  const threads = createThreads({ emit: journal.emit, log, standbys: 0, ...options })
  return { ...threads, journal, lines, [Symbol.asyncDispose]: threads.close }
}

/** Starts a thread and loads its actor, as the composition does for a supervisor, but without a store. */
export function launchIn(threads: Threads, onStart: (child: Child) => void = () => {}) {
  return (spec: AgentSpec, incarnation: number): Launched => {
    const child = threads.start(spec, incarnation)
    onStart(child)
    const ready = child.load({ state: null, sql: [] }).then(() => 'ready' as const)
    return { begun: Promise.resolve(), ready, exited: child.exited, stop: child.stop, kill: child.kill }
  }
}

let turns = 0

/** Gives a child a message; resolves with the turn's outcome, or never. */
export function turn(child: Child, type: string, body: unknown = null): Promise<Outcome> {
  turns += 1
  const number = turns
  const { promise, resolve } = Promise.withResolvers<Outcome>()
  child.onFrame((frame) => {
    if (frame.kind === 'ended' && frame.turn === number) resolve(frame.outcome)
  })
  const given = { id: `message-${number}`, type, body: JSON.stringify(body), from: 'tester', attempt: 1, priority: 'normal' } as const
  child.post({ kind: 'turn', actor: child.spec.id, turn: number, source: 'message', ...given })
  return promise
}

/** Does to a child what does not come back. */
export function hit(child: Child, type: string, body: unknown = null): Promise<Awaited<Child['exited']>> {
  void turn(child, type, body)
  return child.exited
}

export type Hosted = AsyncDisposable &
  Journal & { supervisor: Supervisor<AgentSpec>; threads: Threads; child(id: string): Child; started: readonly Child[] }

/** A team of real threads under a supervisor. */
export function hostTeam(
  team: TeamOf<AgentSpec>,
  { threads: given, ...options }: Partial<SupervisorOptions<AgentSpec>> & { threads?: Partial<ThreadsOptions> } = {},
): Hosted {
  const threads = openThreads(given)
  const started: Child[] = []
  const { journal } = threads
  const supervisor = createSupervisor({
    team,
    launch: launchIn(threads, (child) => started.push(child)),
    emit: journal.emit,
    random: () => 0,
    ...options,
  })
  return {
    ...journal,
    supervisor,
    threads,
    started,
    child(id) {
      const found = started.findLast(({ spec }) => spec.id === id)
      if (!found) throw new Error(`${id} was never started`)
      return found
    },
    async [Symbol.asyncDispose]() {
      supervisor.kill()
      await threads.close()
    },
  }
}
