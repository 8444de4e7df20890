/** What a model's answer holds: a JSON value, or why there is none. */
export type AnswerJson = { readonly value: unknown; readonly issue?: undefined } | { readonly issue: string }

type Found = { readonly value: unknown }

/** Parts of an answer that are tried. */
const candidates = 50

/**
 * Takes the JSON value out of an answer. Around it may stand what models like to add: a code fence, a sentence before and after, thoughts
 * in <think>. Of several values the longest counts; a value inside of a broken one never does.
 */
export function readAnswerJson(text: string): AnswerJson {
  const spoken = withoutThoughts(text)
  // Whole first: a string in it may hold what looks like thoughts or a fence.
  const found = valueIn(text) ?? valueIn(spoken) ?? longest(fenced(spoken)) ?? longest(enclosed(spoken))
  if (found) return found
  return { issue: spoken.trim() === '' ? 'the answer is empty' : 'the answer is not JSON' }
}

/** What stands behind the last thought, else before the first; some endpoints leave the opening mark out. */
function withoutThoughts(text: string): string {
  const parts = text.split(/<\/think(?:ing)?>/)
  const last = beforeThought(parts.at(-1) ?? '')
  return last.trim() === '' ? beforeThought(text) : last
}

function beforeThought(text: string): string {
  return text.split(/<think(?:ing)?>/, 1)[0] ?? ''
}

/** What stands in code fences, without the name of its language. */
function fenced(text: string): string[] {
  const parts = text.split('```').filter((_, index) => index % 2 === 1)
  return parts.map((part) => part.replace(/^[\w-]*\s*\n/, ''))
}

/** The outermost objects and lists of a text; behind one that is never closed there are none. */
function enclosed(text: string): string[] {
  const parts: string[] = []
  for (let start = text.search(/[{[]/); start >= 0; ) {
    const end = closing(text, start)
    if (end < 0) break
    parts.push(text.slice(start, end))
    const next = text.slice(end).search(/[{[]/)
    start = next < 0 ? -1 : end + next
  }
  return parts
}

/** Behind the bracket that closes the one at `start`, -1 where there is none; brackets in strings do not count. */
function closing(text: string, start: number): number {
  // A string that is never closed goes to the end, or each of its escaped quotes would be tried as the beginning of another.
  const marks = /"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?$)|[{}[\]]/gs
  marks.lastIndex = start
  let depth = 0
  for (let mark = marks.exec(text); mark; mark = marks.exec(text)) {
    if (mark[0] === '{' || mark[0] === '[') depth += 1
    if (mark[0] === '}' || mark[0] === ']') depth -= 1
    if (depth === 0) return marks.lastIndex
  }
  return -1
}

function longest(parts: readonly string[]): Found | undefined {
  const first = parts.toSorted((one, other) => other.length - one.length).slice(0, candidates)
  for (const part of first) {
    const found = valueIn(part)
    if (found) return found
  }
  return undefined
}

function valueIn(text: string): Found | undefined {
  try {
    return { value: JSON.parse(text) }
  } catch {
    return undefined
  }
}
