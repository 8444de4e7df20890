import { ActorError, type Context, defineActor, type Llm, type OutputOf, type Schema } from 'troupe/actor'
import * as z from 'zod'
import { gatewayOf } from './bazaar/choose-gateway.ts'
import { type Budget, type Evaluation, evaluation, type Profile, type SpecialistJob, specialistJob } from './bazaar/job.ts'
import { declined, soundEvaluation } from './bazaar/words.ts'
import { countUsage, withUsage } from './model-usage.ts'

export type { Budget, Evaluation, SpecialistJob } from './bazaar/job.ts'
export { declined, evaluateByWords, wordsIn } from './bazaar/words.ts'

/** What `execute` works with: what a handler has, less its state and its mailbox. */
export interface Work<Args = unknown>
  extends Pick<Context, 'self' | 'log' | 'now' | 'http' | 'compute' | 'step' | 'id' | 'attempt' | 'fatal' | 'retry' | 'status'> {
  readonly args: Args
  readonly profile: Profile
  readonly systemPrompt: string
  /** The host's model with the specialist's system prompt and the model of its document, where a call names none. */
  readonly llm: Llm
  /** The job's texts by name, for `untrusted` of a model's call: others wrote them. */
  readonly untrusted: Readonly<Record<string, string>>
  /** Ends with the turn, and at the job's deadline. */
  readonly signal: AbortSignal
}

type Awaitable<Value> = Value | Promise<Value>

/** What a specialist's file says: its default export is `defineSpecialist` of this. */
export interface SpecialistDefinition<Shape extends z.ZodRawShape = z.ZodRawShape, Output extends Schema = Schema> {
  /** The agent type: the file's name, with _ or -. */
  readonly type: string
  /** The type of the jobs it takes, such as code_review; the agent type unless told. */
  readonly job?: string | undefined
  /** What it is, for the model. */
  readonly systemPrompt: string
  /** What people on a marketplace read. */
  readonly description?: string | undefined
  /** What it is called and can, and what it costs at least, where no document says so. */
  readonly name?: string | undefined
  readonly capabilities?: Readonly<Record<string, number>> | undefined
  readonly baseRateUsd?: number | undefined
  /** Args of its own beside those of every specialist: the options of its document. */
  readonly args?: Shape | undefined
  readonly origins?: readonly string[] | undefined
  /** What `execute` has to return; what does not fit fails the job. */
  readonly output?: Output | undefined
  /** Says what it thinks of a job; the price is kept at the base rate at least and within the budget. */
  evaluate(job: SpecialistJob, budget: Budget): Awaitable<Evaluation>
  /** Does the work; throwing is an honest failure. What models took for it is put beside the result, as `modelUsage`. */
  execute(job: SpecialistJob, work: Work<SpecialistArgs<Shape>>): Awaitable<OutputOf<Output> | Readonly<Record<string, unknown>> | string>
}

/** Attempts after which work that was won and fails by itself is given up; one that a process's end has cut off does not fail by itself. */
const failures = 3
/** Of a model: asked the same once more, it would be paid once more and say as little. */
const finalReasons: ReadonlySet<unknown> = new Set(['answer_unfit', 'answer_cut', 'prompt_too_long', 'over_budget'])

const agent = z.looseObject({
  name: z.string().optional(),
  capabilities: z.record(z.string(), z.number().min(0).max(1)).optional(),
  base_rate_usd: z.number().nonnegative().optional(),
  model: z.string().optional(),
  wallet_address: z.string().optional(),
})

const common = {
  /** The fields of its document. */
  agent: agent.prefault({}),
  /** Jobs that it takes at a time, those it has bid for included. */
  capacity: z.int().min(1).max(20).default(1),
  /** The type of the actor that deals with marketplaces, and how often (ms) this one reports to it. */
  gatewayType: z.string().default('bazaar-gateway'),
  reportEvery: z.number().min(100).default(15_000),
}
type Common = z.output<z.ZodObject<typeof common>>
type SpecialistArgs<Shape extends z.ZodRawShape> = Common & z.output<z.ZodObject<Shape>>

interface State {
  /** The one gateway that may bid for it. */
  readonly gateway: string | null
}

const evaluateBody = z.object({ jobs: z.array(specialistJob).max(100), minutes: z.array(z.number().nullable()) })
const untrustedAtMost = 200_000

/** Makes an actor of a specialist: it evaluates jobs for its gateway, and does those of its type, from wherever they come. */
export function defineSpecialist<Shape extends z.ZodRawShape = Record<never, never>, Output extends Schema = Schema>(
  definition: SpecialistDefinition<Shape, Output>,
) {
  const job = definition.job ?? definition.type
  const args = z.looseObject({ ...common, ...definition.args }) as unknown as Schema<unknown, SpecialistArgs<Shape>>
  type Ctx = Context<SpecialistArgs<Shape>, State, 'v_agent_dashboard'>
  const profileFor = (ctx: Pick<Ctx, 'self' | 'args'>) => profileOf(definition, job, ctx.self, ctx.args)

  return defineActor({
    args,
    persist: true,
    sql: ['v_agent_dashboard'],
    origins: definition.origins ?? [],
    messages: { report: z.unknown(), evaluate: evaluateBody },
    jobs: { [job]: specialistJob },
    init(ctx): State {
      ctx.every(ctx.args.reportEvery, 'report')
      ctx.after(0, 'report', null, { name: 'first report' })
      return { gateway: null }
    },
    receive: {
      report: (_, ctx) => report(ctx as Ctx, profileFor(ctx as Ctx)),
      evaluate({ jobs, minutes }, ctx) {
        const { baseRateUsd } = profileFor(ctx)
        return Promise.all(
          jobs.map(async (one, at) => await judged(definition, one, { usd: one.budgetUsd, baseRateUsd, minutes: minutes[at] ?? null })),
        )
      },
    },
    run: {
      [job]: async (given: unknown, ctx: Ctx) => {
        const work = given as SpecialistJob
        const result = await execute(definition, work, ctx, profileFor(ctx))
        // With the commit: the gateway hears of it exactly when the result is there.
        if (work.origin) ctx.tell(work.origin.gateway, 'finished', { key: work.origin.key }, { expiresIn: 600_000 })
        return result
      },
    },
  })
}

type Anyone = SpecialistDefinition<z.ZodRawShape, Schema>

function profileOf(
  definition: Pick<Anyone, 'type' | 'name' | 'description' | 'capabilities' | 'baseRateUsd'>,
  job: string,
  self: string,
  args: Common,
): Profile {
  const { agent: given, capacity } = args
  return {
    agent: self,
    type: definition.type,
    job,
    name: given.name ?? definition.name ?? self,
    description: definition.description ?? `${definition.type} of a Troupe team`,
    capabilities: given.capabilities ?? definition.capabilities ?? {},
    baseRateUsd: given.base_rate_usd ?? definition.baseRateUsd ?? 0.01,
    model: given.model ?? null,
    wallet: given.wallet_address ?? null,
    capacity,
  }
}

/** Chooses its gateway itself: as a mailbox has one reader, two gateways never bid for the same specialist. */
async function report(ctx: Context<Common, State, 'v_agent_dashboard'>, profile: Profile): Promise<void> {
  const rows = await ctx.db.read('v_agent_dashboard', { agent_type: ctx.args.gatewayType })
  const before = ctx.state.gateway
  const gateway = gatewayOf(rows, before)
  if (before !== null && gateway !== before) ctx.tell(before, 'released', { agent: ctx.self }, { priority: 'urgent', expiresIn: 3_600_000 })
  ctx.state = { gateway }
  if (gateway !== null) ctx.tell(gateway, 'present', profile, { expiresIn: 5 * ctx.args.reportEvery })
}

async function judged(definition: Pick<Anyone, 'evaluate'>, job: SpecialistJob, budget: Budget): Promise<Evaluation> {
  const said = evaluation.safeParse(await definition.evaluate(job, budget))
  if (!said.success) return declined(`evaluate returned what is no evaluation: ${z.prettifyError(said.error)}`)
  return soundEvaluation(said.data, budget)
}

async function execute<Shape extends z.ZodRawShape, Output extends Schema>(
  definition: SpecialistDefinition<Shape, Output>,
  job: SpecialistJob,
  ctx: Context<SpecialistArgs<Shape>, State>,
  profile: Profile,
): Promise<unknown> {
  const left = job.deadline === null ? undefined : job.deadline - ctx.now()
  if (left !== undefined && left <= 0) throw ctx.fatal('The deadline passed before the work began')
  // A timeout longer than 2^31 ms would end at once.
  const signal =
    left === undefined ? ctx.signal : AbortSignal.any([ctx.signal, AbortSignal.timeout(Math.min(Math.ceil(left), 2 ** 31 - 1))])
  const counter = countUsage(ctx)
  try {
    const work = workOf(definition.systemPrompt, job, ctx, profile, { ...counter, signal })
    return withUsage(await validated(definition.output, await definition.execute(job, work)), counter.used())
  } catch (error) {
    if (signal.aborted && !ctx.signal.aborted) throw ctx.fatal('The deadline passed while the work was done', { cause: error })
    if (error instanceof ActorError && error.code === 'MODEL_FAILED' && finalReasons.has(error.details.reason))
      throw ctx.fatal(error.message, { cause: error })
    throw job.origin === null ? error : orFinal(error, ctx)
  }
}

/** Work that was won may be begun more often than it may fail. */
function orFinal(error: unknown, { attempt, fatal }: Pick<Context, 'attempt' | 'fatal'>): unknown {
  const saysItself = error instanceof ActorError && ('isFinal' in error || error.code === 'BLOCKED' || error.code === 'BUDGET_EXCEEDED')
  if (attempt < failures || saysItself) return error
  return fatal(`It failed at attempt ${attempt}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
}

function workOf<Args extends Common>(
  systemPrompt: string,
  job: SpecialistJob,
  ctx: Context<Args, State>,
  profile: Profile,
  { llm, step, signal }: Pick<Work, 'llm' | 'step' | 'signal'>,
): Work<Args> {
  const { self, args, log, attempt, http, compute, now, id, fatal, retry, status } = ctx
  const asked = <Options extends object>(options: Options) => ({
    ...{ system: systemPrompt, signal, ...(profile.model !== null && { model: profile.model }) },
    ...options,
  })
  return {
    ...{ self, args, log, attempt, http, compute, now, step, id, fatal, retry, status, profile, systemPrompt, signal },
    llm: { text: (options) => llm.text(asked(options)), object: (options) => llm.object(asked(options)) },
    untrusted: textsOf(job),
  }
}

/** Names that the model's call takes; what is too long to be read is cut and says so. */
function textsOf({ title, description, capabilities, files }: SpecialistJob): Record<string, string> {
  const cut = (text: string) => (text.length > untrustedAtMost ? `${text.slice(0, untrustedAtMost)}\n[cut]` : text)
  const named = files.map(({ name, text }, at) => [`file-${at + 1}-${name.replaceAll(/[^\w.-]/g, '_')}`.slice(0, 64), cut(text)])
  return { job: cut([title, description, capabilities.join(', ')].filter(Boolean).join('\n\n')), ...Object.fromEntries(named) }
}

async function validated(schema: Schema | undefined, output: unknown): Promise<unknown> {
  // What a model said may be nothing at all: no result, whatever the schema takes.
  if (output === undefined || output === null || (typeof output === 'string' && output.trim() === ''))
    throw new ActorError('HANDLER_FAILED', 'The specialist returned nothing')
  if (schema === undefined) return output
  const { issues, ...parsed } = await schema['~standard'].validate(output)
  if (!issues) return (parsed as { value: unknown }).value
  const found = issues.slice(0, 5).map(({ message, path = [] }) => `${path.map(String).join('.') || 'the whole'}: ${message}`)
  throw new ActorError('HANDLER_FAILED', `The result does not fit the specialist's output: ${found.join('; ')}`, {
    details: { issues: found },
  })
}
