import { realpath } from 'node:fs/promises'
import { isAbsolute, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Transferable } from 'node:worker_threads'
import * as z from 'zod'
import { ActorError } from '../core/errors.ts'
import { longestTimer } from '../core/longest-timer.ts'

/** A task that an actor asks for. */
export type Order = {
  readonly file: string
  /** Of its export. */
  readonly name: string
  /** For people: actors/lib/detect.ts#score. */
  readonly title: string
  readonly input: unknown
  readonly timeout: number
  readonly transfer: readonly Transferable[]
}

/** Where tasks may lie: in a copy of an actor's code, or in the folder of actor files itself. */
export type Places = { readonly code: string; readonly actors?: string | undefined }

const asked = z.object({
  task: z.string().max(10_000),
  input: z.unknown().optional(),
  timeout: z.number().positive().max(longestTimer).optional(),
  transfer: z.array(z.custom<Transferable>()).default([]),
})

/** Makes the reader of what actors ask for; it throws COMPUTE_FAILED for what is not to be run. */
export function createOrders({ code, actors }: Places, defaultTimeout: number) {
  const known = new Map<string, Promise<string>>()

  /** A file's own URL is free of links, the way to the folder need not be. Asked once, so that tasks keep their order. */
  function realOf(folder: string): Promise<string> {
    const real = known.get(folder) ?? realpath(folder).catch(() => folder)
    known.set(folder, real)
    return real
  }

  /** The file's path for people, if tasks may lie there. */
  async function placeOf(file: string): Promise<string | undefined> {
    const inCode = within(await realOf(code), file)
    // Beside the copies there may be links to packages and to Troupe's own code.
    if (inCode !== undefined) return /^[0-9a-f]{16}\/(?<rest>.+)/.exec(inCode)?.groups?.rest
    return actors === undefined ? undefined : within(await realOf(actors), file)
  }

  return async function read(given: unknown): Promise<Order> {
    const { success, data } = asked.safeParse(given)
    if (!success) throw refused('What ctx.compute was given is not what it takes', 'a task, an input, a timeout and a transfer list')
    const { file, name } = locate(data.task)
    const place = await placeOf(file)
    if (place === undefined || place.split('/').includes('node_modules'))
      throw refused(`The task ${file} is not a file of the actors`, "new URL('./file.ts#name', import.meta.url) in an actor file")
    const { input, timeout = defaultTimeout, transfer } = data
    return { file, name, title: `${place}#${name}`, input, timeout, transfer }
  }
}

function locate(task: string): { file: string; name: string } {
  try {
    const url = new URL(task)
    const name = decodeURIComponent(url.hash.slice(1))
    if (name !== '') return { file: fileURLToPath(url), name }
  } catch {
    // Said below.
  }
  throw refused(
    `The task ${JSON.stringify(task.slice(0, 200))} names no function of a file`,
    'a file URL with the name of an export as its hash',
  )
}

/** The path of a file inside a folder, or nothing. */
function within(folder: string, file: string): string | undefined {
  const path = relative(folder, file)
  return path === '' || path === '..' || path.startsWith(`..${sep}`) || isAbsolute(path) ? undefined : path.split(sep).join('/')
}

function refused(says: string, expected: string): ActorError {
  return new ActorError('COMPUTE_FAILED', `${says}, expected ${expected}`, { details: { reason: 'refused' } })
}
