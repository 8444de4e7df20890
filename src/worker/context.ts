import { randomUUID } from 'node:crypto'
import type { Context, Row, SendOptions } from '../actor.ts'
import { ActorError } from '../core/errors.ts'
import type { HostFrame } from '../core/frames.ts'
import { checkName, checkNumber } from './checks.ts'
import { createComputeClient } from './compute.ts'
import { Ending } from './ending.ts'
import { toJson } from './json.ts'
import { createKeys, type Keys, newMessageId, uuidOf } from './keys.ts'
import { createLlmClient } from './llm.ts'
import { makeJob, makeMessage } from './outgoing.ts'
import { checkRead } from './read-checks.ts'
import { answered, createSteps, request } from './requests.ts'
import type { Draft } from './state.ts'
import { createTimers } from './timers.ts'
import { assertOpen, type Resident, type Turn } from './turn.ts'
import { createTurnHttp } from './turn-http.ts'
import { createUse, type Use } from './uses.ts'

export type TurnFrame = Extract<HostFrame, { kind: 'turn' }>

const askTimeout = 30_000

/** Makes the ctx of one turn: it collects what waits for the commit and asks the host for what leaves at once. */
export function createContext(actor: Resident, turn: Turn, frame: TurnFrame, draft: Draft): Context {
  return new TurnContext(actor, turn, frame, draft)
}

/**
 * What a handler asks for is made when it asks: most use little of it, and there is one ctx for each turn. All of it can be taken
 * out of its ctx and called alone.
 */
class TurnContext implements Context {
  readonly self: Context['self']
  readonly args: Context['args']
  readonly log: Context['log']
  readonly now: Context['now']
  readonly status: Context['status']
  readonly post: Context['post']
  readonly from: Context['from']
  readonly attempt: Context['attempt']
  readonly fatal = endings.fatal
  readonly retry = endings.retry
  readonly #actor: Resident
  readonly #turn: Turn
  readonly #draft: Draft
  readonly #delivery: string
  #keys: Keys | undefined
  #sending: ReturnType<typeof sending> | undefined
  #timers: ReturnType<typeof createTimers> | undefined
  #jobs: Context['jobs'] | undefined
  #db: Context['db'] | undefined
  #http: Context['http'] | undefined
  #use: Use | undefined
  #llm: Context['llm'] | undefined
  #compute: Context['compute'] | undefined
  #step: Context['step'] | undefined
  #id: Context['id'] | undefined

  constructor(actor: Resident, turn: Turn, frame: TurnFrame, draft: Draft) {
    const { self, args, log, now, status, post } = actor.always
    this.self = self
    this.args = args
    this.log = log
    this.now = now
    this.status = status
    this.post = post
    this.from = frame.from
    this.attempt = frame.attempt
    this.#actor = actor
    this.#turn = turn
    this.#draft = draft
    this.#delivery = frame.id
  }

  get signal(): AbortSignal {
    return this.#turn.abort.signal
  }

  get state(): object {
    return this.#draft.value as object
  }

  set state(next: unknown) {
    assertOpen(this.#turn, 'ctx.state =')
    this.#draft.value = next
  }

  get tell(): Context['tell'] {
    return this.#sends.tell
  }

  get broadcast(): Context['broadcast'] {
    return this.#sends.broadcast
  }

  get ask(): Context['ask'] {
    return this.#sends.ask
  }

  get every(): Context['every'] {
    return this.#times.every
  }

  get after(): Context['after'] {
    return this.#times.after
  }

  get cancel(): Context['cancel'] {
    return this.#times.cancel
  }

  get jobs(): Context['jobs'] {
    this.#jobs ??= createJobs(this.#turn)
    return this.#jobs
  }

  get db(): Context['db'] {
    this.#db ??= database(this.#actor, this.#turn, this.#keyed)
    return this.#db
  }

  get http(): Context['http'] {
    this.#http ??= createTurnHttp(this.#actor, this.#turn)
    return this.#http
  }

  get llm(): Context['llm'] {
    this.#llm ??= createLlmClient(this.#uses)
    return this.#llm
  }

  get compute(): Context['compute'] {
    this.#compute ??= createComputeClient(this.#uses)
    return this.#compute
  }

  get step(): Context['step'] {
    this.#step ??= createSteps(this.#actor, this.#turn) as Context['step']
    return this.#step
  }

  get id(): Context['id'] {
    const keys = this.#keyed
    this.#id ??= (name) => keys.id(name)
    return this.#id
  }

  get #keyed(): Keys {
    this.#keys ??= createKeys(this.#actor.id, this.#delivery)
    return this.#keys
  }

  get #sends(): ReturnType<typeof sending> {
    this.#sending ??= sending(this.#actor, this.#turn, this.#keyed)
    return this.#sending
  }

  get #times(): ReturnType<typeof createTimers> {
    this.#timers ??= createTimers(this.#actor, this.#turn)
    return this.#timers
  }

  get #uses(): Use {
    this.#use ??= createUse(this.#actor, this.#turn)
    return this.#use
  }
}

function createJobs(turn: Turn): Context['jobs'] {
  return {
    create(type, payload, options) {
      assertOpen(turn, 'ctx.jobs.create')
      const job = makeJob(randomUUID(), type, toJson(payload, 'payload'), options)
      turn.collected.jobs.push(job)
      return job.id
    },
  }
}

/** What ends a turn when it is thrown. */
export const endings: Pick<Context, 'fatal' | 'retry'> = {
  fatal: (reason, { cause } = {}) => new Ending('HANDLER_FAILED', reason, { isFinal: true, cause }),
  retry(after, reason = `Asked for another attempt in ${after} ms`) {
    checkNumber(after, 'The delay of ctx.retry')
    return new Ending('HANDLER_FAILED', reason, { isFinal: false, retryIn: Math.ceil(after) })
  },
}

function sending(actor: Resident, turn: Turn, keys: Keys): Pick<Context, 'tell' | 'broadcast' | 'ask'> {
  // The id follows from the key, so that a repeat also makes the same message.
  const keyed = (kind: string, to: string, type: string, body: string) => {
    const key = keys.request(kind, to, type, body)
    return { key, id: uuidOf([key]) }
  }

  async function tellNow(to: string, type: string, given: unknown, options: SendOptions): Promise<void> {
    assertOpen(turn, 'ctx.tell')
    const body = toJson(given, 'body')
    const { key, id } = keyed('send', to, type, body)
    await request(actor, turn, 'ctx.tell', { kind: 'send', key, message: makeMessage({ by: 'ctx.tell', id, to, type, body }, options) })
  }

  function tell(to: string, type: string, body?: unknown, options: SendOptions & { readonly now?: boolean | undefined } = {}) {
    if (options.now) return tellNow(to, type, body, options)
    assertOpen(turn, 'ctx.tell')
    turn.collected.messages.push(makeMessage({ by: 'ctx.tell', id: newMessageId(), to, type, body: toJson(body, 'body') }, options))
    return undefined
  }

  return {
    tell: tell as Context['tell'],
    broadcast(subject, body, options) {
      assertOpen(turn, 'ctx.broadcast')
      const said = { by: 'ctx.broadcast', id: newMessageId(), to: null, type: subject, body: toJson(body, 'body') }
      turn.collected.messages.push(makeMessage(said, options))
    },
    async ask(to, type, given, { timeout = askTimeout } = {}) {
      assertOpen(turn, 'ctx.ask')
      checkNumber(timeout, 'The timeout of ctx.ask', { least: 1 })
      const body = toJson(given, 'body')
      const { key, id } = keyed('ask', to, type, body)
      const message = makeMessage({ by: 'ctx.ask', id, to, type, body })
      return answered(await request(actor, turn, 'ctx.ask', { kind: 'ask', key, message, timeout }))
    },
  }
}

function database(actor: Resident, turn: Turn, keys: Keys): Context['db'] {
  function check(call: string, name: string): void {
    assertOpen(turn, call)
    checkName(name, `The name of ${call}`)
    if (actor.sql.has(name)) return
    const listed = actor.sql.size > 0 ? [...actor.sql].join(', ') : 'nothing'
    throw new ActorError('MODULE_INVALID', `${call} may not use "${name}": the actor file's list sql has ${listed}`)
  }
  return {
    write(fn, args = {}) {
      check('ctx.db.write', fn)
      turn.collected.writes.push({ fn, args: toJson(args, 'args') })
    },
    async call(fn, given = {}) {
      check('ctx.db.call', fn)
      const args = toJson(given, 'args')
      turn.collected.steps = true // its result is kept like a step's
      return answered(await request(actor, turn, 'ctx.db.call', { kind: 'function', key: keys.request('call', fn, '', args), fn, args }))
    },
    async read(relation, filter = {}, options = {}) {
      check('ctx.db.read', relation)
      checkRead(filter, options)
      const one = { kind: 'read', relation, filter: toJson(filter, 'filter'), options: toJson(options, 'options') } as const
      return answered(await request(actor, turn, 'ctx.db.read', one)) as readonly Row[]
    },
  }
}
