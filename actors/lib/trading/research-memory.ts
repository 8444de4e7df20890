import { plainText } from '../markets/text.ts'
import type { Research } from './research.ts'

/** What a researcher remembers of one market, so that asking again is not paid again. */
export interface Remembered {
  /** `<source>:<market>`. */
  readonly key: string
  /** Ms since 1970, by the agent's own clock. */
  readonly at: number
  /** The market's price then. */
  readonly price: number
  readonly found:
    | { readonly kind: 'opinion'; readonly said: number; readonly confidence: number; readonly summary: string }
    | { readonly kind: 'refused'; readonly reason: string; readonly detail: string }
}

export interface MemoryRules {
  readonly now: number
  /** Ms after which there may be news. */
  readonly keepFor: number
  /** How far the price may have moved: further, and there is news. */
  readonly maxMove: number
}

/** So many markets; the oldest is forgotten first. */
const most = 100

/** What is known of this market, if it still holds. */
export function recall(
  memory: readonly Remembered[],
  key: string,
  price: number,
  { now, keepFor, maxMove }: MemoryRules,
): Remembered | undefined {
  const found = memory.find((one) => one.key === key)
  return found && now - found.at < keepFor && Math.abs(price - found.price) <= maxMove ? found : undefined
}

/** The memory with one market more. */
export function remember(memory: readonly Remembered[], one: Remembered): readonly Remembered[] {
  return [one, ...memory.filter(({ key }) => key !== one.key)].slice(0, most)
}

/** What is worth remembering of a research. */
export function foundOf(research: Research): Remembered['found'] {
  if (research.kind === 'refused') return { ...research, detail: plainText(research.detail, 300) }
  return { kind: 'opinion', said: research.said, confidence: research.confidence, summary: summaryOf(research) }
}

/** An opinion in words, with what it stands on. A model's words, so they are cleaned and cut like a stranger's. */
export function summaryOf({ said, spread, evidence, reasoning }: Extract<Research, { kind: 'opinion' }>): string {
  const sources = evidence.slice(0, 3).map(({ date, url, claim }) => `${date} ${new URL(url).hostname}: ${claim}`)
  const opinion = `a model says ${said.toFixed(2)} (answers ${spread.toFixed(2)} apart), on ${evidence.length} sources that nobody has checked`
  return plainText([opinion, ...sources, reasoning].join('; ').replace(/\s+/g, ' '), 800)
}
