import { expect, test } from 'vitest'
import { seriesOf } from '../../actors/lib/anomaly/given.ts'
import { specialistJob } from '../../actors/lib/bazaar/job.ts'
import { fencedIn } from '../../actors/lib/fences.ts'
import { lineFinder } from '../../actors/lib/lines.ts'
import { sourcesOf } from '../../actors/lib/review/given.ts'
import { shownTo } from '../../actors/lib/review/opinion.ts'
import { findSecrets } from '../../actors/lib/review/secrets.ts'
import { schemasOf } from '../../actors/lib/schemas/given.ts'
import { kinds } from '../../actors/lib/schemas/issue.ts'
import { lacksSubstance } from '../../actors/lib/schemas/substance.ts'

test('finds fenced blocks as people write them', () => {
  expect(fencedIn('a\n```TS x\none\n```\nand ```in a line``` and\n```\ntwo```\n```sql\nopen')).toEqual([
    { language: 'ts', text: 'one\n' },
    { language: '', text: 'two' },
  ])
})

test('tells the line of a position in a text and in bytes', () => {
  expect([[0, 1, 2, 3, 9].map(lineFinder('a\nb\n')), [0, 3, 4].map(lineFinder(Buffer.from('ä\nb\n')))]).toEqual([
    [1, 1, 2, 2, 3],
    [1, 2, 2],
  ])
})

const pieces = [
  '`',
  '``` ',
  '```a\n',
  '\n',
  ' ',
  '{',
  '[',
  '{\n',
  'type\n',
  'create ',
  'create or ',
  '$schema ',
  'secret',
  'token="',
  'a.',
  '-eyJ',
  'sk-',
]
const texts = [...pieces.map((piece) => piece.repeat(60_000 / piece.length)), `\`\`\`${'a'.repeat(60_000)}`]

/** A text of 60 kB takes milliseconds; an expression that begins anew at every place took seconds, and minutes for 1 MB. */
test.each(texts)('%.20j and so on takes no time', (text) => {
  const job = specialistJob.parse({ description: text, files: [{ name: 'x', text }] })
  const began = performance.now()
  for (const read of [sourcesOf, schemasOf, seriesOf]) read({ ...job, files: [] })
  shownTo(sourcesOf(job), [])
  findSecrets(text)
  for (const kind of kinds) lacksSubstance(kind, text)
  expect(performance.now() - began).toBeLessThan(2_000)
})
