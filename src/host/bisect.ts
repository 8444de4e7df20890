import { isAboutData } from './patience.ts'

/**
 * Does work on a batch; when the database refuses it for its data, finds the one that is to blame. Halves go one after the other,
 * so that order is kept.
 */
export async function bisect<Item>(
  batch: readonly Item[],
  work: (batch: readonly Item[]) => Promise<void>,
  refuse: (item: Item, error: Error) => void,
): Promise<void> {
  const [first] = batch
  if (first === undefined) return
  try {
    return await work(batch)
  } catch (error) {
    if (!isAboutData(error)) throw error
    if (batch.length === 1) return refuse(first, error as Error)
  }
  const half = Math.ceil(batch.length / 2)
  await bisect(batch.slice(0, half), work, refuse)
  await bisect(batch.slice(half), work, refuse)
}
