import type { SpecialistJob } from '../specialist.ts'
import type { Written } from './read.ts'

const most = 5
const fence = /```[^\n]*\n([\s\S]*?)```/

/** Finds the series of a job: its files, else a fenced block, else the first stretch of the description that looks like CSV or JSON. */
export function seriesOf(job: SpecialistJob): (Written & { name: string })[] {
  const columns = { ...named(job, 'time'), ...named(job, 'value') }
  if (job.files.length > 0) return job.files.slice(0, most).map(({ name, text }) => ({ name, text, ...columns }))
  const text = fence.exec(job.description)?.[1] ?? inText(job.description)
  return text === undefined ? [] : [{ name: job.title || 'series', text, ...columns }]
}

/** `time` and `value` of a job name the columns. */
function named(job: SpecialistJob, name: 'time' | 'value'): Partial<Written> {
  const column = (job as Readonly<Record<string, unknown>>)[name]
  return typeof column === 'string' ? { [name]: column } : {}
}

function inText(description: string): string | undefined {
  const json = /[[{][\s\S]*[\]}]/.exec(description)?.[0]
  if (json !== undefined && isJson(json)) return json
  const rows = description.split('\n').filter((line) => /^[^,;\t]*[,;\t]\s*-?[\d.]+\s*$|^\s*-?\d[\d.]*\s*$/.test(line))
  return rows.length >= 3 ? rows.join('\n') : undefined
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
