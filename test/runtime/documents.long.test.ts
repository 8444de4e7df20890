import { afterAll, beforeAll, expect, test } from 'vitest'
import { openMongoDouble } from '../sources/mongo-double.ts'
import { type MongoGround, openMongoGround } from '../sources/mongo-ground.ts'
import { documentTeam, isUp, literal, running } from './documents.ts'
import { type Ground, openGround } from './team.ts'

let ground: Ground
let mongo: MongoGround

beforeAll(async () => {
  ;[ground, mongo] = await Promise.all([openGround(), openMongoGround()])
})

afterAll(async () => {
  await Promise.all([ground?.[Symbol.asyncDispose](), mongo?.[Symbol.asyncDispose]()])
})

test('an agent whose document goes wrong runs on as it was, until the document is mended', async () => {
  const fine = { ...literal, _id: 'k1', agent_id: 'k-one' }
  await mongo.put([fine])
  await using team = documentTeam(ground, 'k-file', mongo.settings)
  await team.start()
  await team.event('child:started', isUp('k-one'))
  for (const wrong of [{ status: 'asleep' }, { agent_type: 'nobody' }, { options: { grade: 'best' } }]) {
    await mongo.put([{ ...fine, ...wrong }])
    team.forget()
    expect(await team.reload()).toMatchObject({ teams: [], documents: { skipped: [{ id: 'k-one', runsOn: true }] } })
    await team.event('document:skipped', ({ id, runsOn }) => id === 'k-one' && runsOn)
  }
  expect(await team.ask('k-one', 'hear', 'still')).toEqual(['still at 0.04'])
  await mongo.put([{ ...fine, options: { grade: 1 } }])
  await team.reload()
  await team.event('child:started', isUp('k-one', 2))
  expect(await team.ask('k-one', 'args')).toEqual({ agent: { name: 'MyAgent', base_rate_usd: 0.04 }, grade: 1 })
})

test('while MongoDB cannot be read what runs stays as it is, and it is read again with the interval', async () => {
  await using double = await openMongoDouble()
  double.put('bazaar.agents', [{ ...literal, _id: 'u1', agent_id: 'u-one' }])
  double.manner = 'cuts find'
  const settings = { uri: double.uri, database: 'bazaar', collection: 'agents' }
  await using team = documentTeam(ground, 'u-file', settings, { env: { AGENT_RELOAD_INTERVAL: '1' } })
  await team.start()
  await team.event('source:failed')
  expect([running(team), team.status().reasons]).toEqual([
    ['own u-file 1 running'],
    ['MongoDB cannot be read, its agents are not known yet'],
  ])
  double.manner = 'answers'
  await team.event('source:back')
  await team.event('child:started', isUp('u-one'))
  double.manner = 'cuts find'
  team.forget()
  await team.event('source:failed', ({ error }) => error.startsWith('MongoDB at 127.0.0.1:'))
  expect(await team.plan()).toMatchObject({ teams: [], documents: { kind: 'failed', skipped: [] } })
  expect([running(team), team.status().isReady]).toEqual([['own u-file 1 running', 'bazaar u-one 1 running'], true])
})

test('with AGENT_MODE the documents of that type run, also when there was none at the start', async () => {
  await mongo.put([])
  await using team = documentTeam(ground, 'm-file', mongo.settings, { env: { AGENT_MODE: 'my_agent' } })
  await team.start()
  await mongo.put([
    { ...literal, agent_id: 'm-one' },
    { ...literal, agent_id: 'm-two', agent_type: 'counter' },
  ])
  await team.reload()
  await team.event('child:started', isUp('m-one'))
  expect(running(team)).toEqual(['bazaar m-one 1 running'])
})

test('a process that stands by reads documents again when it takes over: what was removed meanwhile does not come back', async () => {
  await mongo.put([{ ...literal, agent_id: 's-one' }])
  const options = { lease: 1_500 }
  await using first = documentTeam(ground, 's-file', mongo.settings, options)
  await using second = documentTeam(ground, 's-file', mongo.settings, options)
  await first.start()
  await first.event('child:started', isUp('s-one'))
  await second.start()
  expect(running(second)).toEqual(['own s-file 0 standby', 'bazaar s-one 0 standby'])
  await mongo.put([])
  await first.reload()
  await second.event('team:stopped', ({ team }) => team === 'bazaar')
  expect([running(first), running(second)]).toEqual([['own s-file 1 running'], ['own s-file 0 standby']])
  await mongo.put([{ ...literal, agent_id: 's-one' }])
  first.forget()
  await first.reload()
  await first.event('child:started', isUp('s-one'))
})

test('a start that is refused leaves no connection', async () => {
  await using double = await openMongoDouble()
  const settings = { uri: double.uri, database: 'bazaar', collection: 'agents' }
  await using team = documentTeam(ground, 'l-file', settings, { env: { AGENT_MODE: 'nobody' } })
  await expect(team.start()).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  expect(double.seen.length).toBeGreaterThan(0)
  await double.left()
})
