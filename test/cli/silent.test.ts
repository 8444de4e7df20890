import { createServer, type Server } from 'node:http'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Troupe } from '../../src/host/troupe-types.ts'
import { type Control, openControl } from '../../src/ops/control.ts'
import { openProject, type Project } from './project.ts'

// One process that answers, and one that is there and does not make sense.
const clerk = { team: 'office', id: 'clerk', type: 'clerk', status: 'running', incarnation: 1, version: 'a', mailbox: 0 }
const status = {
  phase: 'running',
  node: 'n',
  isReady: true,
  reasons: [],
  store: { kind: 'embedded', where: '', isAway: false },
  zombies: 0,
}
const changes = { teams: [] }
const silent = 'Process 7 answers in a way that this version of the command does not know: restart it'

let project: Project
let control: Control
let mute: Server
beforeAll(async () => {
  project = await openProject()
  await project.configure('name: office\n')
  const troupe = { list: () => [clerk], status: () => status, plan: async () => changes, reload: async () => changes }
  control = await openControl(troupe as unknown as Troupe, '.troupe')
  mute = createServer((_, response) => response.end('hm'))
  await new Promise<void>((resolve) => mute.listen(join(project.path, '.troupe/run/7-abcdef.sock'), resolve))
})
afterAll(async () => {
  mute?.close()
  await control?.close()
  await project?.[Symbol.asyncDispose]()
})

test('an agent of a process that does not answer is not called unknown', async () => {
  const { code, err } = await project.run('why', 'trader')
  expect([code, err]).toEqual([1, `error "trader" is in no process that answers. ${silent}\n`])
})

test('a reload that did not reach everybody says so and fails, and so does a plan that is not the whole', async () => {
  const [reload, plan] = [await project.run('reload'), await project.run('plan')]
  expect([reload, plan]).toEqual([
    { code: 1, out: 'Nothing has changed.\n', err: `${silent}\n` },
    { code: 1, out: 'Nothing would change.\n', err: `${silent}\n` },
  ])
  const { code, out } = await project.run('plan', '--json')
  expect([code, JSON.parse(out)]).toEqual([1, expect.objectContaining({ silent: [{ pid: 7, message: silent }] })])
})
