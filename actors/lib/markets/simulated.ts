import { type Book, type Level, mirror } from './book.ts'
import type { Market, MarketEvent } from './market.ts'
import { createRandom } from './random.ts'
import { pageOf } from './replay.ts'
import { bookAt, fairAt, type Life, lifeAt, lifeById } from './simulation.ts'
import { type MarketSource, type PricePoint, spans } from './source.ts'
import type { Opinion } from './strategies/strategy.ts'
import { oneShare, priceOf, shareCount } from './units.ts'

export interface SimulatedOptions {
  readonly seed: string | number
  /** Ms since 1970; a `virtualClock` makes it run faster. */
  readonly now: () => number
  /** How many markets are open at a time, at most 1,000. */
  readonly markets?: number
  /** How many of them, in fours, are events of which one outcome wins. */
  readonly events?: number
  /** Ms for which every book stays as it is; 0 is for ever. */
  readonly interval?: number
  /** When the first markets began. */
  readonly epoch?: number
}

/** A made-up market source. It also plays somebody who knows more than the market: opinions to test a team with, worth nothing elsewhere. */
export interface Simulated extends MarketSource {
  readonly name: 'simulated'
  opinion(marketId: string): Promise<Opinion | undefined>
}

export const simulatedDefaults = { markets: 60, events: 3, interval: 60_000, epoch: Date.UTC(2026, 0, 1) } as const

/**
 * Makes markets up from a seed. Everything is a function of the seed and the moment: no memory, so that a restart, another thread and
 * another order of questions see the same. Everything that comes from it says `source: 'simulated'`.
 */
export function createSimulated(options: SimulatedOptions): Simulated {
  const { now, markets: count, events: eventCount, interval, epoch } = { ...simulatedDefaults, ...options }
  const seed = String(options.seed)
  // A standing market stands a third of the shortest life in, where there is something to do.
  const time = () => (interval === 0 ? epoch + 7_200_000 : Math.max(epoch, now()))
  const moment = () => (interval === 0 ? time() : time() - ((time() - epoch) % interval))
  const lifeHere = (place: number, at = moment()) => lifeAt(seed, place, eventCount, at, epoch)
  const livesHere = () => Array.from({ length: Math.min(count, 1_000) }, (_, place) => lifeHere(place))

  function lifeOfToken(token: string): Life | undefined {
    return /[12]$/.test(token) ? known(token.slice(0, -1)) : undefined
  }

  function known(id: string): Life | undefined {
    const life = lifeById(seed, id, eventCount, epoch)
    return life !== undefined && life.place < count && life.begins <= moment() ? life : undefined
  }

  function bookOf(token: string): Book | undefined {
    const life = lifeOfToken(token)
    if (life === undefined || life.ends <= moment()) return undefined
    const yes = bookAt(life, `${life.id}1`, moment())
    const book = token.endsWith('1') ? yes : slipped(mirror(yes, token), life, moment())
    return { ...book, seen: time() }
  }

  function eventsHere(): MarketEvent[] {
    const firsts = Array.from({ length: Math.min(eventCount, Math.floor(count / 4)) }, (_, at) => lifeHere(at * 4))
    return firsts.flatMap(({ event }) => {
      if (event === undefined) return []
      const markets = event.places.map((place) => marketOf(lifeHere(place), moment()))
      return [{ ...groupOf(event.id), source: 'simulated' as const, markets, unread: 0 }]
    })
  }

  const openMarkets = () =>
    livesHere()
      .map((life) => marketOf(life, moment()))
      .toSorted((one, other) => other.volume24h - one.volume24h)

  return {
    name: 'simulated',
    now: time,
    markets: async (page) => pageOf(openMarkets(), page),
    events: async (page) => pageOf(eventsHere(), page),
    async search(words, { limit = 20 } = {}) {
      return openMarkets()
        .filter(({ question }) => question.toLowerCase().includes(words.toLowerCase()))
        .slice(0, limit)
    },
    async market(id) {
      const life = known(id)
      return life && marketOf(life, moment())
    },
    async books(tokens) {
      const books = tokens.map(bookOf).filter((book) => book !== undefined)
      return new Map(books.map((book) => [book.token, book]))
    },
    async history(token, { interval: span = '1d', fidelity = 60 } = {}) {
      const life = lifeOfToken(token)
      if (life === undefined) return []
      const step = fidelity * 60_000
      const from = Math.max(life.begins, moment() - spans[span])
      const length = Math.max(0, Math.floor((Math.min(moment(), life.ends - 1) - from) / step) + 1)
      return Array.from({ length }, (_, at): PricePoint => ({ at: from + at * step, price: shownAt(life, token, from + at * step) }))
    },
    async opinion(marketId) {
      const life = known(marketId)
      if (life === undefined || life.ends <= moment()) return undefined
      const random = createRandom(seed, 'opinion', marketId)
      const probability = fairAt(life, moment()) + 0.04 * (random() - 0.5)
      return { probability: Math.min(0.99, Math.max(0.01, probability)), confidence: 0.65 + 0.3 * random() }
    },
    health: async () => ({ ok: true, detail: `SIMULATED markets, seed ${seed}: nothing here is real` }),
  }
}

/** Now and then the two books of a market do not fit together, and a pair costs less than it pays. */
function slipped(no: Book, life: Life, moment: number): Book {
  const random = createRandom(life.seed, 'slip', life.id, moment)
  const slip = random() < 0.03 ? Math.round((1_200 + 800 * random()) / no.tick) * no.tick : 0
  const moved = (levels: readonly Level[]) =>
    levels.map(({ price, shares }) => ({ price: price - slip, shares })).filter(({ price }) => price > 0)
  return slip === 0 ? no : { ...no, bids: moved(no.bids), asks: moved(no.asks) }
}

function shownAt(life: Life, token: string, moment: number): number {
  const { bids, asks } = bookAt(life, token, moment)
  const middle = ((bids[0]?.price ?? 0) + (asks[0]?.price ?? 0)) / 2
  return token.endsWith('1') ? priceOf(middle) : 1 - priceOf(middle)
}

function groupOf(id: string) {
  return { id, slug: `simulated-event-${id}`, title: `Simulated event ${id}`, negRisk: true }
}

function marketOf(life: Life, moment: number): Market {
  const { id, event, tick, rate, winner, begins, ends } = life
  const isOpen = moment < ends
  const { bids, asks } = bookAt(life, `${id}1`, Math.min(moment, ends - 1))
  const [bid, ask] = [bids[0]?.price, asks[0]?.price]
  const volume = 2_000 + 500_000 * createRandom(life.seed, 'volume', id)() ** 3
  const middle = priceOf((bid ?? 0) + (ask ?? 0)) / 2
  return {
    ...{ source: 'simulated', id, conditionId: `0x${id.padStart(64, '0')}`, slug: `simulated-${id}` },
    question: `Simulated: will number ${id} come true?`,
    description: 'A made-up market. Nothing here is real.',
    outcomes: ['Yes', 'No'],
    tokens: [`${id}1`, `${id}2`],
    shown: isOpen ? [middle, 1 - middle] : winner === 'YES' ? [1, 0] : [0, 1],
    quote: isOpen ? { ...(bid !== undefined && { bid }), ...(ask !== undefined && { ask }) } : {},
    ...{ tick, minShares: 5 * oneShare, fees: { rate, exponent: 1 }, volume24h: volume, volume: volume * 3 },
    liquidity: shareCount([...bids, ...asks].reduce((sum, { shares }) => sum + shares, 0)) / 2,
    ...{
      endsAt: ends,
      updatedAt: moment,
      active: true,
      closed: !isOpen,
      archived: false,
      accepting: isOpen,
      hasBook: true,
      deciding: false,
    },
    resolution: isOpen ? 'open' : winner,
    ...(event !== undefined && { group: groupOf(event.id) }),
    negRisk: event !== undefined,
    title: `number ${life.place}`,
    isOther: event !== undefined && life.place === event.places.at(-1),
    odd: begins > moment ? ['startDate'] : [],
  }
}
