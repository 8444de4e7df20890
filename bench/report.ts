import { styleText } from 'node:util'

/** One number that a benchmark found out. */
export interface Figure {
  name: string
  value: number
  unit: string
  /** What it should be at least, or at most. */
  aim?: { min: number } | { max: number }
  note?: string
}

export function isMet({ value, aim }: Figure): boolean | undefined {
  if (!aim) return undefined
  return 'min' in aim ? value >= aim.min : value <= aim.max
}

/** Prints figures for people. */
export function printTable(figures: readonly Figure[]): void {
  const rows = figures.map((figure) => [figure.name, formatNumber(figure.value), figure.unit, formatAim(figure), figure.note ?? ''])
  const widths = [0, 1, 2, 3].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  for (const [index, [name = '', value = '', unit = '', aim = '', note = '']] of rows.entries()) {
    const [first = 0, second = 0, third = 0, fourth = 0] = widths
    const line = `${name.padEnd(first)}  ${value.padStart(second)} ${unit.padEnd(third)}  ${aim.padEnd(fourth)}  ${note}`.trimEnd()
    console.log(isMet(figures[index] as Figure) === false ? styleText('yellow', line) : line)
  }
}

/** Says on stderr what is going on. */
export function say(text: string): void {
  console.error(styleText('dim', text, { stream: process.stderr }))
}

function formatNumber(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: value < 100 ? 2 : 0 })
}

function formatAim(figure: Figure): string {
  const { aim } = figure
  if (!aim) return ''
  const words = 'min' in aim ? `aim: at least ${formatNumber(aim.min)}` : `aim: at most ${formatNumber(aim.max)}`
  return `${words}, ${isMet(figure) ? 'met' : 'missed'}`
}
