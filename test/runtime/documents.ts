import type { TroupeOptions } from '../../src/host/troupe-types.ts'
import type { MongoGround } from '../sources/mongo-ground.ts'
import { type Ground, type TestTeam, teamOn } from './team.ts'

/** The document that the configuration's contract shows. */
export const literal = {
  name: 'MyAgent',
  agent_type: 'my_agent',
  managed: true,
  status: 'available',
  capabilities: { my_skill: 0.9 },
  base_rate_usd: 0.04,
}

type Place = Pick<MongoGround['settings'], 'uri' | 'database' | 'collection'>

/** A team of one agent in its config, and of those of documents. */
export function documentTeam(ground: Ground, file: string, place: Place, options: Partial<TroupeOptions> = {}): TestTeam {
  const { uri, database, collection } = place
  const config = { teams: [{ id: 'own', agents: [{ id: file, type: 'counter' }] }], sources: { mongodb: { uri, database, collection } } }
  return teamOn(ground, [], { config, ...options })
}

export const running = (team: TestTeam) => team.list().map(({ team, id, incarnation, status }) => `${team} ${id} ${incarnation} ${status}`)

export const isUp =
  (id: string, incarnation = 1) =>
  (event: { id: string; incarnation: number }) =>
    event.id === id && event.incarnation === incarnation
