import * as z from 'zod'
import { type Holding, type Order, type Outcome, type Refusal, refused } from './broker.ts'
import type { Ended } from './polyclaw-process.ts'
import { ceilNear, costOf, floorNear, type Micro, onePrice, oneShare, type Shares, shareCount } from './units.ts'

const side = z.enum(['YES', 'NO'])
const result = z.object({
  success: z.boolean(),
  market_id: z.string(),
  position: side,
  amount: z.number(),
  clob_order_id: z.string().nullish(),
  clob_filled: z.boolean(),
  split_tx: z.string().nullish(),
  error: z.string().nullish(),
  entry_price: z.number().nullish(),
})
const listed = z.array(z.object({ position_id: z.string().regex(/^[0-9a-f-]{1,36}$/), market: z.string(), side, status: z.string() }))
const kept = z.object({
  position_id: z.string(),
  market_id: z.string(),
  question: z.string(),
  position: side,
  entry_time: z
    .string()
    .transform((text) => Date.parse(/Z|[+-]\d\d:\d\d$/.test(text) ? text : `${text}Z`))
    .pipe(z.number()),
  entry_amount: z.number().positive(),
  entry_price: z.number(),
  clob_order_id: z.string().nullish(),
  clob_filled: z.boolean(),
  status: z.string(),
})
/** One record of the CLI's own list. */
export type Kept = z.output<typeof kept>

/** What the CLI says before it has sent anything; anything else that went wrong may have gone wrong half way. */
const harmless: readonly (readonly [RegExp, Refusal])[] = [
  [/^Error: No wallet configured$/m, 'no_wallet'],
  [/^Trade failed: Wallet not unlocked$/m, 'no_wallet'],
  [/^Trade failed: Insufficient USDC/m, 'no_funds'],
  [/^Trade failed: Failed to fetch market/m, 'no_market'],
]

/** What became of a purchase, by how the CLI ended. Exit code 0 alone says nothing. */
export function readPurchase(order: Order, ended: Ended): Outcome {
  switch (ended.kind) {
    case 'not_started':
      return refused('cannot_start', ended.detail)
    case 'killed':
      return { kind: 'unknown', detail: ended.detail }
    case 'exited':
      if (ended.code === 2) return refused('usage', lastLine(ended.stderr))
      return ended.code === 0 ? readResult(order, ended.stdout) : readFailure(ended.stdout)
  }
}

function readFailure(stdout: string): Outcome {
  // Once a market is named, money may have moved; and its name, a stranger's text, may look like one of the lines below.
  const isBeforeMarket = !/^Market: /m.test(stdout)
  const known = isBeforeMarket ? harmless.find(([pattern]) => pattern.test(stdout)) : undefined
  return known === undefined
    ? { kind: 'unknown', detail: lastLine(stdout) || 'failed without a word' }
    : refused(known[1], lastLine(stdout))
}

function readResult(order: Order, stdout: string): Outcome {
  const parsed = result.safeParse(afterMarker(stdout))
  if (!parsed.success) return { kind: 'unknown', detail: 'exit code 0 without a result that makes sense' }
  const { success, market_id, position, amount, clob_filled, clob_order_id, entry_price, error } = parsed.data
  const isOurs = market_id === order.marketId && position === order.side && Math.round(amount * oneShare) === order.shares
  if (!isOurs) return { kind: 'unknown', detail: 'the result is about another purchase' }
  return outcomeOf({ success, clob_filled, clob_order_id, entry_price, error }, order.shares)
}

type Told = Pick<z.output<typeof result>, 'success' | 'clob_filled' | 'clob_order_id' | 'entry_price' | 'error'>

function outcomeOf({ success, clob_filled, clob_order_id, entry_price, error }: Told, shares: Shares): Outcome {
  const reference = clob_order_id ? { reference: clob_order_id } : {}
  if (!success) return { kind: 'unknown', detail: error ?? 'no success, no reason' }
  if (!clob_filled) {
    return { kind: 'unsold_leg', shares, cost: costOf(onePrice, shares), detail: error ?? 'the other side was not sold', ...reference }
  }
  if (!clob_order_id) return { kind: 'unknown', detail: 'called filled without an order' }
  return { kind: 'filled', shares, cost: mostCost(shares, entry_price), fee: 0, fills: [], isEstimate: true, ...reference }
}

/**
 * The most that a purchase has cost: a pair costs a dollar, and the other side was sold for no less than its limit of nine tenths of its
 * displayed price. What it really brought is not told.
 */
function mostCost(shares: Shares, entry: number | null | undefined): Micro {
  const unwanted = typeof entry === 'number' && entry > 0 && entry < 1 ? 1 - entry : 0
  const least = floorNear(0.9 * unwanted * 100) * (onePrice / 100)
  return costOf(onePrice - least, shares)
}

/** The object after the last marker line: texts of strangers are printed before it, and inside it line breaks are escaped. */
function afterMarker(stdout: string): unknown {
  const marker = 'JSON Result:\n'
  const lines = stdout.replaceAll('\r\n', '\n')
  const at = lines.lastIndexOf(`\n${marker}`)
  return at < 0 ? undefined : parseJson(lines.slice(at + marker.length + 1))
}

/** Reads the list of open positions; undefined when it is none. An empty list is a sentence, even when JSON was asked for. */
export function readPositions(stdout: string): z.output<typeof listed> | undefined {
  return stdout.trim() === 'No positions found.' ? [] : listed.safeParse(parseJson(stdout)).data
}

/** Reads one record; undefined when it is none. */
export function readKept(stdout: string): Kept | undefined {
  return kept.safeParse(parseJson(stdout)).data
}

export function holdingOf({ position_id, market_id, question, position, entry_amount, entry_price, clob_filled }: Kept): Holding {
  const shares = ceilNear(entry_amount * oneShare)
  const cost = clob_filled ? mostCost(shares, entry_price) : costOf(onePrice, shares)
  return { reference: position_id, marketId: market_id, question: question.slice(0, 300).toWellFormed(), side: position, cost }
}

/** The record that an order has left, if there is exactly one; a record of another day or size is not it. */
export function outcomeIn(records: readonly Kept[], order: Order): Outcome {
  const fits = records.filter(
    (record) =>
      record.market_id === order.marketId &&
      record.position === order.side &&
      Math.round(record.entry_amount * oneShare) === order.shares &&
      record.entry_time >= order.at - 5_000,
  )
  const [one, another] = fits
  if (one === undefined) return { kind: 'unknown', detail: 'the CLI has no record of it; only the chain can tell' }
  if (another !== undefined) return { kind: 'unknown', detail: `${fits.length} records may be this order` }
  return outcomeOf({ success: true, ...one, error: 'found in the list of positions' }, order.shares)
}

/** The amount as the CLI takes it: dollars of pairs to be made, which is the number of shares. */
export function amountOf(shares: Shares): string {
  return shareCount(shares).toFixed(2)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function lastLine(text: string): string {
  return text.trimEnd().split('\n').at(-1)?.slice(0, 300).toWellFormed() ?? ''
}
