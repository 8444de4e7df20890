import { flushCompileCache } from 'node:module'
import { parentPort, workerData } from 'node:worker_threads'
import type { Definition, Schema } from '../actor.ts'
import type { Manifest } from '../core/agent.ts'
import type { ErrorData } from '../core/frames.ts'
import type { JsonText } from '../core/message.ts'
import { toErrorData } from './error-data.ts'
import { loadDefinition } from './load.ts'
import { issueTextFor, jsonSchemaOf, parse } from './schema.ts'

/** What a probe thread is started with, as its workerData: the actor file's path, and args that it may be started with. */
export type Probed = { readonly file: string; readonly args: readonly JsonText[] }

/** The one message of a probe thread. Without it the thread died of the file: its error and exit say more. */
export type ProbeAnswer =
  | {
      readonly ok: true
      readonly file: string
      readonly manifest: Manifest
      /** What the file's schema has against each of the args. */
      readonly issues: readonly (readonly string[])[]
    }
  | { readonly ok: false; readonly file: string; readonly error: ErrorData }

/** What a definition says of itself, as data. */
function manifestOf({ messages, jobs, receive, run, sql = [], origins = [], persist = false }: Definition): Manifest {
  return { messages: typesOf(receive, messages), jobs: typesOf(run, jobs), sql, origins, persist }
}

function typesOf(handlers: object = {}, schemas: Readonly<Record<string, Schema | true>> = {}): Record<string, unknown> {
  return Object.fromEntries(Object.keys(handlers).map((type) => [type, jsonSchemaOf(schemas[type])]))
}

async function issuesOf({ args: schema }: Definition, args: JsonText): Promise<readonly string[]> {
  try {
    const given: unknown = JSON.parse(args)
    const { issues = [] } = await parse(schema, given, 'args', issueTextFor(given))
    return issues
  } catch (error) {
    return [`args: their schema failed: ${toErrorData(error).message}`]
  }
}

async function probe({ file, args }: Probed): Promise<ProbeAnswer> {
  try {
    const definition = await loadDefinition(file)
    const issues: (readonly string[])[] = []
    for (const one of args) issues.push(await issuesOf(definition, one))
    return { ok: true, file, manifest: manifestOf(definition), issues }
  } catch (error) {
    return { ok: false, file, error: toErrorData(error) }
  }
}

if (parentPort) {
  const answer = await probe(workerData as Probed)
  // Each thread that compiled the file again would need 6 MB more, and 20 ms.
  flushCompileCache()
  parentPort.postMessage(answer)
  // The file may have left a timer or a socket open.
  process.exit()
}
