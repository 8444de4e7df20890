import { type Document, isNode, LineCounter, parseDocument, visit } from 'yaml'
import { ActorError } from '../core/errors.ts'
import { isVariable, unveil, veil } from './variables.ts'

export type Path = readonly PropertyKey[]

/** A config file's text as it was read. */
export interface ConfigText {
  /** What it says. A variable that stands alone, without quotes, is veiled still. */
  readonly raw: unknown
  /** Says where a setting stands: file, line and column. */
  where(path: Path): string
}

/** Reads a config file's text; CONFIG_INVALID with one line per fault where it is not YAML. */
export function readConfigText(text: string, file: string): ConfigText {
  const lines = new LineCounter()
  const document = parseDocument(veil(text), { lineCounter: lines, prettyErrors: false })
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset)
    return `${file}:${line}:${col}`
  }
  const faults = document.errors.map(({ pos: [start], message }) => `${at(start)}: ${unveil(firstLine(message))}`)
  if (faults.length > 0) throw invalid(faults)
  unveilQuoted(document)
  const aliases = aliasesIn(document)
  const unknown = aliases.filter(({ isKnown }) => !isKnown)
  if (unknown.length > 0) {
    throw invalid(
      unknown.map(({ name, offset }) => `${at(offset)}: nothing is called "${name}" here: a text that begins with * stands in quotes`),
    )
  }
  try {
    return { raw: document.toJS(), where: (path) => at(offsetOf(document, path)) }
  } catch (error) {
    // Aliases of aliases, of more than anybody writes.
    throw invalid([`${at(aliases[0]?.offset ?? 0)}: ${firstLine((error as Error).message)}`])
  }
}

/** Throws all that is wrong with a config at once. */
export function invalid(faults: readonly string[]): ActorError {
  return new ActorError('CONFIG_INVALID', faults.join('\n'), { details: { faults } })
}

/** What stands in quotes, beside other text or as a name is text, whatever its variables give. */
function unveilQuoted(document: Document): void {
  visit(document, {
    Scalar(key, node) {
      if (typeof node.value !== 'string') return
      const isAlone = key !== 'key' && node.type === 'PLAIN' && node.tag === undefined && isVariable(node.value)
      if (!isAlone) node.value = unveil(node.value)
    },
  })
}

function aliasesIn(document: Document) {
  const found: { readonly name: string; readonly offset: number; readonly isKnown: boolean }[] = []
  visit(document, {
    Alias(_, node) {
      found.push({ name: node.source, offset: node.range?.[0] ?? 0, isKnown: node.resolve(document) !== undefined })
    },
  })
  return found
}

/** Where the nearest node of the path stands in the file. */
function offsetOf(document: Document, path: Path): number {
  for (let length = path.length; length > 0; length--) {
    const node = document.getIn(path.slice(0, length), true)
    if (isNode(node) && node.range) return node.range[0]
  }
  return 0
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? text
}
