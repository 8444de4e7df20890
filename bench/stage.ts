import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ConfigInput, Event, Troupe } from '../src/index.ts'
import { createTroupe } from '../src/index.ts'
import { openBackend } from '../src/store/open.ts'
import { createEars, type Line } from './ears.ts'
import { openServer } from './server.ts'

type AgentInput = ConfigInput['teams'][number]['agents'][number]

/** A team in a folder of its own, with ears for what it says. */
export interface Stage extends AsyncDisposable {
  readonly troupe: Troupe
  readonly folder: string
  /** Resolves with the next line of that text that an actor writes in its log from now on. */
  heard(text: string): Promise<Line>
  /** Resolves with the next event that fits. */
  event(fits: (event: Event) => boolean): Promise<Event>
}

export interface StageOptions {
  /** A PostgreSQL database with the schema; embedded, when absent. */
  readonly databaseUrl?: string | undefined
  /** A config file instead of agents, made in the folder before the start. */
  readonly config?: (folder: string) => Promise<string>
  readonly onEvent?: (event: Event) => void
}

/** What nothing here is to be stopped by. */
export const tireless = {
  backoff: { first: 0 },
  budget: 1_000_000,
} as const satisfies Partial<AgentInput>
export const project = join(import.meta.dirname, '..')
export const actors = join(import.meta.dirname, 'actors')

/** The config of one team. */
export function configOf(agents: readonly AgentInput[], isServer: boolean): ConfigInput {
  return {
    store: { kind: isServer ? 'postgres' : 'embedded' },
    teams: [{ id: 'bench', intensity: { max: 1_000_000 }, agents: [...agents] }],
  }
}

/** Makes a database for a team on the server of TROUPE_TEST_DATABASE_URL. */
export async function openDatabase(): Promise<AsyncDisposable & { readonly url: string }> {
  const server = await openServer()
  const url = await server.createDatabase()
  const backend = await openBackend({ env: { DATABASE_URL: url } })
  await backend.migrate()
  await backend.close()
  return { url, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() }
}

/** Starts a team; everything is the real thing. */
export async function openStage(agents: readonly AgentInput[], { databaseUrl, config, onEvent }: StageOptions = {}): Promise<Stage> {
  const folder = await mkdtemp(join(tmpdir(), 'troupe-bench-'))
  const ears = createEars()
  const troupe = createTroupe({
    config: config ? await config(folder) : configOf(agents, databaseUrl !== undefined),
    root: project,
    actors,
    env: databaseUrl === undefined ? {} : { DATABASE_URL: databaseUrl },
    folder,
    watches: false,
    log: ears.log,
    onEvent(event) {
      onEvent?.(event)
      ears.hear(event)
    },
  })
  await troupe.start()
  return {
    troupe,
    folder,
    heard: ears.heard,
    event: ears.event,
    async [Symbol.asyncDispose]() {
      await troupe.stop()
      await rm(folder, { recursive: true, force: true, maxRetries: 3 })
    },
  }
}
