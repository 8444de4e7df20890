import { request } from 'node:http'
import { text } from 'node:stream/consumers'
import type * as z from 'zod'
import { ActorError } from '../core/errors.ts'
import { longestTimer } from '../core/longest-timer.ts'
import type { ControlAddress } from '../ops/control-address.ts'
import { type Args, apiPath, failure, type OperationName, operations, type Result, requestLimit } from '../ops/control-api.ts'
import { fromErrorData } from '../worker/error-data.ts'

/** Asks a process to do something; throws what went wrong there, and STOPPED, with `isGone`, when nobody is there any more. */
export async function call<Name extends OperationName>(
  address: ControlAddress,
  name: Name,
  args: Args<Name>,
  { patience = 0 }: { readonly patience?: number } = {},
): Promise<Result<Name>> {
  const asked = JSON.stringify(args)
  const bytes = Buffer.byteLength(asked)
  // The process would refuse it before it has read it, which looks like its end from here.
  if (bytes > requestLimit)
    throw new ActorError('BODY_INVALID', `The body is too large: found ${bytes} bytes, expected at most 1 MiB of JSON`)
  const limit = Math.min(operations[name].limit + patience, longestTimer)
  const { status, body } = await post(address, name, asked, limit).catch(async (error) => {
    throw (await unfinished(error, address, name, limit)) ?? explained(error, address, limit)
  })
  if (status !== 200) throw fromErrorData(read(failure, body, address).error)
  // One of them, which its name tells: the compiler sees all of them.
  return read(operations[name].result as unknown as z.ZodType<Result<Name>>, body, address)
}

/** Whether an error says that the process is no more. */
export function isGone(error: unknown): boolean {
  return error instanceof ActorError && error.details.isGone === true
}

async function post({ socket }: ControlAddress, name: string, body: string, limit: number): Promise<{ status: number; body: string }> {
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: string }>()
  const sending = request(
    { socketPath: socket, path: `${apiPath}${name}`, method: 'POST', headers, agent: false, signal: AbortSignal.timeout(limit) },
    (response) => {
      text(response).then((answer) => resolve({ status: response.statusCode ?? 0, body: answer }), reject)
    },
  )
  sending.on('error', reject)
  sending.end(body)
  return await promise
}

function read<Value>(schema: z.ZodType<Value>, body: string, { pid }: ControlAddress): Value {
  try {
    return schema.parse(JSON.parse(body))
  } catch (cause) {
    const message = `Process ${pid} answers in a way that this version of the command does not know: restart it`
    throw new ActorError('STOPPED', message, { cause, details: { pid } })
  }
}

/** What a process has not done in time, although it still says how it is; that is worth asking only where it may have taken long. */
async function unfinished(
  error: NodeJS.ErrnoException,
  address: ControlAddress,
  name: OperationName,
  limit: number,
): Promise<ActorError | undefined> {
  if (error.code !== 'ABORT_ERR' || operations[name].limit <= operations.look.limit) return undefined
  const seen = await call(address, 'look', {}).catch(() => undefined)
  if (!seen) return undefined
  const { pid } = address
  const reasons = seen.status.reasons.join('; ') || 'it does not say why'
  const message = `Process ${pid} did not finish this within ${limit / 1_000} s, and goes on with it: ${reasons}`
  return new ActorError('ASK_TIMEOUT', message, { cause: error, details: { pid } })
}

function explained(error: NodeJS.ErrnoException, { pid, entry }: ControlAddress, limit: number): ActorError {
  const options = { cause: error, details: { pid } }
  switch (error.code) {
    case 'ECONNREFUSED':
    case 'ENOENT':
      return new ActorError('STOPPED', `Process ${pid} has ended`, { cause: error, details: { pid, isGone: true } })
    case 'ECONNRESET':
    case 'EPIPE':
      return new ActorError('STOPPED', `Process ${pid} ended before it had answered`, options)
    case 'ABORT_ERR':
      return new ActorError('ACTOR_HUNG', `Process ${pid} did not answer within ${limit / 1_000} s: it is frozen, or far too busy`, options)
    case 'EACCES':
      return new ActorError('CONFIG_INVALID', `Process ${pid} belongs to another user (${entry})`, options)
    default:
      return new ActorError('STOPPED', `Process ${pid} cannot be asked: ${error.message}`, options)
  }
}
