/** Takes the first items that fit together; the first one always does. */
export function takeBatch<Item extends { readonly bytes: number }>(
  queue: Item[],
  limits: { readonly items: number; readonly bytes: number },
): Item[] {
  let bytes = 0
  const fits = queue.findIndex((item, index) => {
    bytes += item.bytes
    return index > 0 && (index >= limits.items || bytes > limits.bytes)
  })
  return queue.splice(0, fits === -1 ? queue.length : fits)
}
