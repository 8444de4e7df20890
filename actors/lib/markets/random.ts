/** Numbers in [0, 1) that depend on nothing but these parts: the same in every thread, process and order of asking. */
export function createRandom(...parts: readonly (string | number)[]): () => number {
  let state = 0x811c9dc5
  for (const char of parts.join('/')) state = Math.imul(state ^ (char.codePointAt(0) ?? 0), 0x01000193)
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** A number around 0 with spread 1, from twelve even ones. */
export function bell(random: () => number): number {
  let sum = -6
  for (let count = 0; count < 12; count++) sum += random()
  return sum
}
