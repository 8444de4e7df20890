import * as z from 'zod'
import { agentDefaults, leaseDefaults } from '../core/agent.ts'
import { defaults } from '../core/spec.ts'
import { computeSettings } from './compute-settings.ts'
import { httpSettings, originPattern } from './http-settings.ts'
import { llmSettings } from './llm-settings.ts'
import { duration, size, span } from './units.ts'

const count = z.int().positive()
/** What agents, their types and teams may be called. */
export const agentName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9:._-]{0,127}$/, {
  error: 'expected letters, digits and : . _ - (at most 128)',
})
const name = agentName
const { child, team } = defaults

/** What may be set for one agent; everything but id and type has a default. */
export const agentSettings = z.strictObject({
  id: name,
  type: name.describe('The actor file without its ending: scanner for actors/scanner.ts'),
  args: z.record(z.string(), z.json()).default({}).describe('Parsed by the actor itself'),
  replicas: count.max(1000).optional().describe('Starts id-1, id-2, … instead of id'),
  restart: z.enum(['permanent', 'transient', 'temporary']).default(child.restart),
  shutdown: duration.default(child.shutdown),
  startTimeout: span.default(child.startTimeout),
  backoff: z
    .strictObject({
      first: duration.default(child.backoff.first),
      max: duration.default(child.backoff.max),
      jitter: z.number().min(0).max(1).default(child.backoff.jitter),
      reset: duration.default(child.backoff.reset),
    })
    .prefault({}),
  budget: count.default(child.budget).describe('Exits in a row without a healthy period before quarantine'),
  quarantine: z.strictObject({ first: duration.default(child.quarantine.first), max: duration.default(child.quarantine.max) }).prefault({}),
  durability: z
    .enum(['transaction', 'async'])
    .default(agentDefaults.durability)
    .describe(
      'async: messages are handled from memory, without turns, and those there are lost with its thread; their ctx refuses ask, step, timers, jobs, db, llm and compute',
    ),
  mailbox: count.max(100_000).default(agentDefaults.mailbox).describe('Messages in memory; the rest waits in the table'),
  mailboxLimit: count
    .max(1_000_000_000)
    .optional()
    .describe('Messages that may wait in all; who sends more waits up to its turnTimeout and gets MAILBOX_FULL. No limit by default'),
  maxAttempts: count.max(100).default(agentDefaults.maxAttempts),
  turnTimeout: span.default(agentDefaults.turnTimeout),
  turnTimeouts: z
    .record(z.string().min(1), span)
    .default(agentDefaults.turnTimeouts)
    .describe('By the type of the message or job; the rest has turnTimeout'),
  hangAfter: span.default(agentDefaults.hangAfter),
  memory: z
    .strictObject({
      soft: size.default(agentDefaults.memory.soft),
      hard: size.default(agentDefaults.memory.hard),
      poll: span.default(agentDefaults.memory.poll),
    })
    .prefault({}),
  origins: z.array(originPattern).default([]).describe('Where it may connect beside what its actor file says'),
  http: z
    .strictObject({
      rate: z.number().positive().max(100_000).optional().describe('Requests in a second; no limit by default'),
      concurrency: count.max(10_000).default(agentDefaults.http.concurrency).describe('Requests at a time; more wait'),
    })
    .prefault({}),
  maxLoad: count.default(agentDefaults.maxLoad).describe('Jobs it may hold at a time'),
})
export type AgentSettings = z.output<typeof agentSettings>

/** A team of a config file. */
export const teamSettings = z.strictObject({
  id: name,
  strategy: z.enum(['one_for_one', 'one_for_all', 'rest_for_one']).default(team.strategy),
  intensity: z
    .strictObject({ max: z.int().nonnegative().default(team.intensity.max), within: span.default(team.intensity.within) })
    .prefault({}),
  agents: z.array(agentSettings).min(1),
})

const lease = duration.refine((ms) => ms >= 1_000 && ms <= 3_600_000, { error: 'expected 1s to 1h' })
const leases = z
  .strictObject({
    agents: lease.default(leaseDefaults.agents).describe('After so long another process continues the agents of one that vanished'),
    jobs: lease.default(leaseDefaults.jobs).describe('The same for a job in hand; not shorter than that of agents'),
  })
  .refine(({ agents, jobs }) => jobs >= agents, {
    error: 'expected no less than leases.agents',
    path: ['jobs'],
  })
  .prefault({})

/** Where documents are that say which agents run beside those of the file. */
export const mongodbSettings = z.strictObject({
  uri: z.string().min(1),
  database: z.string().min(1).default('bazaar'),
  collection: z.string().min(1).default('agents'),
  team: name.default('bazaar').describe('The team that agents of documents join, of the file or of their own'),
})
export type MongodbSettings = z.output<typeof mongodbSettings>

/** A config file: which teams of which agents run, and where. */
export const configSchema = z.strictObject({
  $schema: z.string().optional(),
  name: name.default('troupe'),
  store: z
    .strictObject({
      kind: z.enum(['auto', 'hosted', 'postgres', 'embedded']).default('auto'),
      folder: z.string().min(1).default('.troupe'),
    })
    .prefault({}),
  leases,
  http: httpSettings,
  llm: llmSettings.prefault({}),
  compute: computeSettings,
  teams: z.array(teamSettings).min(1),
  sources: z
    .strictObject({
      mongodb: mongodbSettings.optional(),
    })
    .prefault({}),
})
export type Config = z.output<typeof configSchema>
/** A config as it is written, before defaults. */
export type ConfigInput = z.input<typeof configSchema>
