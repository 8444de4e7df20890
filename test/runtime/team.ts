import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Event } from '../../src/core/events.ts'
import { createTroupe } from '../../src/host/troupe.ts'
import type { Troupe, TroupeOptions } from '../../src/host/troupe-types.ts'
import { type Backend, openBackend, storeOver } from '../../src/store/open.ts'
import type { Store } from '../../src/store/store.ts'
import { makeDatabase } from '../embedded-folder.ts'

const root = join(import.meta.dirname, '../..')
export const actors = join(import.meta.dirname, 'actors')

/** An embedded store in a folder of its own. */
export type Ground = { readonly folder: string; readonly store: Store; readonly backend: Backend } & AsyncDisposable

/** Opens one for the tests of a file; each test takes agents of its own. */
export async function openGround(): Promise<Ground> {
  const folder = await mkdtemp(join(tmpdir(), 'troupe-runtime-'))
  await makeDatabase(folder)
  const backend = await openBackend({ env: {}, folder })
  const store = storeOver(backend)
  return {
    folder,
    store,
    backend,
    async [Symbol.asyncDispose]() {
      await store.close()
      await rm(folder, { recursive: true, force: true, maxRetries: 3 })
    },
  }
}

/** A team under test: a Troupe with everything it has announced. */
export type TestTeam = Troupe & {
  readonly seen: readonly Event[]
  /** Resolves with the first event of that name, also one of the past, that fits. */
  event<Name extends Event['name']>(
    name: Name,
    fits?: (event: Extract<Event, { name: Name }>) => boolean,
  ): Promise<Extract<Event, { name: Name }>>
  /** Forgets what was announced, so that `event` waits for the next. */
  forget(): void
}

const patience = 28_000

/** Makes a Troupe over a ground; agents as in a config. */
export function teamOn(ground: Ground, agents: readonly object[], options: Partial<TroupeOptions> = {}): TestTeam {
  const seen: Event[] = []
  const waiting = new Set<(event: Event) => void>()
  const troupe = createTroupe({
    config: { teams: [{ id: 'team', agents: agents as never }] },
    root,
    actors,
    env: {},
    folder: ground.folder,
    store: ground.store,
    watches: false,
    onEvent(event) {
      seen.push(event)
      for (const look of waiting) look(event)
    },
    ...options,
  })

  function event<Name extends Event['name']>(name: Name, fits: (event: Extract<Event, { name: Name }>) => boolean = () => true) {
    type Wanted = Extract<Event, { name: Name }>
    const isIt = (one: Event): one is Wanted => one.name === name && fits(one as Wanted)
    const past = seen.find(isIt)
    if (past) return Promise.resolve(past)
    const { promise, resolve, reject } = Promise.withResolvers<Wanted>()
    const timer = setTimeout(() => reject(new Error(`No "${name}" within ${patience} ms, but ${JSON.stringify(seen, null, 1)}`)), patience)
    const look = (one: Event) => isIt(one) && resolve(one)
    waiting.add(look)
    return promise.finally(() => {
      clearTimeout(timer)
      waiting.delete(look)
    })
  }

  return Object.assign(Object.create(troupe), { seen, event, forget: () => void seen.splice(0) })
}
