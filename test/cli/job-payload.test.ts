import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readPayload } from '../../src/cli/job-payload.ts'
import { tempFolder } from '../helpers.ts'

test('a payload is JSON, or a file to work on', async () => {
  await using folder = await tempFolder()
  const put = async (name: string, content: string | Uint8Array) => {
    const path = join(folder.path, name)
    await writeFile(path, content)
    return path
  }
  const [diff, json] = [await put('change.diff', '+ a\n'), await put('job.json', '{"title":"x"}')]
  const file = { name: 'change.diff', text: '+ a\n' }
  expect([
    await readPayload(undefined, undefined),
    await readPayload('{"a":1}', undefined),
    await readPayload(undefined, json),
    await readPayload(undefined, diff),
    await readPayload('{"title":"Look"}', diff),
    await readPayload('{"files":[{"name":"a","text":"b"}]}', json),
  ]).toEqual([
    undefined,
    { a: 1 },
    { title: 'x' },
    { files: [file] },
    { title: 'Look', files: [file] },
    {
      files: [
        { name: 'a', text: 'b' },
        { name: 'job.json', text: '{"title":"x"}' },
      ],
    },
  ])
  const wrong: [string | undefined, string][] = [
    ['[1]', diff],
    ['{"files": {"name": "a"}}', diff],
    [undefined, join(folder.path, 'none.diff')],
    [undefined, await put('image.png', Buffer.from([0xff, 0xfe, 0]))],
    [undefined, await put('long.txt', 'x'.repeat(700_001))],
  ]
  const errors = await Promise.all(wrong.map(([word, path]) => readPayload(word, path).catch((error: Error) => error.message)))
  expect(errors).toEqual([
    expect.stringContaining('is an object'),
    'files: expected a list of { name, text }',
    expect.stringContaining('ENOENT'),
    expect.stringContaining('is no text'),
    expect.stringContaining('at most 700000'),
  ])
})
