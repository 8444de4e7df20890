import type { MarketEvent } from '../markets/market.ts'
import { allPages, type Cancel, type MarketSource } from '../markets/source.ts'
import { type Offer, type Scene, tokensOf } from './review.ts'

// An event that is not among the liveliest is not looked for any further.
const eventPages = 3

/** Looks at the market of an offer as it is now, with the books of everything that would be bought. */
export async function sceneOf(offer: Offer, source: MarketSource, cancel: Cancel): Promise<Scene> {
  const market = await source.market(offer.marketId, cancel)
  const event = offer.strategy === 'neg_risk' ? await findEvent(offer.eventId, source, cancel) : undefined
  const tokens = tokensOf(offer, { market, event })
  const books = tokens.length === 0 ? new Map() : await source.books(tokens, cancel)
  return { market, event, books, now: source.now() }
}

async function findEvent(id: string | undefined, source: MarketSource, cancel: Cancel): Promise<MarketEvent | undefined> {
  for await (const { items } of allPages((page) => source.events(page), { ...cancel, most: eventPages })) {
    const found = items.find((event) => event.id === id)
    if (found) return found
  }
  return undefined
}
