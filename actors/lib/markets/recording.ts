import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { ActorError } from 'troupe/actor'
import * as z from 'zod'
import { type Book, parseBook } from './book.ts'
import { parseEventPage, parseMarketPage } from './gamma.ts'
import type { Market, MarketEvent } from './market.ts'
import type { PricePoint } from './source.ts'

/** What was seen at one moment. */
export interface Snapshot<Item> {
  readonly at: number
  readonly items: readonly Item[]
  readonly unread: number
}

/** How a market ended, by the name of the outcome that won. */
export interface Verdict {
  readonly winner: string
  readonly at: number
}

/** Everything a folder of recorded answers holds, oldest first. Nothing in it is changed. */
export interface Recording {
  readonly markets: readonly Snapshot<Market>[]
  readonly events: readonly Snapshot<MarketEvent>[]
  readonly books: readonly Book[]
  /** Of the YES token. */
  readonly histories: ReadonlyMap<string, readonly PricePoint[]>
  /** By market. */
  readonly verdicts: ReadonlyMap<string, Verdict>
}

const time = z
  .string()
  .transform((text) => Date.parse(text))
  .pipe(z.number())
const verdictList = z.array(z.object({ id: z.string(), winner: z.string(), resolvedAt: time.nullish() })).min(1)
const priced = z.array(z.tuple([time, z.number().min(0).max(1)]))
const resolved = z.object({
  marketId: z.string(),
  yesToken: z.string(),
  resolvedAt: time,
  outcome: z.number().min(0).max(1),
  lastHours: priced,
  monthBefore: priced.nullish(),
})

/** Reads a folder of the exchange's answers: lists of markets or events, books, and lines of price histories; each file by what is in it. */
export function readRecording(folder: string): Recording {
  const read = { markets: [], events: [], books: [], histories: new Map(), verdicts: new Map() } as Mutable
  const names = globSync('{*,*/*}.{json,json.gz,jsonl,jsonl.gz}', { cwd: folder }).sort()
  if (names.length === 0) throw new ActorError('SOURCE_FAILED', `${folder}: no recorded answers there`, { details: { folder } })
  for (const name of names) readFile(join(folder, name), name, read)
  return { ...read, markets: read.markets.toSorted(byTime), events: read.events.toSorted(byTime), books: read.books.toSorted(byTime) }
}

interface Mutable {
  readonly markets: Snapshot<Market>[]
  readonly events: Snapshot<MarketEvent>[]
  readonly books: Book[]
  readonly histories: Map<string, readonly PricePoint[]>
  readonly verdicts: Map<string, Verdict>
}

function readFile(path: string, name: string, read: Mutable): void {
  try {
    const bytes = readFileSync(path)
    const text = (name.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8')
    if (/\.jsonl(\.gz)?$/.test(name)) readLines(text, read)
    else readAnswer(JSON.parse(text), read)
  } catch (cause) {
    throw new ActorError('SOURCE_FAILED', `${path} cannot be read`, { cause, details: { path } })
  }
}

function readAnswer(answer: unknown, read: Mutable): void {
  const verdicts = verdictList.safeParse(answer).data
  if (verdicts !== undefined) {
    // Without a time nobody can have known it.
    for (const { id, winner, resolvedAt } of verdicts) if (resolvedAt) read.verdicts.set(id, { winner, at: resolvedAt })
    return
  }
  for (const entry of Array.isArray(answer) ? answer : [answer]) {
    const book = parseBook(entry, { source: 'replay', seen: 0 })
    if (book.ok) read.books.push(book.book)
  }
  const events = parseEventPage(answer, 'replay')
  if (events !== undefined && events.items.length > 0) {
    read.events.push(snapshotOf(events.items, events.unread.length, (event) => latest(event.markets)))
    return
  }
  const markets = parseMarketPage(answer, 'replay')
  if (markets === undefined || markets.items.length === 0 || !markets.items.some(({ tokens }) => tokens.length > 0)) return
  read.markets.push(snapshotOf(markets.items, markets.unread.length, (market) => market.updatedAt ?? 0))
}

/** An answer is as old as the newest thing in it. */
function snapshotOf<Item>(items: readonly Item[], unread: number, timeOf: (item: Item) => number): Snapshot<Item> {
  return { at: Math.max(...items.map(timeOf)), items, unread }
}

function latest(markets: readonly Market[]): number {
  return Math.max(0, ...markets.map(({ updatedAt }) => updatedAt ?? 0))
}

function readLines(text: string, read: Mutable): void {
  for (const line of text.split('\n').filter((one) => one !== '')) {
    const entry = resolved.safeParse(JSON.parse(line)).data
    if (entry === undefined) continue
    const { marketId, yesToken, resolvedAt, outcome, lastHours, monthBefore } = entry
    const points = [...(monthBefore ?? []), ...lastHours].map(([at, price]) => ({ at, price }))
    read.histories.set(yesToken, points.toSorted(byTime))
    if (outcome === 0 || outcome === 1) read.verdicts.set(marketId, { winner: outcome === 1 ? 'Yes' : 'No', at: resolvedAt })
  }
}

function byTime(one: { readonly at: number }, other: { readonly at: number }): number {
  return one.at - other.at
}
