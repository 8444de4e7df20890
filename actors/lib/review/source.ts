export type Language = 'javascript' | 'typescript' | 'python' | 'sql'

/** Code to review. */
export interface Source {
  readonly name: string
  readonly language: Language | null
  /** The text with every line at its number; lines that a diff does not show are empty. */
  readonly text: string
  /** The numbers of the lines that a diff adds; null: all count, the file was given whole. */
  readonly added: readonly number[] | null
  /** The stretches that a diff shows, in line numbers, the last included; null for a whole file. */
  readonly shown: readonly (readonly [from: number, to: number])[] | null
  /** The stretches of a diff that were not read, because no file is so long. */
  readonly skipped: number
}

const endings: Readonly<Record<string, Language>> = {
  ...{ js: 'javascript', mjs: 'javascript', cjs: 'javascript', jsx: 'javascript' },
  ...{ ts: 'typescript', mts: 'typescript', cts: 'typescript', tsx: 'typescript' },
  ...{ py: 'python', pyi: 'python', sql: 'sql' },
}

export function languageOf(name: string): Language | null {
  const ending = name.split('.').at(-1)?.toLowerCase() ?? ''
  return Object.hasOwn(endings, ending) ? (endings[ending] ?? null) : null
}

export function wholeFile(name: string, text: string): Source {
  return { name, language: languageOf(name), text, added: null, shown: null, skipped: 0 }
}

/** Whether a diff leaves parts of it unknown. A new file is a diff that leaves none. */
export function isFragment({ shown, added }: Source): boolean {
  if (shown === null) return false
  const [first, ...others] = shown
  return !(first && others.length === 0 && first[0] === 1 && added?.length === first[1])
}
