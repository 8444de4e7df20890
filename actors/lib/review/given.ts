import { fencedIn } from '../fences.ts'
import type { SpecialistJob } from '../specialist.ts'
import { isDiff, readDiff } from './diff.ts'
import { type Source, wholeFile } from './source.ts'

const named: Readonly<Record<string, string>> = {
  ...{
    js: 'js',
    javascript: 'js',
    jsx: 'jsx',
    ts: 'ts',
    typescript: 'ts',
    tsx: 'tsx',
    py: 'py',
    python: 'py',
    sql: 'sql',
    postgresql: 'sql',
  },
}

/** Finds the code of a job: its files, of which any may be a diff, else fenced blocks or a diff in the description. */
export function sourcesOf({ files, description }: SpecialistJob): Source[] {
  const texts = files.length > 0 ? files : inText(description)
  return texts.flatMap(({ name, text }) => (isDiff(text) ? readDiff(text) : [wholeFile(name, text)]))
}

function inText(description: string): { name: string; text: string }[] {
  const blocks = fencedIn(description).map(({ language, text }, at) => ({
    name: `block-${at + 1}.${Object.hasOwn(named, language) ? named[language] : language || 'txt'}`,
    text,
  }))
  return blocks.length > 0 ? blocks : isDiff(description) ? [{ name: 'description', text: description }] : []
}
