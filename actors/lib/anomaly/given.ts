import { fencedIn } from '../fences.ts'
import type { SpecialistJob } from '../specialist.ts'
import type { Written } from './read.ts'

/** Finds the series of a job: its files, else a fenced block, else the first stretch of the description that looks like CSV or JSON. */
export function seriesOf(job: SpecialistJob): (Written & { name: string })[] {
  const columns = { ...named(job, 'time'), ...named(job, 'value') }
  if (job.files.length > 0) return job.files.map(({ name, text }) => ({ name: title(name), text, ...columns }))
  const text = fencedIn(job.description)[0]?.text ?? inText(job.description)
  return text === undefined ? [] : [{ name: title(job.title), text, ...columns }]
}

/** It stands in every line about the series, and in its plot. */
function title(text: string): string {
  return text.slice(0, 200) || 'series'
}

/** `time` and `value` of a job name the columns. */
function named(job: SpecialistJob, name: 'time' | 'value'): Partial<Written> {
  const column = (job as Readonly<Record<string, unknown>>)[name]
  return typeof column === 'string' ? { [name]: column } : {}
}

function inText(description: string): string | undefined {
  const json = description.slice(description.search(/[[{]/), Math.max(description.lastIndexOf(']'), description.lastIndexOf('}')) + 1)
  if (/^[[{]/.test(json) && isJson(json)) return json
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
