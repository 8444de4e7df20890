import { createInterface } from 'node:readline'
import { createTroupe } from '../../src/host/troupe.ts'
import { actors } from './team.ts'

// A process of its own with a team: what it announces are its lines, and a line that it reads is a message to send.
const { agents, folder, lease } = JSON.parse(process.argv[2] ?? '{}')
const troupe = createTroupe({
  config: { teams: [{ id: 'team', intensity: { max: 100 }, agents }] },
  root: process.cwd(),
  actors,
  folder,
  lease,
  watches: false,
  onEvent: (event) => process.stdout.write(`${JSON.stringify(event)}\n`),
})
await troupe.start()
for await (const line of createInterface(process.stdin)) {
  const { to, type, body } = JSON.parse(line)
  await troupe.send(to, type, body)
}
await troupe.stop()
