import { languageOf, type Source } from './source.ts'

const hunk = /^@@ -\d+(?:,\d+)? \+(\d+)(?:,(\d+))? @@/

/** Lines that a diff may leave out before what it shows: a made-up number must not become memory. */
const unseenAtMost = 1_000_000
/** Characters of a file's name. */
const longestName = 300

type Open = { name: string; lines: string[]; added: number[]; shown: [number, number][]; skipped: number }

export function isDiff(text: string): boolean {
  return /^(?:diff --git |--- \S)/m.test(text) && /^@@ -\d/m.test(text)
}

/** Reads a unified diff as the files that it leaves behind, as far as it shows them; removed and binary files are left out. */
export function readDiff(text: string): Source[] {
  const files: Open[] = []
  let [left, unseen] = [0, 0]
  for (const line of text.split(/\r?\n/)) {
    const open = files.at(-1)
    if (left > 0 && open) left -= takeLine(open, line)
    else if (line.startsWith('+++ ')) files.push({ name: nameIn(line), lines: [], added: [], shown: [], skipped: 0 })
    else if (open) {
      const before = open.lines.length
      left = openHunk(open, line, unseenAtMost - unseen)
      unseen += open.lines.length - before
    }
  }
  return files.filter(({ name, shown, skipped }) => name !== '/dev/null' && shown.length + skipped > 0).map(toSource)
}

/** The count of the head says where a hunk ends: a line of code may look like a head itself. */
function openHunk(open: Open, line: string, unseenLeft: number): number {
  const found = hunk.exec(line)
  const count = Number(found?.[2] ?? 1)
  if (!found || count === 0) return 0
  // Hunks follow one another; one that claims to be further up is where it stands.
  const from = Math.max(Number(found[1]), open.lines.length + 1)
  if (from - 1 - open.lines.length > unseenLeft) {
    open.skipped += 1
    return 0
  }
  while (open.lines.length < from - 1) open.lines.push('')
  open.shown.push([from, from + count - 1])
  return count
}

function takeLine(open: Open, line: string): 0 | 1 {
  if (line.startsWith('-') || line.startsWith('\\')) return 0
  open.lines.push(line.slice(1))
  if (line.startsWith('+')) open.added.push(open.lines.length)
  return 1
}

function nameIn(line: string): string {
  const name = line.slice(4).split('\t')[0]?.trim() ?? ''
  return name
    .replace(/^"(.*)"$/, '$1')
    .replace(/^b\//, '')
    .slice(0, longestName)
}

function toSource({ name, lines, added, shown, skipped }: Open): Source {
  return { name, language: languageOf(name), text: lines.join('\n'), added, shown, skipped }
}
