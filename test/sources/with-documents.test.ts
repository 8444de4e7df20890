import { expect, test } from 'vitest'
import { readAgentDocument } from '../../src/sources/agent-document.ts'
import { valueSource } from '../../src/sources/file.ts'
import type { ConfigInput, MongodbSettings } from '../../src/sources/schema.ts'
import { withDocuments } from '../../src/sources/with-documents.ts'

const teams = [{ id: 'own', agents: [{ id: 'a', type: 'any' }] }]
const document = readAgentDocument({ _id: 'd', agent_id: 'd', name: 'D', agent_type: 'any', managed: true, status: 'available' })

/** A source whose config may change, over databases that only say what is done with them. */
function changeable(first: ConfigInput, env: Record<string, string> = {}) {
  const done: string[] = []
  let config = first
  const open = ({ uri, database, collection, team }: MongodbSettings) => ({
    async read() {
      done.push(`read ${uri} ${database}.${collection} for ${team}`)
      return { kind: 'read', documents: [document], limit: 10 } as const
    },
    async close() {
      done.push(`close ${uri}`)
    },
  })
  const base = { ...valueSource(config), read: () => valueSource(config).read() }
  const source = withDocuments(base, env, open)
  const read = async () => (await source.read()).config.teams.map(({ id, agents }) => `${id}: ${agents.map((agent) => agent.id)}`)
  const change = (sources: ConfigInput['sources']) => {
    config = { teams, sources }
  }
  return { source, done, read, change }
}

test('without an address no database is asked', async () => {
  const { source, done, read } = changeable({ teams }, { MONGODB_URI: ' ' })
  expect([await read(), (await source.read()).documents, done]).toEqual([['own: a'], undefined, []])
})

test('MONGODB_URI alone is enough, and what the config says goes before it', async () => {
  const { done, read, change } = changeable({ teams }, { MONGODB_URI: 'mongodb://env' })
  expect(await read()).toEqual(['own: a', 'bazaar: d'])
  change({ mongodb: { uri: 'mongodb://file', collection: 'staff', team: 'own' } })
  expect(await read()).toEqual(['own: a,d'])
  expect(done).toEqual(['read mongodb://env bazaar.agents for bazaar', 'close mongodb://env', 'read mongodb://file bazaar.staff for own'])
})

test('one client serves as long as its settings stay, and is closed with them, or with the source', async () => {
  const { source, done, read, change } = changeable({ teams, sources: { mongodb: { uri: 'mongodb://one' } } })
  await read()
  await read()
  change({})
  expect(await read()).toEqual(['own: a'])
  change({ mongodb: { uri: 'mongodb://two' } })
  await read()
  await source.close()
  expect(done.map((one) => one.split(' ', 2).join(' '))).toEqual([
    ...['read mongodb://one', 'read mongodb://one', 'close mongodb://one'],
    ...['read mongodb://two', 'close mongodb://two'],
  ])
  expect((await source.read()).documents?.state).toEqual({ kind: 'failed', error: 'MongoDB is not asked any more' })
})
