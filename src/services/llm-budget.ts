/** What a call takes of a budget. */
export type Amount = { readonly tokens: number; readonly usd: number }

/** What may be used in each window of time; what is absent is not limited. */
export type Limits = { readonly tokens?: number | undefined; readonly usd?: number | undefined; readonly every: 'hour' | 'day' }

/** What one agent or team has used. */
export type Account = {
  /** The window's number, counted from 1970. */
  readonly window: number
  readonly spent: Amount
  /** The most that the calls under way may still take, and how many they are. */
  readonly reserved: Amount
  readonly calls: number
}

/** Whether a call fits: `wait` when it does once the calls under way took less than they might. */
export type Verdict =
  | { readonly kind: 'ok' | 'wait' }
  | { readonly kind: 'exceeded'; readonly unit: keyof Amount; readonly used: number; readonly needs: number; readonly limit: number }

const lengths = { hour: 3_600_000, day: 86_400_000 } as const
const units = ['tokens', 'usd'] as const
const nothing: Amount = { tokens: 0, usd: 0 }

/** An account at a time, ms since 1970: with each window of UTC it starts anew. */
export function accountAt(account: Account | undefined, { every }: Limits, now: number): Account {
  const window = Math.floor(now / lengths[every])
  if (!account) return { window, spent: nothing, reserved: nothing, calls: 0 }
  return account.window === window ? account : { ...account, window, spent: nothing }
}

/** When the account's window began, ms since 1970. */
export function windowStart({ window }: Account, { every }: Limits): number {
  return window * lengths[every]
}

/** When the account's window ends, ms since 1970. */
export function windowEnd({ window }: Account, { every }: Limits): number {
  return (window + 1) * lengths[every]
}

/** Judges a call by the most that it may take. */
export function judge({ spent, reserved }: Account, limits: Limits, most: Amount): Verdict {
  const limited = units.map((unit) => ({
    unit,
    used: spent[unit],
    held: reserved[unit],
    needs: most[unit],
    limit: limits[unit] ?? Infinity,
  }))
  const over = limited.find(({ used, needs, limit }) => used + needs > limit)
  if (over) return { kind: 'exceeded', unit: over.unit, used: over.used, needs: over.needs, limit: over.limit }
  return { kind: limited.some(({ used, held, needs, limit }) => used + held + needs > limit) ? 'wait' : 'ok' }
}

/** Sets aside the most that a call may take. */
export function reserve(account: Account, most: Amount): Account {
  return { ...account, reserved: sum(account.reserved, most), calls: account.calls + 1 }
}

/** Books what a call took instead of the most that it might have. */
export function settle(account: Account, most: Amount, taken: Amount): Account {
  const calls = account.calls - 1
  // Sums of fractions leave residues, which would hold up the next call for ever.
  const reserved = calls === 0 ? nothing : sum(account.reserved, { tokens: -most.tokens, usd: -most.usd })
  return { ...account, spent: sum(account.spent, taken), reserved, calls }
}

function sum(one: Amount, other: Amount): Amount {
  return { tokens: one.tokens + other.tokens, usd: one.usd + other.usd }
}
