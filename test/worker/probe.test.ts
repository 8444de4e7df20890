import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { expect, test } from 'vitest'
import type { ProbeAnswer } from '../../src/worker/probe.ts'
import { tempFolder } from '../helpers.ts'
import { sample } from './thread.ts'

const entry = fileURLToPath(new URL('../../src/worker/probe.ts', import.meta.url))

/** What a probe thread says of a file, and how it ends. */
async function probe(file: string): Promise<{ answer: ProbeAnswer | undefined; code: number }> {
  const worker = new Worker(entry, { execArgv: [], workerData: { file, args: [] } })
  let answer: ProbeAnswer | undefined
  worker.on('message', (message: ProbeAnswer) => {
    answer = message
  })
  const [code] = await once(worker, 'exit')
  return { answer, code }
}

test('a probe reports what an actor file says of itself', async () => {
  const { answer, code } = await probe(sample('keeper'))
  const add = { type: 'object', properties: { name: { type: 'string' }, list: { type: 'array' } }, required: ['name'] }
  expect([code, answer]).toMatchObject([
    0,
    {
      ok: true,
      file: sample('keeper'),
      manifest: {
        messages: { add, later: { type: 'object' }, raw: null, mutateTop: null, mutateDeep: null },
        jobs: { count: { type: 'object', properties: { to: { type: 'number' } } } },
        sql: ['publish_opportunity'],
        origins: ['https://example.com'],
        persist: true,
      },
    },
  ])
})

test('a probe reports why a file is no actor', async () => {
  const { answer } = await probe(sample('broken/throws'))
  expect(answer).toMatchObject({
    ok: false,
    file: sample('broken/throws'),
    error: {
      code: 'MODULE_INVALID',
      cause: { name: 'RangeError', message: 'at the top level', stack: expect.stringContaining('throws.ts:3') },
    },
  })
})

test('a probe names the line of a syntax error, wherever it is', async () => {
  await using folder = await tempFolder()
  const file = join(folder.path, 'actor.ts')
  await writeFile(file, "import './rules.ts'\nexport default {}\n")
  await writeFile(join(folder.path, 'rules.ts'), 'export const rules = 1\nenum Mode { A }\n')
  const { answer } = await probe(file)
  const place = join(folder.path, 'rules.ts:2')
  const message = `${file} cannot be loaded: TypeScript enum is not supported in strip-only mode (${place})`
  expect(answer).toMatchObject({ ok: false, error: { code: 'MODULE_INVALID', message, details: { file, place } } })
})

test('a file that ends the process ends the probe without an answer', async () => {
  expect(await probe(sample('broken/exits'))).toEqual({ answer: undefined, code: 4 })
})
