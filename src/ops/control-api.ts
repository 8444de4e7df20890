import * as z from 'zod'
import type { ErrorData } from '../core/frames.ts'

/** Where the operations are; another version of them is at another path. */
export const apiPath = '/v1/'

/** Bytes of a request: a body is 1 MiB at most, and JSON in JSON doubles its quotes. */
export const requestLimit = 4 * 2 ** 20

const time = z.number()
const maybe = <Schema extends z.ZodType>(schema: Schema) => schema.optional()

const agentView = z.object({
  team: z.string(),
  id: z.string(),
  type: z.string(),
  status: z.string(),
  incarnation: z.int(),
  version: z.string(),
  mailbox: z.int(),
  memory: maybe(z.number()),
  says: maybe(z.string()),
})

const status = z.object({
  phase: z.string(),
  node: z.string(),
  isReady: z.boolean(),
  reasons: z.array(z.string()).readonly(),
  store: z.object({ kind: z.string(), where: z.string(), isAway: z.boolean() }),
  zombies: z.int(),
})

export const errorData: z.ZodType<ErrorData> = z.object({
  name: z.string(),
  message: z.string(),
  code: z.exactOptional(z.string()),
  stack: z.exactOptional(z.string()),
  details: z.exactOptional(z.record(z.string(), z.unknown())),
  get cause() {
    return z.exactOptional(errorData)
  },
})

const heap = z.object({ total: z.number(), used: z.number(), external: z.number() })

const exitRecord = z.object({
  team: z.string(),
  id: z.string(),
  version: z.string(),
  incarnation: z.int(),
  exit: z.string(),
  detail: z.string(),
  error: maybe(errorData),
  turns: z.array(z.object({ source: z.string(), id: z.string(), type: z.string(), outcome: z.string() })).readonly(),
  heap: maybe(heap),
  at: time,
  after: z.number(),
})

const types = z.record(z.string(), z.unknown())
const manifest = z.object({
  messages: types,
  jobs: types,
  sql: z.array(z.string()).readonly(),
  origins: z.array(z.string()).readonly(),
  persist: z.boolean(),
})

const why = agentView.extend({
  file: z.string(),
  manifest: maybe(manifest),
  since: maybe(time),
  teamStatus: maybe(z.string()),
  exits: z.int(),
  until: maybe(time.nullable()),
  exit: maybe(exitRecord),
  standby: maybe(z.string()),
  holder: maybe(z.string()),
  instead: maybe(z.string()),
  refusal: maybe(z.string()),
  wanted: z.string(),
  lastGood: maybe(z.string()),
  thread: maybe(z.object({ thread: z.int(), upFor: z.number(), turns: z.int(), heap: maybe(heap) })),
})

const ids = z.array(z.string()).readonly()
const documents = z.object({
  kind: z.enum(['read', 'cut', 'failed']),
  limit: maybe(z.int()),
  error: maybe(z.string()),
  skipped: z.array(z.object({ id: z.string(), reason: z.string(), runsOn: z.boolean() })).readonly(),
})
const changes = z.object({
  teams: z.array(z.object({ team: z.string(), stop: ids, start: ids })).readonly(),
  later: maybe(ids),
  documents: maybe(documents),
})

const name = z.string().min(1)
const agent = z.strictObject({ agent: name })
const message = z.strictObject({
  type: name,
  body: z.exactOptional(z.unknown()),
  priority: z.exactOptional(z.enum(['low', 'normal', 'high', 'urgent'])),
  expiresIn: z.exactOptional(z.number().nonnegative()),
  delay: z.exactOptional(z.number().nonnegative()),
  id: z.exactOptional(z.guid()),
})
const sent = z.object({
  id: z.string(),
  deliveries: z.array(z.object({ agent: z.string(), status: z.string(), unknown: z.boolean() })).readonly(),
})

const second = 1_000
const minute = 60 * second

/**
 * What a running process can be asked, and the ms in which it has to answer; an ask has its own timeout on top. Loading actor files and
 * starting an agent may take as long as the config allows, so those limits are only there to end at all.
 */
export const operations = {
  look: { args: z.strictObject({}), result: z.object({ pid: z.int(), status, agents: z.array(agentView).readonly() }), limit: 5 * second },
  why: { args: agent, result: why, limit: 5 * second },
  plan: { args: z.strictObject({}), result: changes, limit: 5 * minute },
  reload: { args: z.strictObject({}), result: changes, limit: 5 * minute },
  restart: { args: agent.extend({ lastGood: z.boolean() }), result: agentView, limit: 10 * minute },
  pause: { args: agent, result: agentView, limit: 10 * minute },
  resume: { args: agent, result: agentView, limit: 10 * minute },
  /** Only makes things sooner, so nobody waits long for one that is frozen. */
  wake: { args: z.strictObject({}), result: z.object({}), limit: second },
  send: { args: message.extend({ to: name.nullable() }), result: sent, limit: minute },
  ask: {
    args: message.extend({ to: name, timeout: z.number().positive() }),
    result: z.object({ reply: z.unknown() }),
    limit: 10 * second,
  },
} as const

export type Operations = typeof operations
export type OperationName = keyof Operations
export type Args<Name extends OperationName> = z.output<Operations[Name]['args']>
export type Result<Name extends OperationName> = z.output<Operations[Name]['result']>
/** What a server has to give, before it is checked. */
export type Given<Name extends OperationName> = z.input<Operations[Name]['result']>

/** The body of an answer that is not a result. */
export const failure = z.object({ error: errorData })
