import { expect, test } from 'vitest'
import { census } from '../census.ts'
import { agents, hit, hostTeam, teamOf } from './hosted.ts'

// The thousand of them, on the whole runtime: test/soak/restarts.ts.
const crashes = 60

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
  expect(census()).toEqual(before)
})
