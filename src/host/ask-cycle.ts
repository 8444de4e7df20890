/** Who waits for whom. */
export type Wait = { readonly from: string; readonly to: string }

/**
 * Finds the circle that one more wait would close: within the chain of asks that led here, which may go through other processes,
 * or through two asks of this process that cross. Gives the actors on it, the first one again at the end.
 */
export function findCycle({ from, to, chain }: Wait & { readonly chain: readonly string[] }, waits: readonly Wait[]): string[] | undefined {
  const at = chain.indexOf(to)
  if (at !== -1) return [...chain.slice(at), to]
  const path = findPath(to, from, waits, new Set())
  return path && [from, ...path]
}

function findPath(from: string, to: string, waits: readonly Wait[], seen: Set<string>): string[] | undefined {
  if (from === to) return [to]
  if (seen.has(from)) return undefined
  seen.add(from)
  for (const wait of waits) {
    const path = wait.from === from ? findPath(wait.to, to, waits, seen) : undefined
    if (path) return [from, ...path]
  }
  return undefined
}
