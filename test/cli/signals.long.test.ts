import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeDatabase } from '../embedded-folder.ts'
import { openProject, type Project } from './project.ts'

/** Optimised code whose loop calls nothing but builtins: V8 cannot interrupt it, and so the thread cannot be ended. */
const actor = `import { defineActor } from 'troupe/actor'

export default defineActor({
  receive: {
    spin() {
      let keep = []
      for (;;) {
        keep.push(new Array(1_000).fill(1))
        if (keep.length > 1_000) keep = []
      }
    },
  },
})
`

let project: Project
beforeAll(async () => {
  project = await openProject()
  await makeDatabase('.troupe')
  await project.write('actors/wild.ts', actor)
  await project.configure('teams: [{ id: wild, agents: [{ id: wild, type: wild, hangAfter: 1h, shutdown: 1h }] }]')
})
afterAll(() => project?.[Symbol.asyncDispose]())

test('a second signal ends the process, also when one of its threads cannot be ended', async () => {
  const team = project.start()
  await team.event('child:started', { agent: 'wild' })
  await project.ask('send', 'wild', 'spin')
  const turns = async () => (await project.ask<{ thread?: { turns: number } }>('why', 'wild')).thread?.turns
  await expect.poll(turns).toBe(1)
  const ended = team.end('SIGTERM')
  const phase = async () => (await project.ask<{ processes: { phase: string }[] }>('ps')).processes[0]?.phase
  await expect.poll(phase).toBe('stopping')
  await Promise.all([ended, team.end('SIGTERM')])
})
