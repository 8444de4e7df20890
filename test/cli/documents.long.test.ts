import { afterAll, beforeAll, expect, test } from 'vitest'
import { type MongoDouble, openMongoDouble } from '../sources/mongo-double.ts'
import { openProject, type Project } from './project.ts'

const config = (uri: string) => `
teams:
  - id: office
    agents:
      - { id: head, type: clerk }
sources:
  mongodb: { uri: '${uri}', team: office }
`

let project: Project
let mongo: MongoDouble

beforeAll(async () => {
  ;[project, mongo] = await Promise.all([openProject(), openMongoDouble()])
  await project.configure(config(mongo.uri))
  const document = { name: 'Clerk', agent_type: 'clerk', managed: true, status: 'available' }
  mongo.put('bazaar.agents', [
    { ...document, _id: 'd1', agent_id: 'hand' },
    { ...document, _id: 'd2', agent_id: 'head' },
    { ...document, _id: 'd3', agent_id: 'foot', agent_type: 'walker' },
    { ...document, _id: 'd\u001b[2J', agent_id: 'ear', name: 7 },
  ])
})

afterAll(async () => {
  await Promise.all([project?.[Symbol.asyncDispose](), mongo?.[Symbol.asyncDispose]()])
})

const skipped = [
  ['ear', 'document "d\\u001b[2J": name: found 7, expected string'],
  ['foot', 'document d3: there is no actor file for "walker": expected actors/walker.ts, found clerk'],
  ['head', 'document d2: "head" is an agent of the config file, which wins'],
] as const
const asText = skipped.map(([id, reason]) => `skipped  ${id}  ${reason}\n`).join('')
const documents = { kind: 'read', skipped: skipped.map(([id, reason]) => ({ id, reason, runsOn: false })) }

test('plan and check show which documents bring no agent, and why', async () => {
  const [plan, check] = [await project.run('plan'), await project.run('check')]
  expect(plan).toEqual({
    code: 0,
    out: `No team runs here, so everything would start:\noffice  start   head, hand\n${asText}`,
    err: '',
  })
  expect([check.code, check.out]).toEqual([0, expect.stringContaining(`${asText}config/troupe.yaml is fine: 2 agents of 1 types\n`)])
  expect(await project.ask('check')).toMatchObject({ isFine: true, faults: [], documents })
})

test('plan and check tell a MongoDB that cannot be read, without its password', async () => {
  const { host } = new URL(mongo.uri)
  await project.configure(config(`mongodb://me:s3cretword@${host}`))
  const [plan, check, json] = [await project.run('plan'), await project.run('check'), await project.run('plan', '--json')]
  const failed = `failed   MongoDB at ${host} cannot be read: Authentication failed.; the agents of its documents stay as they are\n`
  expect([plan.code, plan.out]).toEqual([0, `No team runs here, so everything would start:\noffice  start   head\n${failed}`])
  expect([check.code, check.out]).toEqual([0, expect.stringContaining(failed)])
  expect(JSON.parse(json.out)).toMatchObject({ plans: [{ documents: { kind: 'failed', skipped: [] } }] })
  expect(JSON.stringify([plan, check, json])).not.toContain('s3cret')
})
