import { createHash } from 'node:crypto'
import { Worker } from 'node:worker_threads'
import type { Manifest } from '../core/agent.ts'
import { ActorError } from '../core/errors.ts'
import type { JsonText } from '../core/message.ts'
import type { ProbeAnswer, Probed } from '../worker/probe.ts'
import { threadEnv } from './thread.ts'

const limit = 30_000
/** More than one reading of documents has. */
const judgedAtMost = 5_000
const probeFile = new URL('../worker/probe.ts', import.meta.url)

/** What is known of copies of actor files. */
export type Probe = {
  /** Throws MODULE_INVALID naming the file and what is wrong with it. A thread that is needed for it tries the args as well. */
  manifestOf(file: string, args?: readonly JsonText[]): Promise<Manifest>
  /** What the file's schema has against each of the args; nothing: it takes them. */
  issuesOf(file: string, args: readonly JsonText[]): Promise<readonly (readonly string[])[]>
}

/** Finds out what copies of actor files say of themselves, each once, because a copy never changes; one that fails may be tried again. */
export function createProbe(): Probe {
  const known = new Map<string, Promise<Manifest>>()
  /** By file and args, those that were asked for last. */
  let judged = new Map<string, readonly string[]>()

  const keyOf = (file: string, args: JsonText) => createHash('sha256').update(`${file} ${args}`).digest('base64')

  async function ask(probed: Probed): Promise<Manifest> {
    const { manifest, issues } = accepted(await askThread(probed))
    for (const [index, one] of probed.args.entries()) judged.set(keyOf(probed.file, one), issues[index] ?? [])
    return manifest
  }

  function manifestOf(file: string, args: readonly JsonText[] = []): Promise<Manifest> {
    const found = known.get(file)
    if (found !== undefined) return found
    const manifest = ask({ file, args })
    known.set(file, manifest)
    manifest.catch(() => known.delete(file))
    return manifest
  }

  return {
    manifestOf,
    async issuesOf(file, args) {
      const open = [...new Set(args)].filter((one) => !judged.has(keyOf(file, one)))
      if (open.length > 0) await ask({ file, args: open })
      const answers = args.map((one) => judged.get(keyOf(file, one)) ?? [])
      if (judged.size > judgedAtMost) judged = new Map(args.map((one, index) => [keyOf(file, one), answers[index] ?? []]))
      return answers
    },
  }
}

function accepted(answer: ProbeAnswer): Extract<ProbeAnswer, { ok: true }> {
  if (answer.ok) return answer
  throw new ActorError('MODULE_INVALID', answer.error.message, { details: { file: answer.file, ...answer.error.details } })
}

function askThread({ file, args }: Probed): Promise<ProbeAnswer> {
  // What the file prints while it is loaded is nobody's: its threads will say it again.
  const workerData: Probed = { file, args }
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
