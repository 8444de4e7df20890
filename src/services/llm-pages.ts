import { randomUUID } from 'node:crypto'
import type { Amount } from './llm-budget.ts'

/** What was used in one window of an agent's or a team's budget, as the store keeps it. */
export type UsageEntry = {
  readonly scope: 'agent' | 'team'
  readonly id: string
  readonly every: 'hour' | 'day'
  /** ISO 8601. */
  readonly window_start: string
  readonly tokens: number
  readonly usd: number
}

/** Adds to what the store has, once for an id, and gives how much that is now, in order. */
export type RecordUsage = (id: string, entries: readonly UsageEntry[]) => Promise<readonly Amount[]>

/** A window of a budget: whose it is, and when it began in ms since 1970. */
export type Window = Pick<UsageEntry, 'scope' | 'id' | 'every'> & { readonly start: number }

type Batch = { readonly id: string; readonly pages: readonly Page[]; readonly entries: readonly UsageEntry[] }
type Page = { readonly window: Window; unsent: Amount; isKnown: boolean }

const nothing: Amount = { tokens: 0, usd: 0 }
/** After a write that failed nobody waits for the store, for so many ms. */
const pause = 5_000

/**
 * Keeps what is used in the store, so that a budget holds for all processes and across restarts. While the store is away it counts by
 * itself, and catches up. `onTotal` tells what was used in a window in all, with what the store does not know yet.
 */
export function createPages(record: RecordUsage, onTotal: (window: Window, total: Amount) => void, now: () => number) {
  const pages = new Map<string, Page>()
  /** Whether it has arrived, only an answer tells: it goes again as it is, before anything else. */
  let batch: Batch | undefined
  let writing: Promise<void> = Promise.resolve()
  /** Has not begun: it takes along what comes until then. */
  let next: Promise<void> | undefined
  let awayUntil = 0

  function pageOf(window: Window): Page {
    const key = JSON.stringify(window)
    const page = pages.get(key) ?? { window, unsent: nothing, isKnown: false }
    pages.set(key, page)
    return page
  }

  function takeBatch(): Batch | undefined {
    const due = [...pages.values()].filter(({ unsent, isKnown }) => !isKnown || unsent.tokens > 0 || unsent.usd > 0)
    if (due.length === 0) return undefined
    const entries = due.map(({ window, unsent }) => entryOf(window, unsent))
    for (const page of due) page.unsent = nothing
    return { id: randomUUID(), pages: due, entries }
  }

  async function write(): Promise<void> {
    for (batch ??= takeBatch(); batch; batch = takeBatch()) {
      const { id, pages: due, entries } = batch
      // Whoever needs the store says that it is away.
      const totals = await record(id, entries).catch(() => undefined)
      awayUntil = totals ? 0 : now() + pause
      if (!totals) return
      for (const [at, page] of due.entries()) {
        page.isKnown = true
        onTotal(page.window, sum(totals[at] ?? nothing, page.unsent))
      }
    }
    for (const [key, { window, unsent }] of pages) if (isOver(window) && unsent.tokens === 0) pages.delete(key)
  }

  /** A window that another of its kind has followed. */
  function isOver({ scope, id, every, start }: Window): boolean {
    return [...pages.values()].some(({ window: w }) => w.scope === scope && w.id === id && w.every === every && w.start > start)
  }

  function flush(): Promise<void> {
    next ??= writing.then(() => {
      next = undefined
      return write()
    })
    writing = next
    return next
  }

  return {
    /** Resolves when what others have used in these windows is known, or cannot be. A model takes longer to answer than the store. */
    know(windows: readonly Window[]): Promise<void> {
      for (const window of windows) pageOf(window).isKnown = false
      const written = flush()
      return now() < awayUntil ? Promise.resolve() : written
    },
    add(window: Window, amount: Amount): void {
      const page = pageOf(window)
      page.unsent = sum(page.unsent, amount)
      void flush()
    },
    /** Resolves when everything was sent, or could not be. */
    flush,
  }
}

function entryOf({ start, ...window }: Window, { tokens, usd }: Amount): UsageEntry {
  return { ...window, window_start: new Date(start).toISOString(), tokens: Math.ceil(tokens), usd }
}

function sum(one: Amount, other: Amount): Amount {
  return { tokens: one.tokens + other.tokens, usd: one.usd + other.usd }
}
