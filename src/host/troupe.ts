import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { resolve } from 'node:path'
import { ActorError } from '../core/errors.ts'
import type { Event } from '../core/events.ts'
import { reloadIntervalOf } from '../sources/environment.ts'
import { fileSource, valueSource } from '../sources/file.ts'
import { withDocuments } from '../sources/with-documents.ts'
import { startTidying } from '../worker/tidy.ts'
import { actorFolders } from './actor-files.ts'
import { sourcesIn } from './code.ts'
import { createDeferredNews } from './deferred-news.ts'
import { desire } from './desired.ts'
import { createDocumentNews } from './document-news.ts'
import { openParts, type Parts } from './parts.ts'
import { createProbe } from './probe.ts'
import { createSerial } from './serial.ts'
import type { Changes, Troupe, TroupeOptions } from './troupe-types.ts'
import { agentView, agentViews, explain, statusOf } from './views.ts'
import { watchFiles } from './watch.ts'

const defaultGrace = 20_000

type Phase =
  | { readonly kind: 'idle' }
  | { readonly kind: 'running' | 'stopping'; readonly parts: Parts }
  | { readonly kind: 'starting' | 'stopped'; readonly parts: Parts | undefined }

/** Puts a team together; nothing happens before `start`. */
export function createTroupe(options: TroupeOptions): Troupe {
  const { env = process.env, root = process.cwd(), log, watches = true } = options
  const node = `${hostname()}-${process.pid}-${randomUUID().slice(0, 8)}`
  const config = typeof options.config === 'string' ? fileSource(resolve(root, options.config), env) : valueSource(options.config)
  const source = withDocuments(config, env)
  const probe = createProbe()
  const listeners = new Set<(event: Event) => void>(options.onEvent ? [options.onEvent] : [])
  const ended = Promise.withResolvers<0 | 1>()
  const serial = createSerial()
  let phase: Phase = { kind: 'idle' }
  let opening: Promise<Parts> | undefined
  let starting: Promise<void> | undefined
  let stopping: Promise<void> | undefined
  let nextReload: NodeJS.Timeout | undefined
  let stopTidying = (): void => {}
  const news = createDocumentNews(emit)
  const deferred = createDeferredNews(emit)
  // What is wrong was announced.
  const watcher = watchFiles(() => void reload().catch(() => {}))

  function emit(event: Event): void {
    log?.event(event)
    for (const listener of listeners) tell(listener, event)
  }

  /** What runs, or is still on its way down. */
  function partsNow(): Parts | undefined {
    return phase.kind === 'idle' || phase.kind === 'stopped' ? undefined : phase.parts
  }

  function parts(): Parts {
    const now = partsNow()
    if (now) return now
    const isEarly = phase.kind === 'idle' || phase.kind === 'starting'
    throw new ActorError('STOPPED', isEarly ? 'The team does not run yet' : 'The team does not run any more')
  }

  async function open(): Promise<Parts> {
    phase = { kind: 'starting', parts: undefined }
    const wanted = await source.read()
    return openParts({ ...options, env, root, node, probe, wanted, emit, onGiveUp: () => ended.resolve(1), onDocumentsTaken })
  }

  /** A document may have changed or gone since this process read it, and no file's age would tell. */
  function onDocumentsTaken(): void {
    if (phase.kind === 'running') void reload().catch(() => {})
  }

  async function boot(): Promise<void> {
    const interval = reloadIntervalOf(env)
    opening = open()
    opening.catch(() => source.close())
    const parts = await opening
    phase = { kind: 'starting', parts }
    news.tell(parts.running.desired)
    watch(parts)
    if (stopping !== undefined) return
    await parts.start()
    if (stopping !== undefined) return
    phase = { kind: 'running', parts }
    stopTidying = startTidying()
    reloadEvery(interval)
  }

  function watch({ running }: Parts, files: readonly string[] = [], folders: readonly string[] = []): void {
    if (watches) watcher.set([...source.files, ...running.desired.sources, ...files], folders)
  }

  async function desireNow({ settings, running }: Parts) {
    return desire(await source.read(), settings, running.desired)
  }

  function reload(): Promise<Changes> {
    return serial.run(async () => {
      const now = parts()
      try {
        const desired = await desireNow(now)
        if (stopping === undefined) news.tell(desired)
        const changes = await now.running.change(desired)
        deferred.tell(changes)
        watch(now)
        return changes
      } catch (error) {
        // The file to put right may be one that nothing that runs is made of, or may be missing.
        watch(now, sourcesIn(error), await actorFolders(now.settings.actors))
        emit({ name: 'plan:refused', message: (error as Error).message })
        throw error
      }
    })
  }

  /** For changes that no watch tells of: a network's file system, a database. One after the other, as one may wait for the store. */
  function reloadEvery(ms: number): void {
    if (stopping !== undefined) return
    const again = () => reloadEvery(ms)
    nextReload = setTimeout(() => void reload().then(again, again), ms)
  }

  async function end(grace: number): Promise<void> {
    clearTimeout(nextReload)
    stopTidying()
    // What is being read would be waited for.
    const closed = source.close()
    // Agents that are still starting are not waited for.
    const parts = await opening?.catch(() => undefined)
    if (parts) phase = { kind: 'stopping', parts }
    await parts?.close({ grace })
    await Promise.all([serial.idle(), closed])
    watcher.close()
    phase = { kind: 'stopped', parts }
    ended.resolve(0)
  }

  function stop({ grace = defaultGrace } = {}): Promise<void> {
    stopping ??= end(grace)
    return stopping
  }

  return {
    start() {
      if (stopping !== undefined) return Promise.reject(new ActorError('STOPPED', 'The team has been stopped'))
      starting ??= boot()
      return starting
    },
    stop,
    kill() {
      partsNow()?.kill()
      void stop({ grace: 0 })
    },
    reload,
    async plan() {
      const now = parts()
      return now.running.compare(await desireNow(now))
    },
    wake() {
      parts().engine.hint({ kind: 'anything' })
    },
    async send(to, type, body, options) {
      return parts().outside.send(to, type, body, options)
    },
    async ask(to, type, body, options) {
      return parts().outside.ask(to, type, body, options)
    },
    async restart(id, { lastGood = false } = {}) {
      await parts().running.restart(id, { lastGood })
    },
    async pause(id) {
      await parts().running.pause(id)
    },
    async resume(id) {
      await parts().running.resume(id)
    },
    list: () => (partsNow() ? agentViews(parts()) : []),
    read: ((...query: Parameters<Parts['store']['read']>) => parts().store.read(...query)) as Troupe['read'],
    why: (id) => explain(parts(), agentView(parts(), id)),
    status: () => statusOf(node, phase.kind, 'parts' in phase ? phase.parts : undefined),
    listen(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    ended: ended.promise,
    [Symbol.asyncDispose]: () => stop(),
  }
}

/** What a listener throws is its own fault, as with EventTarget: nothing that it is told of stops for it. */
function tell(listener: (event: Event) => void, event: Event): void {
  try {
    listener(event)
  } catch (error) {
    process.nextTick(() => {
      throw error
    })
  }
}
