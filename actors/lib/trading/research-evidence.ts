import { isIP } from 'node:net'
import { plainText } from '../markets/text.ts'

/** Something that was published and speaks for or against an outcome; a model says so, nobody has looked it up. */
export interface Evidence {
  readonly url: string
  /** When it was published, as YYYY-MM-DD. */
  readonly date: string
  readonly claim: string
}

/** What evidence must be to count. */
export interface EvidenceRules {
  /** Ms since 1970, where the market is. */
  readonly now: number
  /** Ms after which something is old news. */
  readonly maxAge: number
}

const most = 8
const day = 86_400_000
// A market's own page tells what people bet, not what is so; links of these are no publication.
const noPublisher = /(^|\.)(polymarket\.com|example\.(com|org|net)|localhost|local|internal|test|invalid)$/

/** What counts of the evidence of all samples: a public address, a date that can be, each page once; the newest first. */
export function soundEvidence(claimed: readonly Evidence[], rules: EvidenceRules): readonly Evidence[] {
  const pages = new Map<string, Evidence>()
  for (const one of claimed) {
    const url = publicUrl(one.url)
    const at = publishedAt(one.date)
    if (url === undefined || at === undefined || at > rules.now + day || at < rules.now - rules.maxAge) continue
    const claim = plainText(one.claim, 300).trim()
    if (claim === '') continue
    const date = new Date(at).toISOString().slice(0, 10)
    const page = `${url.host}${url.pathname}`
    if (!pages.has(page)) pages.set(page, { url: url.href.slice(0, 500), date, claim })
  }
  return [...pages.values()].toSorted((one, other) => (one.date < other.date ? 1 : -1)).slice(0, most)
}

/** How many publishers stand behind it: two pages of one site are one voice. */
export function publishers(evidence: readonly Evidence[]): number {
  return new Set(evidence.map(({ url }) => new URL(url).hostname.replace(/^www\./, ''))).size
}

function publicUrl(text: string): URL | undefined {
  const url = URL.parse(text.trim())
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '') return undefined
  const { hostname } = url
  const isName = hostname.includes('.') && isIP(hostname) === 0 && !noPublisher.test(hostname)
  return isName ? url : undefined
}

/** A day, or a moment of one; anything looser is somebody's guess. */
function publishedAt(text: string): number | undefined {
  if (!/^\d{4}-\d{2}-\d{2}(T[\d:.]+(Z|[+-]\d{2}:\d{2}))?$/.test(text.trim())) return undefined
  const at = Date.parse(text.trim())
  return Number.isNaN(at) ? undefined : at
}
