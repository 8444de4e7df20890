import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import type * as z from 'zod'
import { ActorError } from '../core/errors.ts'
import type { Troupe } from '../host/troupe-types.ts'
import { toErrorData } from '../worker/error-data.ts'
import { type ControlAddress, newAddresses, publish, removeAddress } from './control-address.ts'
import { type Args, apiPath, type Given, type OperationName, operations, requestLimit } from './control-api.ts'

/** The socket by which the command line reaches a running team. */
export type Control = AsyncDisposable & {
  readonly socket: string
  /** Safe twice. What is being answered gets a moment to end. */
  close(): Promise<void>
}

type Operators = { readonly [Name in OperationName]: (args: Args<Name>) => Promise<Given<Name>> }

const closeLimit = 1_000

/** Serves a team to this user's command line, on a socket that is found in the store's folder. */
export async function openControl(troupe: Troupe, folder: string): Promise<Control> {
  const operators = operatorsOf(troupe)
  const server = createServer((request, reply) => void answer(operators, request, reply))
  // A connection that could not be taken is told so; it must not end the team.
  server.on('error', () => {})

  function listen(path: string): Promise<void> {
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen(path, () => {
        server.off('error', reject)
        resolve()
      })
    })
  }

  async function close(address: ControlAddress): Promise<void> {
    await removeAddress(address)
    const limit = setTimeout(() => server.closeAllConnections(), closeLimit)
    await new Promise((resolve) => server.close(resolve))
    clearTimeout(limit)
  }

  const address = await publishOne(await newAddresses(folder), listen).catch((error) => {
    server.close()
    throw error
  })
  let closing: Promise<void> | undefined
  function closeOnce(): Promise<void> {
    closing ??= close(address)
    return closing
  }
  return { socket: address.socket, close: closeOnce, [Symbol.asyncDispose]: closeOnce }
}

/** At the first address that will do. */
async function publishOne(addresses: readonly ControlAddress[], listen: (path: string) => Promise<void>): Promise<ControlAddress> {
  const failures: unknown[] = []
  for (const address of addresses) {
    try {
      await publish(address, listen)
      return address
    } catch (error) {
      failures.push(error)
      await removeAddress(address)
    }
  }
  throw new AggregateError(failures, failures.map((failure) => (failure as Error).message).join('; '))
}

function operatorsOf(troupe: Troupe): Operators {
  const viewOf = (id: string) => {
    const { pid } = process
    const view = troupe.list().find((agent) => agent.id === id)
    if (view) return view
    throw new ActorError('ACTOR_NOT_FOUND', `There is no agent "${id}" in process ${pid} any more`, { details: { id } })
  }
  return {
    look: async () => ({ pid: process.pid, status: troupe.status(), agents: troupe.list() }),
    why: async ({ agent }) => troupe.why(agent),
    plan: () => troupe.plan(),
    reload: () => troupe.reload(),
    async restart({ agent, lastGood }) {
      await troupe.restart(agent, { lastGood })
      return viewOf(agent)
    },
    async pause({ agent }) {
      await troupe.pause(agent)
      return viewOf(agent)
    },
    async resume({ agent }) {
      await troupe.resume(agent)
      return viewOf(agent)
    },
    async wake() {
      troupe.wake()
      return {}
    },
    send: ({ to, type, body, ...options }) => troupe.send(to, type, body, options),
    ask: async ({ to, type, body, ...options }) => ({ reply: await troupe.ask(to, type, body, options) }),
  }
}

async function answer(operators: Operators, request: IncomingMessage, reply: ServerResponse): Promise<void> {
  const [status, body] = await outcomeOf(operators, request).then(
    (result) => [200, result] as const,
    (error: unknown) => [error instanceof ActorError ? 409 : 500, { error: dataOf(error) }] as const,
  )
  reply.writeHead(status, { 'content-type': 'application/json', connection: 'close' }).end(JSON.stringify(body))
}

/** What people can act on is in an ActorError's message; where it was thrown is of use for a bug only. */
function dataOf(error: unknown) {
  const { stack, ...data } = toErrorData(error)
  return error instanceof ActorError || stack === undefined ? data : { ...data, stack }
}

async function outcomeOf(operators: Operators, request: IncomingMessage): Promise<unknown> {
  const name = nameOf(request)
  return await run(operators, name, parseArgs(name, await readBody(request)))
}

/** The answer is checked as well: what programs read does not change by accident. */
async function run<Name extends OperationName>(operators: Operators, name: Name, args: Args<Name>): Promise<unknown> {
  return operations[name].result.parse(await operators[name](args))
}

function nameOf({ method, url = '' }: IncomingMessage): OperationName {
  const name = url.startsWith(apiPath) ? url.slice(apiPath.length) : ''
  if (method === 'POST' && Object.hasOwn(operations, name)) return name as OperationName
  const known = Object.keys(operations).map((one) => `${apiPath}${one}`)
  throw new ActorError('HANDLER_NOT_FOUND', `There is no ${method} ${url} here, only POST ${known.join(', ')}`, {
    details: { hint: 'the command and the running team are of different versions: restart the team' },
  })
}

function parseArgs<Name extends OperationName>(name: Name, json: string): Args<Name> {
  // One of them, which its name tells: the compiler sees all of them.
  const schema = operations[name].args as unknown as z.ZodType<Args<Name>>
  const parsed = schema.safeParse(parseJson(json))
  if (parsed.success) return parsed.data
  const faults = parsed.error.issues.map(({ path, message }) => `${path.join('.') || name}: ${message}`)
  throw new ActorError('BODY_INVALID', faults.join('\n'), { details: { faults } })
}

function parseJson(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch (cause) {
    throw new ActorError('BODY_INVALID', `A request is JSON: ${(cause as Error).message}`, { cause })
  }
}

async function readBody(request: IncomingMessage): Promise<string> {
  if (Number(request.headers['content-length'] ?? Number.POSITIVE_INFINITY) <= requestLimit) return await text(request)
  throw new ActorError('BODY_INVALID', `A request has a content-length, and at most ${requestLimit} bytes`)
}
