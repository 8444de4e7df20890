import type { Book, Level } from './book.ts'
import type { Side } from './market.ts'
import { bell, createRandom } from './random.ts'
import { onePrice, oneShare, type Price } from './units.ts'

/** One made-up market: what it is called, when it lives, and how it will end. Everything follows from the seed and its number. */
export interface Life {
  readonly seed: string
  readonly id: string
  /** Its place, and how many markets had this place before. */
  readonly place: number
  readonly generation: number
  readonly begins: number
  readonly ends: number
  /** The event of several places of which one wins; undefined for a market of its own. */
  readonly event?: { readonly id: string; readonly places: readonly number[] }
  readonly winner: Side
  readonly tick: Price
  /** Millionths. */
  readonly rate: number
  /** How far the market is from what is likely, in probability. */
  readonly bias: number
}

const hour = 3_600_000
const lifetimes = [6 * hour, 12 * hour, 24 * hour, 48 * hour, 96 * hour]
const eventSize = 4

/** The market that lives at a place at a moment. The first places are those of the events. */
export function lifeAt(seed: string, place: number, events: number, moment: number, epoch: number): Life {
  const first = place < events * eventSize ? place - (place % eventSize) : undefined
  // The markets of an event begin and end together.
  const lifetime = pick(lifetimes, createRandom(seed, 'lifetime', first ?? place)())
  const generation = Math.floor((moment - epoch) / lifetime)
  return lifeOf({ seed, place, generation, first, begins: epoch + generation * lifetime, lifetime })
}

/** The market with this number, whenever it lives. */
export function lifeById(seed: string, id: string, events: number, epoch: number): Life | undefined {
  const [generation, place] = [Number(id.slice(1, -3)), Number(id.slice(-3))]
  if (!/^9\d{4,18}$/.test(id)) return undefined
  const lifetime = lifeAt(seed, place, events, epoch, epoch).ends - epoch
  const life = lifeAt(seed, place, events, epoch + generation * lifetime, epoch)
  return life.id === id ? life : undefined
}

interface Birth {
  readonly seed: string
  readonly place: number
  readonly generation: number
  readonly first: number | undefined
  readonly begins: number
  readonly lifetime: number
}

function lifeOf({ seed, place, generation, first, begins, lifetime }: Birth): Life {
  const random = createRandom(seed, 'life', place, generation)
  const [fate, kind, tick, rate] = [random(), random(), random(), random()]
  const places = first === undefined ? [] : Array.from({ length: eventSize }, (_, at) => first + at)
  const wins = first === undefined ? fate < likely(leaning(seed, place, generation)) : winnerOf(seed, places, generation) === place
  return {
    ...{ seed, place, generation, begins, ends: begins + lifetime, id: `9${generation}${String(place).padStart(3, '0')}` },
    ...(first !== undefined && { event: { id: `8${generation}${String(first).padStart(3, '0')}`, places } }),
    winner: wins ? 'YES' : 'NO',
    tick: tick < 0.6 ? 100 : 10,
    rate: pick([0, 40_000, 50_000], rate),
    // A quarter of the markets is wrong by enough to be worth something after costs.
    bias: first === undefined && kind < 0.25 ? (fate < 0.5 ? -1 : 1) * (0.14 + 0.12 * random()) : 0,
  }
}

function leaning(seed: string, place: number, generation: number): number {
  return bell(createRandom(seed, 'leaning', place, generation)) * 0.9
}

function winnerOf(seed: string, places: readonly number[], generation: number): number | undefined {
  const weights = places.map((place) => Math.exp(leaning(seed, place, generation)))
  let fate = createRandom(seed, 'winner', places[0] ?? 0, generation)() * weights.reduce((sum, weight) => sum + weight, 0)
  return places.find((_, at) => {
    fate -= weights[at] ?? 0
    return fate < 0
  })
}

/** How likely YES is at a moment: it wanders, and ends where the market ends. */
export function fairAt(life: Life, moment: number): number {
  if (life.event === undefined) return likely(logit(life, life.place, life.winner === 'YES', moment))
  const winner = winnerOf(life.seed, life.event.places, life.generation)
  const weights = life.event.places.map((place) => Math.exp(logit(life, place, place === winner, moment)))
  return (weights[life.place - (life.event.places[0] ?? 0)] ?? 0) / weights.reduce((sum, weight) => sum + weight, 0)
}

function logit({ seed, generation, begins, ends }: Life, place: number, wins: boolean, moment: number): number {
  const part = Math.min(1, Math.max(0, (moment - begins) / (ends - begins)))
  const random = createRandom(seed, 'waves', place, generation)
  const waves = [3, 7, 17].reduce(
    (sum, pace) => sum + ((0.6 * random()) / Math.sqrt(pace)) * Math.sin(pace * part * 6 + 6.28 * random()),
    0,
  )
  return leaning(seed, place, generation) + waves + (wins ? 9 : -9) * part ** 6
}

function likely(value: number): number {
  return 1 / (1 + Math.exp(-value))
}

/** The book of YES at a moment, shaped like the recorded ones: a thin best level, much more further out, asks reaching far up. */
export function bookAt(life: Life, token: string, moment: number): Book {
  const random = createRandom(life.seed, 'book', life.id, moment)
  const { tick } = life
  const part = (moment - life.begins) / (life.ends - life.begins)
  // Whoever is wrong finds out towards the end.
  const middle = fairAt(life, moment) + life.bias * (1 - part ** 4)
  const half = (tick / 2) * (1 + Math.floor(random() * random() * 5))
  const at = Math.min(onePrice - 2 * tick, Math.max(2 * tick, middle * onePrice))
  const bid = Math.max(tick, Math.floor((at - half) / tick) * tick)
  const ask = Math.min(onePrice - tick, Math.max(bid + tick, Math.ceil((at + half) / tick) * tick))
  return {
    ...{ source: 'simulated', depth: 'full', token, at: moment, seen: moment, hash: `simulated ${moment}`, tick, minShares: 5 * oneShare },
    bids: levelsFrom(bid, -tick, random),
    asks: levelsFrom(ask, tick, random),
  }
}

function levelsFrom(best: Price, tick: number, random: () => number): Level[] {
  const levels: Level[] = []
  for (let price = best; price > 0 && price < onePrice && levels.length < 20; price += tick * (1 + Math.floor(random() * 4))) {
    const size = Math.exp(4.5 + Math.min(levels.length, 6) * 0.5 + 1.3 * bell(random))
    levels.push({ price, shares: Math.max(oneShare, Math.round(size * oneShare)) })
  }
  return levels
}

function pick<Value>(values: readonly Value[], random: number): Value {
  return values[Math.floor(random * values.length)] as Value
}
