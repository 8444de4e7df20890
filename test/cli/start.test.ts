import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { runTroupe } from '../store/run-troupe.ts'
import { openProject, type Project } from './project.ts'

let project: Project
beforeEach(async () => {
  project = await openProject()
  await project.configure('name: office\nteams: [{ id: office, agents: [{ id: clerk, type: clerk }] }]\n')
})
afterEach(() => project[Symbol.asyncDispose]())

test('a fault of the environment ends a start', async () => {
  const env = { PORT: '0', LLM_BASE_URL: 'nope', LLM_API_KEY: 'a-key' }
  const { code, err } = await runTroupe(['start'], { cwd: project.path, env, limit: 20_000 })
  expect([code, err]).toEqual([2, expect.stringMatching(/^error LLM_BASE_URL: expected an address/)])
})

test('an environment file that cannot be read is told without a stack', async () => {
  await mkdir(join(project.path, '.env'))
  const { code, err } = await project.run('check')
  expect([code, err]).toEqual([2, expect.stringMatching(/^error Cannot read the file \.env of the working folder: .*\n$/)])
})
