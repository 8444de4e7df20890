import type { Client } from '../postgres-setup.ts'

/** Resolves once that many sessions of the database wait for a lock. */
export async function waitForLocks(sql: Client, count: number): Promise<void> {
  for (const limit = AbortSignal.timeout(10_000); ; limit.throwIfAborted()) {
    const waiting = await sql`select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`
    if (waiting.length === count) return
  }
}

/** Does `first` in a transaction that stays open until all of `others` wait for it; gives the answers of these. */
export async function whileHeld<Answer>(
  sql: Client,
  first: (transaction: Client) => Promise<unknown>,
  others: readonly (() => Promise<Answer>)[],
  sessions = others.length,
): Promise<Answer[]> {
  let answers: Promise<Answer>[] = []
  await sql.begin(async (transaction) => {
    const client = transaction as unknown as Client
    await first(client)
    answers = others.map((start) => start())
    await waitForLocks(sql, sessions) // by another session: one transaction sees the same activity throughout
  })
  return await Promise.all(answers)
}
