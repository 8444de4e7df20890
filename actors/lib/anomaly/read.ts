import { makeSeries, type Point, type Series } from './series.ts'

/** A series as somebody wrote it. */
export interface Written {
  /** CSV with or without a header, or JSON: numbers, pairs of time and value, objects, or `{ timestamps, values }`. */
  readonly text: string
  /** The columns or keys to take, where there are several. */
  readonly time?: string | undefined
  readonly value?: string | undefined
}

const most = 500_000
/** The squares of larger numbers are none. */
const largest = 1e100
const timeNames = /^(?:time|timestamp|date|datetime|ts|t|at|day|ds|created_at)$/i
const valueNames = /^(?:value|values|v|y|count|metric)$/i

type Cell = string | number | null
type Table = { readonly names: readonly string[]; readonly rows: readonly (readonly Cell[])[] }

/** Reads a series; throws an Error with what was expected instead when the text is none. */
export function readSeries(written: Written): Series {
  const text = written.text.trim()
  if (text === '') throw new Error('there is no series: the text is empty')
  const table = /^[[{]/.test(text) ? fromJson(text) : fromCsv(text)
  if (table.rows.length > most) throw new Error(`the series has ${table.rows.length} values, and at most ${most} are taken`)
  const { time, value } = chooseColumns(table, written)
  const points = table.rows.flatMap((row): Point[] => {
    const [when, what] = [time < 0 ? undefined : readTime(row[time] ?? null), readNumber(row[value] ?? null)]
    return what === undefined || (time >= 0 && when === undefined) ? [] : [{ time: when, value: what }]
  })
  if (points.length === 0) throw new Error('the series has no values that are numbers')
  return makeSeries(points, table.rows.length - points.length)
}

function fromJson(text: string): Table {
  let given: unknown
  try {
    given = JSON.parse(text)
  } catch (cause) {
    throw new Error('the series begins as JSON and is none', { cause })
  }
  if (!Array.isArray(given)) return fromObject(given as Record<string, unknown>)
  if (given.every((one) => typeof one !== 'object' || one === null)) return { names: ['value'], rows: given.map((one) => [one]) }
  if (given.every(Array.isArray)) return { names: ['time', 'value'], rows: given as Cell[][] }
  const objects = given.filter((one): one is Record<string, Cell> => typeof one === 'object' && one !== null && !Array.isArray(one))
  const names = Object.keys(objects[0] ?? {})
  return { names, rows: objects.map((one) => names.map((name) => one[name] ?? null)) }
}

function fromObject(given: Record<string, unknown>): Table {
  const lists = Object.entries(given).filter((entry): entry is [string, Cell[]] => Array.isArray(entry[1]))
  const times = lists.find(([name]) => timeNames.test(name.replace(/s$/, '')))
  const values = lists.find((list) => list !== times)
  if (!values) throw new Error('the JSON is no list and has no list of values')
  // A list of points under some name, such as { "data": [...] }.
  if (!times && values[1].some((one) => typeof one === 'object' && one !== null)) return fromJson(JSON.stringify(values[1]))
  const names = times ? ['time', 'value'] : ['value']
  return { names, rows: values[1].map((value, at) => (times ? [times[1][at] ?? null, value] : [value])) }
}

function fromCsv(text: string): Table {
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '')
  const separator = [',', ';', '\t'].find((one) => (lines[0] ?? '').includes(one)) ?? ','
  const rows = lines.map((line) => splitLine(line, separator))
  const first = rows[0] ?? []
  const hasHeader = first.every((cell) => readNumber(cell) === undefined && readTime(cell) === undefined)
  if (hasHeader) return { names: first, rows: rows.slice(1) }
  return { names: first.length === 1 ? ['value'] : first.map((_, at) => (at === 0 ? 'time' : `value${at}`)), rows }
}

function splitLine(line: string, separator: string): string[] {
  const cell = new RegExp(`"((?:[^"]|"")*)"(?=${separator}|$)|([^${separator}]*)`, 'y')
  const cells: string[] = []
  for (let at = 0; at <= line.length; at = cell.lastIndex + 1) {
    cell.lastIndex = at
    const found = cell.exec(line)
    cells.push((found?.[1]?.replaceAll('""', '"') ?? found?.[2] ?? '').trim())
  }
  return cells
}

function chooseColumns({ names, rows }: Table, written: Written): { time: number; value: number } {
  const find = (name: string | undefined) => {
    if (name !== undefined && !names.includes(name)) throw new Error(`there is no column "${name}" but ${names.join(', ')}`)
    return name === undefined ? -1 : names.indexOf(name)
  }
  const named = find(written.time)
  const time = named >= 0 ? named : names.findIndex((name) => timeNames.test(name))
  const chosen = find(written.value)
  if (chosen >= 0) return { time, value: chosen }
  const known = names.findIndex((name, at) => at !== time && valueNames.test(name))
  const numeric = names.findIndex((_, at) => at !== time && rows.some((row) => readNumber(row[at] ?? null) !== undefined))
  const value = known >= 0 ? known : numeric
  if (value < 0) throw new Error(`no column holds numbers: ${names.join(', ')}`)
  return { time, value }
}

function readNumber(cell: Cell): number | undefined {
  if (cell === null || cell === '' || typeof cell === 'boolean') return undefined
  const number = Number(cell)
  return Math.abs(number) <= largest ? number : undefined
}

/** Times without a zone are taken as UTC; bare numbers as seconds or ms since 1970, whichever is sane. */
function readTime(cell: Cell): number | undefined {
  if (cell === null || cell === '') return undefined
  const number = Number(cell)
  if (Number.isFinite(number)) return Math.abs(number) < 1e11 ? number * 1_000 : number
  const text = String(cell)
  const hasZone = /(?:Z|[+-]\d\d:?\d\d)$/i.test(text)
  const time = Date.parse(/^\d{4}-\d\d-\d\d[ T]\d/.test(text) && !hasZone ? `${text.replace(' ', 'T')}Z` : text)
  return Number.isNaN(time) ? undefined : time
}
