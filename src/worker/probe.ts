import { flushCompileCache } from 'node:module'
import { parentPort, workerData } from 'node:worker_threads'
import type { Definition, Schema } from '../actor.ts'
import type { Manifest } from '../core/agent.ts'
import type { ErrorData } from '../core/frames.ts'
import { toErrorData } from './error-data.ts'
import { loadDefinition } from './load.ts'
import { jsonSchemaOf } from './schema.ts'

/** What a probe thread is started with, as its workerData: the actor file's path. */
export type Probed = { readonly file: string }

/** The one message of a probe thread. Without it the thread died of the file: its error and exit say more. */
export type ProbeAnswer =
  | { readonly ok: true; readonly file: string; readonly manifest: Manifest }
  | { readonly ok: false; readonly file: string; readonly error: ErrorData }

/** What a definition says of itself, as data. */
function manifestOf({ messages, jobs, receive, run, sql = [], origins = [], persist = false }: Definition): Manifest {
  return { messages: typesOf(receive, messages), jobs: typesOf(run, jobs), sql, origins, persist }
}

function typesOf(handlers: object = {}, schemas: Readonly<Record<string, Schema | true>> = {}): Record<string, unknown> {
  return Object.fromEntries(Object.keys(handlers).map((type) => [type, jsonSchemaOf(schemas[type])]))
}

async function probe(file: string): Promise<ProbeAnswer> {
  try {
    return { ok: true, file, manifest: manifestOf(await loadDefinition(file)) }
  } catch (error) {
    return { ok: false, file, error: toErrorData(error) }
  }
}

if (parentPort) {
  const answer = await probe((workerData as Probed).file)
  // Each thread that compiled the file again would need 6 MB more, and 20 ms.
  flushCompileCache()
  parentPort.postMessage(answer)
  // The file may have left a timer or a socket open.
  process.exit()
}
