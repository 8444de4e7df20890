import { expect, test } from 'vitest'
import type { AgentSpec } from '../../src/core/agent.ts'
import { openVersions } from '../../src/host/versions.ts'
import { tempFolder } from '../helpers.ts'

const spec = (id: string, version: string) => ({ id, version, file: `/code/${version}/${id}.ts` }) as AgentSpec

test('processes that share a folder keep what the others know, also that somebody went back', async () => {
  await using folder = await tempFolder()
  const [trading, scanning] = [await openVersions(folder.path), await openVersions(folder.path)]
  scanning.succeeded(spec('scanner', 'one'))
  await scanning.saved()
  trading.succeeded(spec('trader', 'one'))
  trading.goBack('trader', 'two')
  await trading.saved()
  scanning.succeeded(spec('scanner', 'two'))
  await scanning.saved()

  const next = await openVersions(folder.path)
  expect([next.resolve(spec('trader', 'two')).version, next.lastGood('scanner', 'two')?.version]).toEqual(['one', 'one'])
})

test('a last good version of an agent that has moved runs for the team that has it now', async () => {
  await using folder = await tempFolder()
  const versions = await openVersions(folder.path)
  versions.succeeded({ ...spec('clerk', 'one'), team: 'before' })
  versions.goBack('clerk', 'two')
  const { version, team } = versions.resolve({ ...spec('clerk', 'two'), team: 'now' })
  await versions.saved()
  expect([version, team]).toEqual(['one', 'now'])
})
