import type { SpecialistJob } from '../specialist.ts'
import { isDiff, readDiff } from './diff.ts'
import { type Source, wholeFile } from './source.ts'

const most = 100
const fence = /```([\w+-]*)[^\n]*\n([\s\S]*?)```/g
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
  return texts.flatMap(({ name, text }) => (isDiff(text) ? readDiff(text) : [wholeFile(name, text)])).slice(0, most)
}

function inText(description: string): { name: string; text: string }[] {
  const blocks = [...description.matchAll(fence)].map(([, language = '', text = ''], at) => ({
    name: `block-${at + 1}.${named[language.toLowerCase()] ?? (language || 'txt')}`,
    text,
  }))
  return blocks.length > 0 ? blocks : isDiff(description) ? [{ name: 'description', text: description }] : []
}
