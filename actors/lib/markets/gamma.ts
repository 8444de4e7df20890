import * as z from 'zod'
import { readFees } from './fees.ts'
import type { Group, Market, MarketEvent, Quote, Resolution, SourceName } from './market.ts'
import { plainText } from './text.ts'
import { ceilNear, floorNear, onePrice, oneShare } from './units.ts'

/** One page of a list. `cursor` is absent on the last one; `unread` names the entries that are no markets at all. */
export interface Page<Item> {
  readonly items: readonly Item[]
  readonly cursor?: string
  readonly unread: readonly Unread[]
}

/** An entry that could not be read, with its id if it had one. */
export interface Unread {
  readonly id?: string
  readonly reason: 'malformed'
}

// Ids go into addresses, commands and keys: nothing but what the exchange itself uses gets that far.
const marketId = z.string().regex(/^\d{1,20}$/)
const conditionId = z.string().regex(/^0x[0-9a-fA-F]{1,64}$/)
const token = z.string().regex(/^\d{1,80}$/)
const slug = z.string().regex(/^[\p{L}\p{N}._-]{1,300}$/u)
const amount = z.union([z.number(), z.string().transform(Number)]).pipe(z.number())
const positive = amount.pipe(z.number().min(0))
const share = amount.pipe(z.number().min(0).max(1))
// The exchange has these ticks; a share of a hundredth or of a thousandth is usual.
const tick = share.transform((value) => Math.round(value * onePrice)).pipe(z.literal([1_000, 100, 50, 25, 10, 1]))
const time = z
  .string()
  .transform((written) => Date.parse(written))
  .pipe(z.number())
const record = z.custom<Readonly<Record<string, unknown>>>((value) => typeof value === 'object' && value !== null && !Array.isArray(value))
const text = z.string()
const truth = z.boolean()

/** A JSON array inside a string, as the catalogue writes lists; an array itself is taken too. */
function listOf<Item extends z.ZodType>(item: Item) {
  return z.preprocess((value) => (typeof value === 'string' ? parseJson(value) : value), z.array(item).max(100))
}

// Made once: to make a schema takes longer than to read a market.
const shares = listOf(share)
const names = listOf(text)
const tokens = listOf(token)
const groups = z.array(z.unknown()).transform((events) => parseGroup(events[0]))
const identified = z.object({ id: z.union([z.string(), z.number()]).transform(String) })
const cursorText = z.string().min(1)

function parseJson(written: string): unknown {
  try {
    return JSON.parse(written)
  } catch {
    return undefined
  }
}

/** Reads fields one by one: what is missing is undefined, what makes no sense is undefined and named in `odd`. */
function fieldsOf(raw: Readonly<Record<string, unknown>>) {
  const odd: string[] = []
  function read<Schema extends z.ZodType>(key: string, schema: Schema): z.output<Schema> | undefined {
    const value = raw[key]
    if (value === undefined || value === null || value === '') return undefined
    const parsed = schema.safeParse(value)
    if (!parsed.success) odd.push(key)
    return parsed.data
  }
  const line = (key: string, limit: number) => plainText(read(key, text) ?? '', limit).replace(/\s+/g, ' ')
  return { odd, read, line }
}

type Fields = ReturnType<typeof fieldsOf>

/** Reads one market of the catalogue, or says that it is none. A market that makes little sense is still read: `skipReason` keeps it out. */
export function parseMarket(value: unknown, source: SourceName, of?: Group): Market | undefined {
  const raw = record.safeParse(value)
  if (!raw.success) return undefined
  const fields = fieldsOf(raw.data)
  const id = fields.read('id', marketId)
  if (id === undefined) return undefined
  const flag = (key: string) => fields.read(key, truth) ?? false
  const closed = flag('closed')
  const shown = fields.read('outcomePrices', shares) ?? []
  const group = of ?? fields.read('events', groups)
  const fees = readFees(raw.data.feesEnabled, raw.data.feeSchedule)
  return withoutUndefined({
    source,
    id,
    ...textsOf(fields),
    conditionId: fields.read('conditionId', conditionId) ?? '',
    outcomes: (fields.read('outcomes', names) ?? []).map((name) => plainText(name, 100)),
    tokens: fields.read('clobTokenIds', tokens) ?? [],
    shown,
    quote: quoteOf(fields),
    tick: fields.read('orderPriceMinTickSize', tick) ?? 100,
    minShares: ceilNear((fields.read('orderMinSize', positive) ?? 5) * oneShare),
    fees,
    ...figuresOf(fields),
    active: flag('active'),
    closed,
    archived: flag('archived'),
    accepting: flag('acceptingOrders'),
    hasBook: flag('enableOrderBook'),
    deciding: (fields.read('umaResolutionStatus', text) ?? '') !== '',
    resolution: resolutionOf(closed, shown),
    group,
    negRisk: flag('negRisk') || group?.negRisk === true,
    isOther: flag('negRiskOther'),
    odd: fields.odd,
  })
}

function textsOf({ read, line }: Fields) {
  const description = plainText(read('description', text) ?? '', 4_000)
  return { slug: read('slug', slug) ?? '', question: line('question', 300), title: line('groupItemTitle', 100), description }
}

function figuresOf({ read }: Fields) {
  return {
    volume24h: read('volume24hr', positive) ?? 0,
    volume: read('volumeNum', positive) ?? read('volume', positive) ?? 0,
    liquidity: read('liquidityNum', positive) ?? read('liquidity', positive) ?? 0,
    endsAt: read('endDate', time),
    updatedAt: read('updatedAt', time),
  }
}

/** The bid is rounded down and the ask up: a first look must not be better than the book. */
function quoteOf({ read }: Fields): Quote {
  const bid = read('bestBid', share)
  const ask = read('bestAsk', share)
  return {
    ...(bid !== undefined && bid > 0 && { bid: floorNear(bid * onePrice) }),
    ...(ask !== undefined && ask < 1 && { ask: ceilNear(ask * onePrice) }),
  }
}

/** Only closed with one clear payout is a verdict; closed alone may be disputed still. */
function resolutionOf(closed: boolean, shown: readonly number[]): Resolution {
  if (!closed) return 'open'
  switch (shown.join()) {
    case '1,0':
      return 'YES'
    case '0,1':
      return 'NO'
    case '0.5,0.5':
      return 'split'
  }
  return 'undecided'
}

function parseGroup(value: unknown): Group | undefined {
  const raw = record.safeParse(value)
  if (!raw.success) return undefined
  const { read, line } = fieldsOf(raw.data)
  const id = read('id', marketId)
  if (id === undefined) return undefined
  const negRisk = read('negRisk', truth) ?? read('enableNegRisk', truth) ?? false
  return { id, slug: read('slug', slug) ?? '', title: line('title', 300), negRisk }
}

/** Reads one event with its markets. */
export function parseEvent(value: unknown, source: SourceName): MarketEvent | undefined {
  const group = parseGroup(value)
  const entries = record.safeParse(value).data?.markets
  if (group === undefined || !Array.isArray(entries)) return undefined
  const markets = entries.map((entry) => parseMarket(entry, source, group)).filter((market) => market !== undefined)
  return { ...group, source, markets, unread: entries.length - markets.length }
}

/** Reads a page of markets; undefined when the answer is no list at all. */
export function parseMarketPage(value: unknown, source: SourceName): Page<Market> | undefined {
  return parsePage(value, 'markets', (entry) => parseMarket(entry, source))
}

/** Reads a page of events; undefined when the answer is no list at all. */
export function parseEventPage(value: unknown, source: SourceName): Page<MarketEvent> | undefined {
  return parsePage(value, 'events', (entry) => parseEvent(entry, source))
}

/** Lists are `{ markets | events, next_cursor }`, and were bare arrays before. */
function parsePage<Item>(value: unknown, key: string, parse: (entry: unknown) => Item | undefined): Page<Item> | undefined {
  const answer = Array.isArray(value) ? { [key]: value } : record.safeParse(value).data
  const entries = answer?.[key]
  if (!Array.isArray(entries)) return undefined
  const items: Item[] = []
  const unread: Unread[] = []
  for (const entry of entries) {
    const item = parse(entry)
    if (item === undefined) unread.push(unreadOf(entry))
    else items.push(item)
  }
  const cursor = cursorText.safeParse(answer?.next_cursor).data
  return { items, unread, ...(cursor !== undefined && { cursor }) }
}

function unreadOf(entry: unknown): Unread {
  const id = identified.safeParse(entry).data?.id
  return { reason: 'malformed', ...(id !== undefined && { id: plainText(id, 40) }) }
}

type Present<Value> = { [Key in keyof Value as undefined extends Value[Key] ? never : Key]: Value[Key] } & {
  [Key in keyof Value as undefined extends Value[Key] ? Key : never]?: Exclude<Value[Key], undefined>
}

function withoutUndefined<Value extends object>(value: Value): Present<Value> {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as Present<Value>
}
