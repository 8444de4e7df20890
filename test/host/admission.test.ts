import { expect, test } from 'vitest'
import { findShortage, memoryBudget, type Readings } from '../../src/core/admission.ts'
import { createAdmission, readProcess } from '../../src/host/admission.ts'
import { agent, agents, hostTeam, openThreads, teamOf } from './hosted.ts'

const megabyte = 2 ** 20

test('refuses what would exhaust the process, with the numbers and the cure', () => {
  const messageOf = (readings: Readings) => findShortage(readings)?.message
  const descriptors = (used: number) => messageOf({ descriptors: { used, limit: 1_024 } })
  const maps = (used: number) => messageOf({ maps: { used, limit: 1_000 } })
  const memory = (used: number) => messageOf({ memory: { used: used * megabyte, limit: 500 * megabyte } })
  expect([descriptors(919), maps(800), memory(485), messageOf({})]).toEqual([undefined, undefined, undefined, undefined])
  expect([descriptors(920), maps(801), memory(486)]).toEqual([
    'No thread for one more agent. File descriptors are exhausted: 920 of 1024 in use, 100 stay free. Raise the limit (ulimit -n 16384) or run fewer agents in this process.',
    'No thread for one more agent. Memory maps are exhausted: 801 of 1000 in use (vm.max_map_count). Raise it (sysctl vm.max_map_count=262144) or run fewer agents in this process.',
    'No thread for one more agent. The memory budget is exhausted: 486 of 500 MB in use. Give its container or machine more, or run fewer agents in this process.',
  ])
})

test('the budget is that of the container, else of the machine, less a reserve', () => {
  const [unlimited, unknown] = [2 ** 63, 0]
  const budget = (constrained: number, total: number) =>
    memoryBudget({ constrained: constrained * megabyte, total: total * megabyte }) / megabyte
  expect([budget(512, 16_000), budget(256, 16_000), budget(unlimited, 1_000), budget(unknown, 1_000), budget(20_000, 16_000)]).toEqual(
    [512 - 51.2, 256 - 32, 900, 900, 16_000 - 512].map((each) => expect.closeTo(each, 3)),
  )
})

test('counts the threads that it admitted since it last looked, and looks again after a second', () => {
  let [now, reads] = [0, 0]
  const read = () => {
    reads += 1
    return { descriptors: { used: 900, limit: 1_010 } }
  }
  const admission = createAdmission({ read, now: () => now })
  const admit = () => admission.admit()?.usage.used
  expect([admit(), admit(), admit(), reads]).toEqual([undefined, undefined, 910, 1])
  now = 1_000
  expect([admit(), reads]).toEqual([undefined, 2])
})

test.skipIf(process.platform !== 'linux')('reads what this process uses', () => {
  const { descriptors, maps, memory } = readProcess(megabyte)
  expect([descriptors?.used, maps?.used, memory?.used]).toSatisfy((used: number[]) => used.every((each) => each > 5))
  expect([descriptors?.limit, maps?.limit, memory?.limit]).toSatisfy((limits: number[]) => limits.every((each) => each > 1_000))
})

test('an agent that there is no room for fails to start; those that run are left alone', async () => {
  await using threads = openThreads({ admission: createAdmission({ memory: megabyte }) })
  const thrown = expect.objectContaining({
    code: 'START_FAILED',
    details: { exhausted: 'memory', used: expect.any(Number), limit: megabyte },
  })
  expect(() => threads.start(agent('a'), 1)).toThrow(thrown)
  await using team = hostTeam(teamOf(agents('a')), { threads: { admission: createAdmission({ memory: megabyte }) } })
  expect(await team.supervisor.start()).toMatchObject({ kind: 'failed', detail: expect.stringContaining('of 1 MB in use') })
})
