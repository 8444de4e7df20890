import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { createProbe } from '../../src/host/probe.ts'

const run = promisify(execFile)
const probeModule = new URL('../../src/host/probe.ts', import.meta.url).href

test('threads find compiled what a probe has loaded', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'troupe-probe-'))
  try {
    const actor = join(folder, 'actor.ts')
    await writeFile(actor, 'export default { receive: { hi: (): void => {} } }\n')
    // The cache is there only for a process that had the variable when it began; this one writes its own part when it ends.
    const script = `
      const { createProbe } = await import(${JSON.stringify(probeModule)})
      await createProbe().manifestOf(${JSON.stringify(actor)})
      const { globSync } = await import('node:fs')
      console.log(globSync('**/*', { cwd: process.env.NODE_COMPILE_CACHE, withFileTypes: true }).filter((one) => one.isFile()).length > 0)`
    const env = { ...process.env, NODE_COMPILE_CACHE: join(folder, 'cache') }
    const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', script], { env })
    expect(stdout.trim()).toBe('true')
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

test('args are tried on the schema of the file, each set for itself', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'troupe-probe-'))
  try {
    const actor = join(folder, 'actor.js')
    const validate = `({ n }) => {
      if (n === 'throws') throw new Error('no such luck')
      if (n === 'ends') process.exit()
      return n === 1 ? { value: { n } } : { issues: [{ message: 'expected 1', path: ['n'] }] }
    }`
    const schema = `{ '~standard': { version: 1, vendor: 'test', validate: ${validate} } }`
    await writeFile(actor, `export default { args: ${schema} }\n`)
    const probe = createProbe()
    const args = [{ n: 1 }, { n: 2 }, { n: 'throws' }, { n: 2 }].map((one) => JSON.stringify(one))
    const issues = [[], ['args.n: found 2, expected 1'], ['args: their schema failed: no such luck'], ['args.n: found 2, expected 1']]
    expect(await probe.issuesOf(actor, args)).toEqual(issues)
    await rm(actor)
    // What was judged is known.
    expect(await probe.issuesOf(actor, args)).toEqual(issues)
    await writeFile(actor, `export default { args: ${schema} }\n`)
    await expect(probe.issuesOf(actor, ['{"n":"ends"}'])).rejects.toMatchObject({ code: 'MODULE_INVALID' })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})
