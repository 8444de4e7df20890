import { join, resolve } from 'node:path'
import type { AgentSpec } from '../core/agent.ts'
import type { Event } from '../core/events.ts'
import { createCompute } from '../services/compute.ts'
import { createHttpPool } from '../services/http.ts'
import { rightsOf, withKeys } from '../services/http-policy.ts'
import { createLlm } from '../services/llm.ts'
import { llmEnvironment } from '../sources/llm-environment.ts'
import type { Wanted } from '../sources/source.ts'
import { openHints } from '../store/hints.ts'
import { type Backend, storeOver } from '../store/open.ts'
import type { RealtimeEvent } from '../store/realtime.ts'
import type { Health, Store } from '../store/store.ts'
import { createAlarm, systemClock } from './clock.ts'
import { pruneVersions } from './code.ts'
import { type DesiredOptions, desire } from './desired.ts'
import { createEngine, type Engine } from './engine.ts'
import type { Taken } from './holdings.ts'
import { createLauncher, type Launcher } from './launch.ts'
import { openConfigured, openFolder } from './open.ts'
import { createOutside } from './outside.ts'
import type { createProbe } from './probe.ts'
import { createRunning, type Running } from './running.ts'
import { writeShell } from './shell.ts'
import { createThreads, type Threads } from './threads.ts'
import type { TroupeOptions } from './troupe-types.ts'
import { createUpkeep } from './upkeep.ts'
import { openVersions, type Versions } from './versions.ts'

/** What is there while a team runs. */
export type Parts = {
  readonly store: Store
  /** For people. */
  readonly where: string
  readonly settings: DesiredOptions
  readonly versions: Versions
  readonly engine: Engine
  readonly threads: Threads
  readonly compute: ReturnType<typeof createCompute>
  readonly launcher: Launcher
  readonly running: Running
  readonly outside: ReturnType<typeof createOutside>
  /** What a person has to do before the store can be used. */
  unfit(): string | undefined
  /** Takes leases and starts what it gets; what others have is asked for again and again. */
  start(): Promise<void>
  kill(): void
  close(options: { readonly grace: number }): Promise<void>
}

export type PartsOptions = Omit<TroupeOptions, 'config' | 'onEvent'> & {
  readonly env: NonNullable<TroupeOptions['env']>
  readonly root: string
  readonly node: string
  readonly wanted: Wanted
  readonly probe: ReturnType<typeof createProbe>
  readonly emit: (event: Event) => void
  readonly onGiveUp: () => void
  /** Agents of documents came that were another process's, or nobody's. */
  readonly onDocumentsTaken?: () => void
}

/** Ms between two looks for agents that another process has, or that could not be had. */
const retakeEvery = 5_000
/** Ms after which a store that does not say how it is counts as away: the next question comes soon. */
const healthLimit = 10_000
/** Ms for writing down what a model took, on which the next call waits. */
const bookkeeping = 2_000

/** Finds out what is wanted and opens what is needed for it; nothing runs yet. */
export async function openParts(options: PartsOptions): Promise<Parts> {
  const { env, root, node, wanted, probe, log, emit, onGiveUp } = options
  const folder = resolve(root, options.folder ?? wanted.config.store.folder)
  await openFolder(folder)
  const settings = { root, actors: resolve(root, options.actors ?? 'actors'), code: join(folder, 'code'), env, probe }
  const desired = await desire(wanted, settings)
  // Before the store is open: a fault would leave it open, and the process would not end.
  const endpoint = llmEnvironment(env)
  const [versions, shell] = await Promise.all([openVersions(folder), writeShell(settings.code)])
  const onRefused = ({ message }: Error) => log?.write('error', `The store cannot be taken over: ${message}`)
  const backend = options.store ? undefined : await openConfigured(wanted.config.store, env, { folder, stays: true, onRefused })
  if (backend) log?.hide(backend.key)
  const store = options.store ?? storeOver(backend as Backend)
  const leases = { ...wanted.config.leases, ...(options.lease !== undefined && { agents: options.lease }) }
  const threads = createThreads({ emit, log: (lines) => log?.lines(lines), shell })

  const http = createHttpPool({ settings: withKeys(wanted.config.http, env), emit })
  const llm = createLlm({
    endpoint,
    settings: wanted.config.llm,
    fetch: http.fetch,
    emit,
    record: (id, entries) => store.call('record_usage', { p_request: id, p_batch: [...entries] }, { timeout: bookkeeping }),
  })
  const compute = createCompute({
    ...wanted.config.compute,
    code: settings.code,
    actors: settings.actors,
    emit,
    log: (lines) => log?.lines(lines),
  })
  const engine = createEngine({
    store,
    node,
    emit,
    leases,
    services: { llm, compute },
    ...(options.poll && { poll: options.poll }),
    isDown: (id) => isDown(id),
    onLost: (id) => running.lose(id),
  })
  const launcher = createLauncher({
    threads,
    office: engine.office,
    manifestOf: probe.manifestOf,
    connect: (spec, { origins }, ended) => http.connect(rightsOf(spec, origins), ended),
    claim: (spec) => running.holdings.claim(spec),
    onOpen: engine.open,
    onClosing: engine.closing,
    onClosed: engine.closed,
    onUp: versions.succeeded,
    onNotOurs: (id) => running.lose(id),
    onRestart: (id) => running.outdated(id),
    onJobsLeft: engine.leaveJobs,
    onWorthClaiming: engine.claimJobs,
  })
  const running: Running = createRunning({
    desired,
    versions,
    launcher,
    take,
    saveSupervision: engine.saveSupervision,
    retire: engine.retire,
    onDown: engine.down,
    onTaken: (ids) => ids.some((id) => running.desired.documents?.ids.has(id)) && options.onDocumentsTaken?.(),
    emit,
    onGiveUp,
  })

  /** Who vanished says so to nobody: what it had is asked for in the moment in which its leases run out. */
  async function take(specs: readonly AgentSpec[], stamp: number): Promise<readonly (Taken | undefined)[]> {
    const answers = await engine.take(specs, stamp)
    if (closing !== undefined) return answers
    for (const answer of answers)
      if (answer && answer.verdict !== 'ok' && answer.freeIn !== undefined) freed.sooner(systemClock.now() + answer.freeIn)
    return answers
  }

  function isDown(id: string): boolean {
    const child = running.which().flatMap(({ children }) => children.filter((one) => one.id === id))[0]
    return child?.status === 'quarantined' || running.isPaused(id)
  }

  const hints = openHints(backend, { onHint: engine.hint, onEvent: (event) => log?.write('debug', ...realtimeLine(event)) })
  const upkeep = createUpkeep({
    store,
    mayRun: () => !engine.isInDoubt && engine.office.patience.awaySince === undefined && unfit === undefined,
    onFreed: () => engine.hint({ kind: 'anything' }),
  })

  let found: Health['status'] = 'ok'
  let unfit: string | undefined
  let timer: NodeJS.Timeout | undefined
  const freed = createAlarm(systemClock, () => void (retaking ?? Promise.resolve()).then(retakeNow))
  let retaking: Promise<void> | undefined
  let closing: Promise<void> | undefined
  const stopped = new AbortController()

  /** With the store away or unfit nothing is taken; it is looked at again with the next try. */
  async function retake(): Promise<void> {
    if (unfit === undefined && running.isComplete()) return
    const health = await store.health({ signal: stopped.signal, timeout: healthLimit })
    if (closing !== undefined) return
    note(health)
    if (health.status === 'ok') await running.arrange()
  }

  function note(health: Health): void {
    const { status } = health
    const hasChanged = status !== found
    found = status
    unfit = status === 'ok' ? undefined : health.message
    if (!hasChanged) return
    emit(
      status === 'ok'
        ? { name: 'store:usable', kind: store.kind }
        : { name: 'store:unusable', kind: store.kind, status, reason: health.message },
    )
  }

  function retakeNow(): Promise<void> {
    retaking ??= retake()
      .catch((error: Error) => log?.write('error', `Leases could not be taken: ${error.message}`))
      .finally(() => {
        retaking = undefined
      })
    return retaking
  }

  async function close(grace: number): Promise<void> {
    const until = performance.now() + grace
    clearInterval(timer)
    freed.clear()
    stopped.abort()
    // Neither is what the drain waits for.
    const listening = Promise.all([hints.stop(), upkeep.close()])
    await running.stop({ grace })
    await engine.close({ grace: Math.max(0, until - performance.now()) })
    // What still waited for leases was told that there will be none.
    await retaking
    await threads.close()
    await Promise.all([http.close(), compute.close(), llm.close({ grace: until - performance.now() })])
    await Promise.all([versions.saved(), listening])
    if (!options.store) await store.close()
  }

  return {
    store,
    get where() {
      return backend?.where ?? store.kind
    },
    settings,
    versions,
    engine,
    threads,
    compute,
    launcher,
    running,
    outside: createOutside(engine.office),
    unfit: () => unfit,
    async start() {
      await pruneVersions(settings.code, { inUse: hashesOf([...versions.files(), ...filesOf(running)], settings) })
      if (closing !== undefined) return
      timer = setInterval(() => void retakeNow(), options.retake ?? Math.min(retakeEvery, leases.agents))
      hints.start()
      upkeep.start()
      await retakeNow()
      await running.up()
    },
    kill() {
      void Promise.all([hints.stop(), upkeep.close()])
      engine.kill()
      running.kill()
    },
    close({ grace }) {
      closing ??= close(grace)
      return closing
    },
  }
}

/** Silent but for those who look: without it everything works. */
function realtimeLine(event: RealtimeEvent): [message: string, fields: Readonly<Record<string, unknown>>] {
  switch (event.kind) {
    case 'realtime:subscribed':
      return ['Realtime tells of new messages and jobs', {}]
    case 'realtime:lost':
      return [`Realtime is not there: ${event.reason}`, { retryIn: event.retryIn }]
    case 'realtime:wakeFailed':
    case 'realtime:closeFailed':
      return [`Realtime: ${String(event.error)}`, {}]
  }
}

function filesOf({ desired }: Running): string[] {
  return desired.teams.flatMap(({ children }) => children.map(({ file }) => file))
}

/** A copy lies in the folder of its hash. */
function hashesOf(files: readonly string[], { code }: DesiredOptions): Set<string> {
  return new Set(files.flatMap((file) => (file.startsWith(code) ? [file.slice(code.length + 1).split('/', 1)[0] ?? ''] : [])))
}
