import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { expect, test } from 'vitest'
import { startThread } from '../../src/host/thread.ts'
import { tempFolder } from '../helpers.ts'

test('a thread that was given up while the host stood still is no zombie for ever', async () => {
  await using folder = await tempFolder()
  const [shell, isUp] = [join(folder.path, 'shell.cjs'), join(folder.path, 'up')]
  const says = `require('node:worker_threads').parentPort.postMessage([{ kind: 'up' }])`
  await writeFile(shell, `${says}\nrequire('node:fs').writeFileSync(${JSON.stringify(isUp)}, '')\nsetInterval(() => {}, 1_000)\n`)
  const reaped = Promise.withResolvers<'reaped'>()
  await new Promise(setImmediate)
  const thread = startThread({ shell, hard: 2 ** 30, zombieAfter: 1, log() {}, onReaped: () => reaped.resolve('reaped') })
  // Nothing that it says is read before it is given up.
  while (!existsSync(isUp)) {}
  thread.terminate()
  for (const since = performance.now(); performance.now() - since < 5; ) {}
  expect([(await thread.ended).code, await reaped.promise]).toEqual([undefined, 'reaped'])
})
