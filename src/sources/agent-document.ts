import * as z from 'zod'
import { faultLines } from './config.ts'
import { type AgentSettings, agentName, agentSettings } from './schema.ts'

/** What one document says: an agent that should run, one that should not, or nothing that can be used. */
export type AgentDocument = {
  /** Who it is about; for a faulty document as far as that can be told. */
  readonly id: string
  /** Which document it is, for people. */
  readonly place: string
} & (
  | { readonly kind: 'wanted'; readonly settings: AgentSettings }
  | { readonly kind: 'unwanted' }
  | { readonly kind: 'faulty'; readonly reason: string }
)

/**
 * What a document's agent gets as `args.agent`, beside the document's options, which are the other args. The names are the
 * document's own, so that an entry in a config file may say the same.
 */
export type AgentProfile = {
  readonly name: string
  readonly agent_type: string
  readonly capabilities: Readonly<Record<string, number>>
  readonly base_rate_usd?: number
  readonly model?: string
  /** Absent: the agent derives a placeholder from its id. */
  readonly wallet_address?: string
}

/** What is read of a document; the rest changes without touching the agent. */
export const documentFields = [
  'agent_id',
  'name',
  'agent_type',
  'managed',
  'status',
  'capabilities',
  'base_rate_usd',
  'model',
  'wallet_address',
  'options',
] as const

/** Characters of an agent's args. */
const largest = 2 ** 20

const text = z.string().trim().min(1, { error: 'expected a text that is not empty' }).max(200, { error: 'expected at most 200 characters' })
const money = z.number().nonnegative()
const statuses = ['available', 'busy', 'offline', 'suspended'] as const
/** In a document null says as much as nothing. */
const maybe = <Schema extends z.ZodType>(schema: Schema) => z.preprocess((value) => value ?? undefined, schema.optional())

const documentSchema = z.object({
  agent_id: maybe(agentName),
  name: text,
  agent_type: agentName,
  status: maybe(z.enum(statuses)),
  capabilities: maybe(z.record(z.string().min(1), z.number().min(0).max(1))),
  base_rate_usd: maybe(money),
  model: maybe(text),
  wallet_address: maybe(z.string().regex(/^0x[0-9a-fA-F]{40}$/, { error: 'expected 0x and 40 hexadecimal digits' })),
  options: maybe(
    z.record(z.string(), z.json()).refine((options) => !Object.hasOwn(options, 'agent'), {
      error: 'expected no option "agent": that is where the fields of the document go',
    }),
  ),
})
type Fields = z.output<typeof documentSchema>

/** Reads a document, a plain value, for an agent's settings; never throws. */
export function readAgentDocument(document: unknown): AgentDocument {
  const { _id, agent_id, managed, status } = z.looseObject({}).catch({}).parse(document)
  const key = typeof _id === 'number' ? String(_id) : _id
  const place = `document ${agentName.safeParse(key).success ? key : shortened(JSON.stringify(key) ?? 'without an _id')}`
  const id = agentName.safeParse(agent_id ?? `mongo:${key}`).data ?? place
  if (managed !== true || status === 'offline' || status === 'suspended') return { kind: 'unwanted', id, place }
  const faulty = (reasons: readonly string[]) => ({ kind: 'faulty', id, place, reason: `${place}: ${reasons.join('; ')}` }) as const
  const parsed = documentSchema.safeParse(document)
  if (!parsed.success) return faulty(faultLines(parsed.error, document))
  if (id === place) return faulty(['expected an agent_id, as its _id makes no name'])
  const args = argsOf(parsed.data)
  const { length } = JSON.stringify(args)
  if (length > largest) return faulty([`options: found ${length} characters of args, expected at most ${largest}`])
  return { kind: 'wanted', id, place, settings: agentSettings.parse({ id, type: parsed.data.agent_type, args }) }
}

function argsOf({ name, agent_type, capabilities = {}, base_rate_usd, model, wallet_address, options = {} }: Fields) {
  const agent: AgentProfile = {
    name,
    agent_type,
    capabilities,
    ...(base_rate_usd !== undefined && { base_rate_usd }),
    ...(model !== undefined && { model }),
    ...(wallet_address !== undefined && { wallet_address }),
  }
  return { ...options, agent }
}

function shortened(json: string): string {
  return json.length > 80 ? `${json.slice(0, 79)}…` : json
}
