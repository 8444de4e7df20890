/** Makes a function that tells on which line a position is; of a text, or of bytes. Counting anew for each position would take too long. */
export function lineFinder(text: string | Buffer): (position: number) => number {
  const ends: number[] = []
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) ends.push(at)
  return (position) => {
    let [low, high] = [0, ends.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((ends[middle] as number) < position) low = middle + 1
      else high = middle
    }
    return low + 1
  }
}
