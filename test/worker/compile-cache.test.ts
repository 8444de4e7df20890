import { spawn } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { tempFolder } from '../helpers.ts'
import { sample } from './thread.ts'

test('the file of an actor that came late to its thread is compiled once for all', async () => {
  await using folder = await tempFolder()
  const env = { ...process.env, NODE_COMPILE_CACHE: folder.path, NODE_OPTIONS: '' }
  const host = spawn(process.execPath, [join(import.meta.dirname, 'late-thread.ts')], { env, stdio: ['pipe', 'inherit', 'inherit'] })
  try {
    // With the types taken out, a file is as it was, but for blanks.
    const [line = ''] = /^ {4}fatal.*$/m.exec(await readFile(sample('lab'), 'utf8')) ?? []
    expect(line).not.toBe('')
    await expect.poll(() => contains(folder.path, line)).toBe(true)
  } finally {
    host.stdin.end()
  }
})

async function contains(folder: string, text: string): Promise<boolean> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  // What is being written has another name a moment later.
  const texts = await Promise.all(files.map(({ parentPath, name }) => readFile(join(parentPath, name), 'latin1').catch(() => '')))
  return texts.some((one) => one.includes(text))
}
