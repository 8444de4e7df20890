const mark = '```'

/** A block of a text that stands between code fences. */
export interface Fenced {
  /** The word behind the opening marks, such as ts; empty where there is none. */
  readonly language: string
  readonly text: string
}

/** Finds the fenced blocks of a text, which it reads once: an expression would look for the end of every mark anew. */
export function fencedIn(text: string): Fenced[] {
  const blocks: Fenced[] = []
  let line = -1
  for (let open = text.indexOf(mark); open >= 0; ) {
    if (line < open) line = text.indexOf('\n', open)
    const inner = open + mark.length
    const close = line < 0 ? -1 : text.indexOf(mark, inner)
    if (close < 0) break
    // Closed on its own line it is a word, and no block.
    if (close > line) {
      const language = /^[\w+-]*/.exec(text.slice(inner, line))?.[0] ?? ''
      blocks.push({ language: language.toLowerCase(), text: text.slice(line + 1, close) })
    }
    open = text.indexOf(mark, close + mark.length)
  }
  return blocks
}
