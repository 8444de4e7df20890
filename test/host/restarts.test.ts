import { readdirSync } from 'node:fs'
import { expect, test } from 'vitest'
import { agents, hit, hostTeam, teamOf } from './hosted.ts'

const crashes = process.env.TROUPE_SOAK ? 1_000 : 200

/** What a process would leak with every restart. */
function census() {
  const count = (folder: string) => (process.platform === 'linux' ? readdirSync(folder).length : 0)
  const listeners = process
    .eventNames()
    .map((name) => process.listenerCount(name))
    .reduce((sum, each) => sum + each, 0)
  const resources = process.getActiveResourcesInfo().filter((name) => name !== 'Timeout' && name !== 'Immediate').length
  return { listeners, resources, descriptors: count('/proc/self/fd'), threads: count('/proc/self/task') }
}

test(`${crashes} restarts leave nothing behind`, { timeout: crashes * 500 }, async () => {
  const ids = ['a', 'b', 'c', 'd']
  await using team = hostTeam(teamOf(agents(ids.join(' ')), { intensity: { max: crashes + 1, within: 3_600_000 } }))
  await team.supervisor.start()
  const crash = async (id: string, times: number) => {
    for (let time = 0; time < times; time += 1) {
      const child = team.child(id)
      await hit(child, time % 2 ? 'throwInTimer' : 'exit', 3)
      await team.untilEntry(`start ${id} ${child.incarnation + 1}`)
    }
  }
  await Promise.all(ids.map((id) => crash(id, 5)))
  const before = census()
  await Promise.all(ids.map((id) => crash(id, crashes / ids.length - 5)))
  const after = census()
  expect(after).toEqual(before)
})
