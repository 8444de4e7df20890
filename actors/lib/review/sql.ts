import { parse } from 'libpg-query'
import { lineFinder } from '../lines.ts'
import type { Said } from './finding.ts'
import type { Lint } from './javascript.ts'
import { rules } from './sql-rules.ts'

export type Node = Readonly<Record<string, unknown>>

/** Judges SQL by the tree that PostgreSQL's own parser makes of it. */
export async function lintSql(text: string): Promise<Lint> {
  let tree: { readonly stmts?: readonly { readonly stmt: Node; readonly stmt_location?: number; readonly stmt_len?: number }[] }
  try {
    tree = await parse(text)
  } catch (error) {
    const at = (error as { sqlDetails?: { cursorPosition: number } }).sqlDetails?.cursorPosition
    const line = at === undefined ? 1 : text.slice(0, at).split('\n').length
    return { said: [], unread: `line ${line}: ${(error as Error).message} (it is read as PostgreSQL)` }
  }
  const bytes = Buffer.from(text)
  const lineOf = lineFinder(bytes)
  const said: Said[] = []
  for (const { stmt, stmt_location: from = 0, stmt_len: length } of tree.stmts ?? []) {
    const start = startOf(bytes.subarray(0, length ? from + length : undefined), from)
    visit(stmt, start, (type, node, near) => {
      for (const { judge, ...rule } of rules) {
        if (judge(type, node)) said.push({ ...rule, line: lineOf(near) })
      }
    })
  }
  return { said, unread: null }
}

/** Goes through a tree, with the nearest known place of each node in bytes. */
function visit(value: unknown, near: number, see: (type: string, node: Node, near: number) => void): void {
  if (Array.isArray(value)) {
    for (const one of value) visit(one, near, see)
    return
  }
  if (typeof value !== 'object' || value === null) return
  for (const [type, node] of Object.entries(value)) {
    if (typeof node !== 'object' || node === null) continue
    const location = (node as Node).location
    const here = typeof location === 'number' ? location : near
    if (/^[A-Z]/.test(type)) see(type, node as Node, here)
    visit(node, here, see)
  }
}

/** A statement begins behind the blanks and comments that the parser counts to it. */
function startOf(bytes: Buffer, location: number): number {
  const lead = /^(?:\s+|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)*/.exec(bytes.subarray(location).toString())?.[0] ?? ''
  return location + Buffer.byteLength(lead)
}
