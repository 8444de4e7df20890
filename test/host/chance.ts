/** A source of chance that a seed makes again. */
export function chanceOf(seed: number): (odds: number) => boolean {
  let state = seed
  return (odds) => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31
    return state / 2 ** 31 < odds
  }
}
