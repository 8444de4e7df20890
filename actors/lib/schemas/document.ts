import { isNode, LineCounter, parseDocument } from 'yaml'
import { error, type Issue } from './issue.ts'

/** A YAML or JSON text with the lines of its places. */
export interface ReadDocument {
  readonly value: unknown
  readonly issues: readonly Issue[]
  /** The line of a JSON pointer, or of the nearest place above it that exists. */
  lineOf(pointer: string): number | null
}

const mostAliases = 100
const deepest = 500
const nesting = new RegExp(`[[\\]{}]|(?:- ){${deepest}}`, 'g')

/** Reads YAML or JSON, which is YAML too; a text with errors has no value. */
export function readDocument(text: string): ReadDocument {
  if (isTooDeep(text))
    return { value: undefined, issues: [error('/', null, `is nested deeper than ${deepest} levels`)], lineOf: () => null }
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const issues = document.errors.map(({ message, pos }) => error('/', lines.linePos(pos[0]).line, message))
  return {
    // Aliases of aliases could grow without end.
    value: issues.length > 0 ? undefined : document.toJS({ maxAliasCount: mostAliases }),
    issues,
    lineOf(pointer) {
      const path = pointerPath(pointer)
      for (let length = path.length; length >= 0; length--) {
        const found = length === 0 ? document.contents : document.getIn(path.slice(0, length), true)
        if (isNode(found) && found.range) return lines.linePos(found.range[0]).line
      }
      return null
    },
  }
}

/** Brackets without an end take the parser a kilobyte each. */
function isTooDeep(text: string): boolean {
  let depth = 0
  for (const [mark] of text.matchAll(nesting)) {
    if (mark.length > 1) return true
    depth += mark === '[' || mark === '{' ? 1 : -1
    if (depth > deepest) return true
    depth = Math.max(0, depth)
  }
  return false
}

function pointerPath(pointer: string): (string | number)[] {
  return pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((part) => (/^\d+$/.test(part) ? Number(part) : part))
}
