import { writeSync } from 'node:fs'
import { endProcess } from '../../src/host/threads.ts'
import { agents, hit, hostTeam, teamOf, turn } from './hosted.ts'

// A process of its own: what it hosts cannot be ended.
const team = hostTeam(teamOf(agents('a', { hangAfter: 400 })), { threads: { zombieAfter: 500 } })
await team.supervisor.start()
team.ev()
const { exit } = await hit(team.child('a'), 'zombie')
await team.untilEntry('start a 2')
const outcome = await turn(team.child('a'), 'echo', 'again')
const { zombies } = team.threads.stats()
writeSync(1, JSON.stringify({ ev: team.ev(), exit, reply: outcome.kind === 'done' && outcome.reply, zombies }))
await team.supervisor.stop()
await team.threads.close()
endProcess(0, zombies)
