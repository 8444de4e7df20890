import { expect, test } from 'vitest'
import { analyse } from '../../../actors/lib/review/analyse.ts'
import { readDiff } from '../../../actors/lib/review/diff.ts'
import { type Source, wholeFile } from '../../../actors/lib/review/source.ts'

const rulesOf = async (...sources: Source[]) =>
  (await analyse(sources)).findings.map(({ line, rule, category }) => `${line} ${rule} ${category}`)

test.each<[string, string, string[]]>([
  ['a.js', 'eval(x)\nif (a == b) c()\nif (a == null) d()', ['1 no-eval security', '2 eqeqeq correctness']],
  [
    'a.ts',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is code to judge
    'enum A { x }\nexport const f = (db: Db, id: string) => db.query(`select a from b where c = ${id}`)',
    ['2 sql-injection security'],
  ],
  ['a.tsx', 'export const C = ({ h }: P) => <div dangerouslySetInnerHTML={{ __html: h }} />', ['1 html-injection security']],
  ['a.js', 'export async function f(a) {\n  for (const b of a) await b()\n}', ['2 no-await-in-loop performance']],
  ['a.cjs', 'return 1', []],
  ['a.py', 'def f(x=[]):\n  return eval(x)\n', ['2 S307 security', '1 B006 correctness']],
  ['a.py', 'def f(a):\n  b = []\n  for c in a:\n    b.append(c + 1)\n  return b\n', ['4 PERF401 performance']],
  ['a.sql', 'delete from a;\nselect b from c where d = null;', ['1 delete-without-where correctness', '2 equals-null correctness']],
  ['a.sql', "-- ä comment\nselect b from c where d like '%e';", ['2 leading-wildcard performance']],
  ['a.sql', 'create function f() returns int language sql security definer as $$ select 1 $$;', ['1 definer-without-search-path security']],
])('judges %s: %s', async (name, text, expected) => {
  expect(await rulesOf(wholeFile(name, text))).toEqual(expected)
})

test('comments switch nothing off', async () => {
  const hidden = [
    wholeFile('a.js', '/* eslint-disable */\neval(x) // eslint-disable-line'),
    wholeFile('b.py', '# ruff: noqa\neval(x)  # noqa\n'),
  ]
  expect((await rulesOf(...hidden)).filter((rule) => rule.endsWith('security'))).toEqual(['2 no-eval security', '2 S307 security'])
})

test('of a diff only added lines are judged, also in stretches that do not parse alone', async () => {
  const diff = [
    ...['--- a/a.js', '+++ b/a.js', '@@ -10,4 +10,5 @@', '   if (a) {', '     eval(old)', '+    eval(fresh)', '   }', ' }'],
    ...['--- a/b.py', '+++ b/b.py', '@@ -5,2 +5,3 @@', '     x = 1', '+    eval(y)', '     return x'],
  ].join('\n')
  expect(await rulesOf(...readDiff(diff))).toEqual(['12 no-eval security', '6 S307 security'])
})

test('what an analyser cannot read is said, with secrets still found', async () => {
  const { findings, unread } = await analyse([
    wholeFile('a.js', 'const = ;\nconst token = "abcdef123456"'),
    wholeFile('a.rs', 'fn main() {}'),
  ])
  expect([findings.map(({ rule }) => rule), unread]).toEqual([
    ['password-in-code'],
    [
      { file: 'a.js', reason: expect.stringContaining('line 1') },
      { file: 'a.rs', reason: expect.stringContaining('no analyser') },
    ],
  ])
})
