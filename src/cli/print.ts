import { styleText } from 'node:util'

type Style = Parameters<typeof styleText>[0]

/** Styles text on a terminal; leaves it plain in a pipe and under NO_COLOR. */
export function styled(style: Style, text: string, stream: NodeJS.WriteStream = process.stdout): string {
  return styleText(style, text, { stream, validateStream: true })
}

/** Prints JSON on one line. */
export function printJson(value: unknown): void {
  console.log(JSON.stringify(value))
}

const widest = 60

/** Rows as a table for people; long values are cut, control characters shown instead of obeyed. */
export function formatTable(columns: readonly string[], rows: ReadonlyArray<readonly unknown[]>): string {
  const cells = rows.map((row) => row.map(formatCell))
  const widths = columns.map((column, at) => cells.reduce((width, row) => Math.max(width, row[at]?.length ?? 0), column.length))
  const isNumeric = columns.map((_, at) => rows.length > 0 && rows.every((row) => row[at] === null || typeof row[at] === 'number'))
  const line = (row: readonly string[]) =>
    row
      .map((cell, at) => (isNumeric[at] ? cell.padStart(widths[at] ?? 0) : cell.padEnd(widths[at] ?? 0)))
      .join('  ')
      .trimEnd()
  const rule = widths.map((width) => '─'.repeat(width)).join('  ')
  return [styled('bold', line(columns)), styled('dim', rule), ...cells.map(line)].join('\n')
}

function formatCell(value: unknown): string {
  if (value === null || value === undefined) return ''
  const text = plain(typeof value === 'object' ? JSON.stringify(value) : String(value))
  return text.length > widest ? `${text.slice(0, widest - 1)}…` : text
}

/** Text that others wrote, with its control characters, and those that turn the direction of writing, shown instead of obeyed. */
export function plain(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not reach the terminal
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, (found) => (found === '\n' ? '⏎' : '·'))
}

/** The same of a text that has lines: each stays one. */
export function plainLines(text: string): string {
  return text.split(/\r?\n/).map(plain).join('\n')
}
