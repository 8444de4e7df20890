import type { Http, HttpResponse } from '../core/http.ts'

/** What the trading team's own library says of markets; see actors/lib/trading/catalogue.ts. */
export type Catalogue = {
  trending(source: string, limit: number, options: { readonly http: Http }): Promise<Found>
  search(source: string, words: string, limit: number, options: { readonly http: Http }): Promise<Found>
  show(source: string, id: string, options: { readonly http: Http }): Promise<Origin & { readonly market: Shown }>
}

export type Origin = { readonly source: string; readonly isSimulated: boolean; readonly detail: string }
export type Found = Origin & { readonly markets: readonly Listed[] }
export type Listed = {
  readonly id: string
  readonly question: string
  readonly bid: number | null
  readonly ask: number | null
  readonly volume24h: number
  readonly liquidity: number
  readonly endsAt: string | null
  readonly skip: string | null
}
type Level = { readonly price: number; readonly shares: number }
export type Shown = Listed & {
  readonly slug: string
  readonly description: string
  readonly event: string | null
  readonly books: readonly { readonly outcome: string; readonly bids: readonly Level[]; readonly asks: readonly Level[] }[]
}

/** Actors are never imported by the host's code, which has to run without them: this is a person who asks, at a terminal. */
export async function openCatalogue(): Promise<Catalogue> {
  const file = new URL('../../actors/lib/trading/catalogue.ts', import.meta.url).href
  return (await import(file)) as Catalogue
}

/** What actors have as ctx.http, over fetch. */
export const plainHttp: Http = async (url, { method = 'GET', headers = {}, body, signal } = {}) => {
  const given = Object.entries(headers).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, [value].flat().join(', ')] as const],
  )
  const response = await fetch(url, {
    method,
    headers: given as [string, string][],
    ...(body !== undefined && { body: body as string }),
    ...(signal && { signal }),
  }).catch((error: Error) => {
    // That it failed is known; why, the cause says.
    throw error.cause instanceof Error ? error.cause : error
  })
  const { status, ok } = response
  const found: HttpResponse = {
    status,
    ok,
    url: response.url,
    headers: Object.fromEntries(response.headers),
    rawHeaders: [...response.headers],
    body: response.body ?? (async function* () {})(),
    bytes: () => response.bytes(),
    text: () => response.text(),
    json: () => response.json(),
  }
  return found
}
