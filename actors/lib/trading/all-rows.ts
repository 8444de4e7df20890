import type { Context, Filter, Row } from 'troupe/actor'

/** Reads every row that fits, in the order of their ids: the store cuts a longer answer without a word. */
export async function allRows<Sql extends string>(
  relation: Sql,
  filter: Filter,
  { db }: Pick<Context<unknown, unknown, Sql>, 'db'>,
): Promise<readonly Row[]> {
  const rows: Row[] = []
  for (;;) {
    const last = rows.at(-1)
    const page = await db.read(relation, last ? { ...filter, id: { gt: String(last.id) } } : filter, { order: [{ by: 'id' }] })
    // Not by its length: how many rows an answer may have is the database's own business.
    if (page.length === 0) return rows
    rows.push(...page)
  }
}
