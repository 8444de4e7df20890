import { Worker } from 'node:worker_threads'
import type { Manifest } from '../core/agent.ts'
import { ActorError } from '../core/errors.ts'
import type { ProbeAnswer, Probed } from '../worker/probe.ts'
import { threadEnv } from './thread.ts'

const limit = 30_000
const probeFile = new URL('../worker/probe.ts', import.meta.url)

/** Finds out what copies of actor files say of themselves, each once, because a copy never changes; one that fails may be tried again. */
export function createProbe() {
  const known = new Map<string, Promise<Manifest>>()
  return {
    /** Throws MODULE_INVALID naming the file and what is wrong with it. */
    manifestOf(file: string): Promise<Manifest> {
      const found = known.get(file)
      if (found !== undefined) return found
      const manifest = probe(file)
      known.set(file, manifest)
      manifest.catch(() => known.delete(file))
      return manifest
    },
  }
}

async function probe(file: string): Promise<Manifest> {
  const answer = await askThread(file)
  if (answer.ok) return answer.manifest
  throw new ActorError('MODULE_INVALID', answer.error.message, { details: { file, ...answer.error.details } })
}

function askThread(file: string): Promise<ProbeAnswer> {
  // What the file prints while it is loaded is nobody's: its threads will say it again.
  const workerData: Probed = { file }
  const worker = new Worker(probeFile, { execArgv: [], env: threadEnv(), workerData, stdout: true, stderr: true })
  worker.stdout.resume()
  worker.stderr.resume()
  const invalid = (says: string, cause?: unknown) =>
    new ActorError('MODULE_INVALID', `${file} ${says}`, { ...(cause !== undefined && { cause }), details: { file } })
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(invalid(`was not loaded within ${limit / 1_000} s: let it do its work in init or in a handler`))
      void worker.terminate()
    }, limit)
    worker.once('message', resolve)
    worker.once('error', (cause) => reject(invalid(`cannot be loaded: ${cause.message}`, cause)))
    worker.once('exit', (code) => {
      clearTimeout(timer)
      reject(invalid(`ended its thread (exit code ${code}) while it was loaded`))
    })
  })
}
