import { ActorError, type Http } from 'troupe/actor'
import { createPace, type Fetch, politeDefaults } from '../markets/polite.ts'
import { createPolymarket } from '../markets/polymarket.ts'
import { type Recording, readRecording } from '../markets/recording.ts'
import { createReplay, spanOf } from '../markets/replay.ts'
import { createSimulated, simulatedDefaults } from '../markets/simulated.ts'
import type { MarketSource } from '../markets/source.ts'
import type { Opinion } from '../markets/strategies/strategy.ts'
import { expectedName, fallback, parseSourceName, type SourceSpec } from './source-name.ts'

export { mayOpen, platformOf, sourceName } from './source-name.ts'

export interface OpenOptions {
  /** The turn's ctx.http; only the live source uses it. */
  readonly http: Http
  /** Ms since 1970. */
  readonly clock?: () => number
  readonly signal?: AbortSignal
}

/** A market source that is ready to be asked. */
export interface OpenSource {
  /** How to open the very same one again, also from another thread; never auto. */
  readonly name: string
  readonly source: MarketSource
  readonly isSimulated: boolean
  /** What people should know of it, and why it is this one. */
  readonly detail: string
  /** Only where everything is made up: what somebody who knows more than the market would say. */
  readonly opinion?: (marketId: string) => Promise<Opinion | undefined>
}

// One for all turns of a thread: each opens the exchange anew, some twice, and would start in a hurry.
const pace = createPace(politeDefaults.spacing)
// A recording is read once a thread: it may be large, and never changes.
const recordings = new Map<string, Recording>()

/**
 * Opens a source by its name for one turn. `auto` is the exchange if it answers now, else a simulation that says why; keep the name that
 * comes back, so that the next turn does not find another market.
 */
export async function openSource(name: string, options: OpenOptions): Promise<OpenSource> {
  const spec = parseSourceName(name)
  if (spec === undefined)
    throw new ActorError('CONFIG_INVALID', `There is no market source "${name}": ${expectedName}`, { details: { name } })
  switch (spec.kind) {
    case 'auto':
      return await openAuto(options)
    case 'polymarket':
      return { name, source: live(options), isSimulated: false, detail: 'Polymarket, live prices' }
    case 'replay':
      return openReplay(spec, options)
    case 'simulated':
      return openSimulated(name, spec, options)
  }
}

async function openAuto(options: OpenOptions): Promise<OpenSource> {
  const source = live(options)
  const health = await source.health(options.signal && { signal: options.signal })
  if (health.ok) return { name: 'polymarket', source, isSimulated: false, detail: 'Polymarket, live prices' }
  const opened = await openSource(fallback, options)
  return { ...opened, detail: `SIMULATED, because Polymarket does not answer (${health.detail})` }
}

function live({ http, clock = Date.now }: OpenOptions): MarketSource {
  return createPolymarket({ fetch: fetchOver(http), now: clock, pace })
}

/** Stands at the end of what was recorded, or runs from its beginning, `speed` times as fast, since the moment that the name says. */
function openReplay({ folder, speed, started }: SourceSpec & { kind: 'replay' }, { clock = Date.now }: OpenOptions): OpenSource {
  const recording = recordings.get(folder) ?? readRecording(folder)
  recordings.set(folder, recording)
  const { begins, ends } = spanOf(recording)
  const since = started ?? clock()
  const now = speed === 0 ? () => ends : () => Math.floor(begins + (clock() - since) * speed)
  const name = speed === 0 ? `replay:${folder}` : `replay:${folder}?speed=${speed}&started=${since}`
  const pace = speed === 0 ? 'its last moment' : `${speed} times as fast`
  return { name, source: createReplay({ recording, now }), isSimulated: false, detail: `a recording from ${folder}, ${pace}` }
}

function openSimulated(
  name: string,
  { seed, speed, ...rest }: SourceSpec & { kind: 'simulated' },
  { clock = Date.now }: OpenOptions,
): OpenSource {
  const { epoch } = simulatedDefaults
  const given = Object.fromEntries(Object.entries(rest).filter(([key, value]) => key !== 'kind' && value !== undefined))
  // From the epoch, not from a start: every thread and process has the same moment, also after a restart.
  const now = () => Math.floor(epoch + (clock() - epoch) * speed)
  const source = createSimulated({ seed, now, epoch, ...given })
  const opinion = (marketId: string) => source.opinion(marketId)
  return { name, source, isSimulated: true, detail: `SIMULATED markets (seed ${seed}): nothing here is real`, opinion }
}

/** What the source asks of fetch, through the host's pool: built-in fetch takes memory in every thread. */
function fetchOver(http: Http): Fetch {
  return async (url, { method = 'GET', headers = {}, body, signal } = {}) => {
    const answer = await http(url, { method, headers, ...(body !== undefined && { body }), ...(signal && { signal }) })
    const cancel = async () => {
      for await (const _ of answer.body) break
    }
    const get = (header: string) => answer.headers[header.toLowerCase()] ?? null
    const chunks = { [Symbol.asyncIterator]: () => answer.body[Symbol.asyncIterator](), cancel }
    return { status: answer.status, ok: answer.ok, headers: { get }, body: chunks }
  }
}
