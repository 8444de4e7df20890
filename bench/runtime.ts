import { fork } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Figure, say } from './report.ts'
import { openServer } from './server.ts'

export const runtimeOptions = {
  seconds: { type: 'string', default: '5' },
  rounds: { type: 'string', default: '5' },
  agents: { type: 'string', default: '100' },
  only: { type: 'string' },
} as const

/** How much is measured. */
export interface Sizes {
  readonly seconds: number
  readonly rounds: number
  readonly agents: number
}

/** The parts, and whether they need a PostgreSQL server. */
const parts = { crash: true, memory: true, schemas: true, start: false, mailbox: false, ask: true, savina: true, turns: true } as const
export type Part = keyof typeof parts

const entry = fileURLToPath(new URL('runtime-part.ts', import.meta.url))

/** Measures what a team costs and how fast it is. Each part has a process of its own: memory that one has used is not there for the next. */
export async function benchRuntime(options: Partial<Record<keyof typeof runtimeOptions, string>>): Promise<Figure[]> {
  const sizes = { seconds: sizeOf(options, 'seconds'), rounds: sizeOf(options, 'rounds'), agents: sizeOf(options, 'agents') }
  const wanted = options.only?.split(',') ?? Object.keys(parts)
  const unknown = wanted.filter((name) => !(name in parts))
  if (unknown.length > 0) throw new Error(`--only: there is no ${unknown.join(', ')}; there are ${Object.keys(parts).join(', ')}`)

  say(`${cpus().length} cores, load ${loadavg()[0]?.toFixed(1)} before it began; Node ${process.versions.node}`)
  const needsServer = wanted.some((name) => parts[name as Part])
  await using server = needsServer ? await openServer() : undefined
  const cache = await mkdtemp(join(tmpdir(), 'troupe-bench-cache-'))
  // As troupe.js has it: threads use the compile cache only if the variable was there when the process began.
  const env = { ...process.env, NODE_COMPILE_CACHE: cache, ...(server && { TROUPE_TEST_DATABASE_URL: server.url }) }
  const figures: Figure[] = []
  try {
    for (const name of Object.keys(parts)) if (wanted.includes(name)) figures.push(...(await runPart(name as Part, sizes, env)))
  } finally {
    await rm(cache, { recursive: true, force: true })
  }
  return figures
}

/** Runs a part in a process of its own and gives what it found. */
function runPart(part: Part, sizes: Sizes, env: NodeJS.ProcessEnv): Promise<Figure[]> {
  const { promise, resolve, reject } = Promise.withResolvers<Figure[]>()
  const child = fork(entry, [part, JSON.stringify(sizes)], { env })
  let figures: Figure[] | undefined
  child.on('message', (found: Figure[]) => {
    figures = found
  })
  child.on('error', reject)
  child.on('exit', (code, signal) => {
    if (code === 0 && figures) resolve(figures)
    else reject(new Error(`The part "${part}" ended with ${signal ?? `exit code ${code}`}`))
  })
  return promise
}

function sizeOf(options: Partial<Record<keyof typeof runtimeOptions, string>>, name: keyof Sizes): number {
  const size = Number(options[name] ?? runtimeOptions[name].default)
  if (!(size > 0)) throw new Error(`--${name}: expected a positive number, found ${JSON.stringify(options[name])}`)
  return size
}
