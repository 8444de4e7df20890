import * as z from 'zod'

/** The name of a market source, taken apart. */
export type SourceSpec =
  | { readonly kind: 'auto' }
  | { readonly kind: 'polymarket' }
  | { readonly kind: 'replay'; readonly folder: string; readonly speed: number; readonly started?: number | undefined }
  | {
      readonly kind: 'simulated'
      readonly seed: string
      readonly speed: number
      readonly markets?: number | undefined
      readonly events?: number | undefined
      readonly interval?: number | undefined
    }

const count = z.coerce.number().int().min(0)
const replayOptions = z.strictObject({ speed: z.coerce.number().min(0).default(0), started: count.optional() })
const simulatedOptions = z.strictObject({
  speed: z.coerce.number().gt(0).default(1),
  markets: count.optional(),
  events: count.optional(),
  interval: count.optional(),
})

/** What auto stands for when the exchange does not answer. */
export const fallback = 'simulated:1'

/**
 * Reads a name: auto, polymarket, replay:<folder> or simulated:<seed>; the last two may carry options as an address does, such as
 * simulated:42?speed=60&markets=200 or replay:<folder>?speed=10. Undefined for anything else.
 */
export function parseSourceName(name: string): SourceSpec | undefined {
  if (name === 'auto' || name === 'polymarket') return { kind: name }
  const [, kind, what = '', query = ''] = /^(replay|simulated):([^?]+)(?:\?(.*))?$/s.exec(name) ?? []
  const given = Object.fromEntries(new URLSearchParams(query))
  if (kind === 'replay') {
    const options = replayOptions.safeParse(given).data
    return options && { kind, folder: what, ...options }
  }
  const options = kind === 'simulated' && /^[\w.-]{1,40}$/.test(what) ? simulatedOptions.safeParse(given).data : undefined
  return options && { kind: 'simulated', seed: what, ...options }
}

/** Whether everything there is made up. */
export function isSimulatedName(name: string): boolean {
  return parseSourceName(name)?.kind === 'simulated'
}

/** What kind of market it is, also for other programs: what is not real must not look like it, nor share its money. */
export function platformOf(name: string): 'polymarket' | 'replay' | 'simulated' {
  return isSimulatedName(name) ? 'simulated' : name === 'polymarket' ? 'polymarket' : 'replay'
}

/** What a name may be, for people. */
export const expectedName = 'expected auto, polymarket, replay:<folder> or simulated:<seed>'

/** For the args of an actor. */
export const sourceName = z.string().refine((name) => parseSourceName(name) !== undefined, { error: expectedName })

/**
 * Whether a source that a job names may be opened by an agent whose own is `own`: what comes from the database must not choose which
 * folder is read.
 */
export function mayOpen(name: string, own: string): boolean {
  const [spec, mine] = [parseSourceName(name), parseSourceName(own)]
  if (spec?.kind === 'replay') return mine?.kind === 'replay' && mine.folder === spec.folder
  return spec?.kind === 'polymarket' || spec?.kind === 'simulated'
}
