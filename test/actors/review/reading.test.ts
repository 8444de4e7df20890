import { expect, test } from 'vitest'
import { specialistJob } from '../../../actors/lib/bazaar/job.ts'
import { readDiff } from '../../../actors/lib/review/diff.ts'
import type { Finding } from '../../../actors/lib/review/finding.ts'
import { sourcesOf } from '../../../actors/lib/review/given.ts'
import { merge, shownTo } from '../../../actors/lib/review/opinion.ts'
import { findSecrets, masker } from '../../../actors/lib/review/secrets.ts'
import { wholeFile } from '../../../actors/lib/review/source.ts'

const diff = `diff --git a/old.ts b/new.ts
--- a/old.ts
+++ b/new.ts
@@ -3,2 +3,3 @@ class A {
 kept
--- removed, and it looks like a head
+++ added, and so does this
+added
@@ -20 +21,0 @@
-gone
diff --git a/dead.py b/dead.py
--- a/dead.py
+++ /dev/null
@@ -1,2 +0,0 @@
-x
-y
diff --git a/pic.png b/pic.png
Binary files a/pic.png and b/pic.png differ
`

test('reads of a diff what it leaves behind, each line at its number', () => {
  expect(readDiff(diff)).toEqual([
    {
      name: 'new.ts',
      language: 'typescript',
      text: '\n\nkept\n++ added, and so does this\nadded',
      added: [4, 5],
      shown: [[3, 5]],
      skipped: 0,
    },
  ])
})

test('a made-up line number does not become memory', () => {
  const far = (name: string, from: number) => `--- a/${name}\n+++ b/${name}\n@@ -1 +${from},1 @@\n+a\n`
  expect(readDiff(`${far('x', 999_999_999_999)}${far('y', 900_000)}${far('z', 900_000)}`)).toMatchObject([
    { name: 'x', added: [], skipped: 1 },
    { name: 'y', added: [900_000], skipped: 0 },
    { name: 'z', added: [], skipped: 1 },
  ])
})

test('finds code in files, diffs and fenced blocks', () => {
  const names = (given: object) => sourcesOf(specialistJob.parse(given)).map(({ name, language }) => [name, language])
  expect([
    names({
      files: [
        { name: 'change.diff', text: diff },
        { name: 'a.py', text: 'x = 1' },
      ],
    }),
    names({ description: 'Look:\n```sql\nselect 1\n```' }),
    names({ description: diff }),
    names({ description: 'no code' }),
  ]).toEqual([
    [
      ['new.ts', 'typescript'],
      ['a.py', 'python'],
    ],
    [['block-1.sql', 'sql']],
    [['new.ts', 'typescript']],
    [],
  ])
})

const key = ['-----BEGIN RSA PRIVATE KEY-----', 'MIIEowIBAAKCAQEA7', 'abcdefghijklmnop', '-----END RSA PRIVATE KEY-----'].join('\n')

test.each([
  ['aws-key', `x = ${'AKIA'}ABCDEFGHIJKLMNOP`],
  ['github-token', `ghp_${'a'.repeat(36)}`],
  ['password-in-url', 'postgres://me:hunter22@db/x'],
  ['password-in-code', 'const apiKey: string = "abcdef123456"'],
  ['password-in-code', '{"db_password": "s3cretvalue"}'],
  ['password-in-sql', "create user u password 'supersecret1'"],
  ['private-key', key],
])('finds a %s and masks it with the lines kept', (rule, text) => {
  const secrets = findSecrets(text)
  const masked = masker(secrets)(text)
  expect([secrets.map((one) => one.rule), secrets.some(({ value }) => masked.includes(value)), masked.split('\n').length]).toEqual([
    [rule],
    false,
    text.split('\n').length,
  ])
})

// biome-ignore lint/suspicious/noTemplateCurlyInString: it is code to judge
test.each(['password = "changeme"', 'const token = process.env.TOKEN', 'password: "${PASSWORD}"', 'https://example.com/a@b'])(
  'takes %s for none',
  (text) => {
    expect(findSecrets(text)).toEqual([])
  },
)

test('a line of a masked key is masked where it stands alone', () => {
  expect(masker(findSecrets(key))('it says MIIEowIBAAKCAQEA7')).not.toContain('MIIEowIBAAKCAQEA7')
})

test("a model's remark joins the one of its line and category, stands alone beside others, and needs a line under review", () => {
  const source = wholeFile('a.js', 'one\ntwo')
  const found: Finding = {
    file: 'a.js',
    line: 1,
    rule: 'r',
    category: 'security',
    severity: 'high',
    message: 'A',
    excerpt: 'one',
    by: ['eslint'],
  }
  const said = (line: number, category: 'security' | 'style', file = 'a.js') => ({
    file,
    line,
    category,
    severity: 'low' as const,
    message: 'B',
  })
  const { findings, dropped } = merge(
    [found],
    [said(1, 'security'), said(1, 'style'), said(3, 'style'), said(1, 'style', 'b.js')],
    [source],
  )
  expect([findings.map(({ rule, message, by }) => [rule, message, by]), dropped]).toEqual([
    [
      ['r', 'A. B', ['eslint', 'model']],
      ['model', 'B', ['model']],
    ],
    2,
  ])
})

test('a model sees of a diff the lines that it shows, with their numbers and what is new', () => {
  expect(Object.values(shownTo(readDiff(diff), []))).toEqual(['new.ts\n3  kept\n4+ ++ added, and so does this\n5+ added', 'nothing'])
})
