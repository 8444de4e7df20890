import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Desired, desire } from '../../src/host/desired.ts'
import { createProbe } from '../../src/host/probe.ts'
import { readAgentDocument } from '../../src/sources/agent-document.ts'
import { fileSource } from '../../src/sources/file.ts'
import { joinDocuments } from '../../src/sources/join-documents.ts'

const root = join(import.meta.dirname, '../..')
const header = "import { defineActor } from 'troupe/actor'\n"
const probe = createProbe()
let folder = ''

beforeAll(async () => {
  folder = await mkdtemp(join(import.meta.dirname, '.desired-'))
  const files = {
    'plain.ts': `${header}export default defineActor({ receive: { hi: () => 1 } })`,
    'two_words.ts': `${header}export default defineActor({ jobs: { work: true }, run: { work: () => 1 } })`,
    'saved.ts': `${header}export default defineActor({ persist: true, init: () => 0 })`,
    'same-name.ts': `${header}export default defineActor({})`,
    'same_name.ts': `${header}export default defineActor({})`,
    'choosy.ts': `${header}const validate = (value: unknown) => {
  const { edge } = value as { edge?: unknown }
  return typeof edge === 'number' ? { value: { edge } } : { issues: [{ message: 'expected a number', path: ['edge'] }] }
}
export default defineActor({ args: { '~standard': { version: 1, vendor: 'test', validate } } })`,
    'needy.ts': `${header}import { x } from '../nowhere/x.ts'\nexport default defineActor({ init: () => x })`,
    'broken.ts': `${header}\nexport default defineActor({ receive: 7 })`,
  }
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
})

afterAll(() => rm(folder, { recursive: true, force: true }))

async function desired(agents: readonly string[], env: Record<string, string> = {}): Promise<Desired> {
  const file = join(folder, 'team.yaml')
  await writeFile(file, `teams:\n  - id: one\n    agents:\n${agents.map((agent) => `      - ${agent}\n`).join('')}`)
  return desire(await fileSource(file, env).read(), { root, actors: folder, code: join(folder, 'code'), env, probe })
}

/** The message of a refusal, with the folder's own name taken out. */
async function refusal(...given: Parameters<typeof desired>): Promise<string> {
  const error = await desired(...given).then(
    () => undefined,
    (reason) => reason,
  )
  return `${error.code} ${error.message}`.replaceAll(folder, '')
}

test('makes specs of a config, with replicas and names with - or _', async () => {
  const { teams, manifests } = await desired(['{ id: a, type: plain, replicas: 2 }', '{ id: b, type: two-words, args: { n: 1 } }'])
  const [team] = teams
  expect(team?.children.map(({ id, type, args }) => [id, type, args])).toEqual([
    ['a-1', 'plain', '{}'],
    ['a-2', 'plain', '{}'],
    ['b', 'two-words', '{"n":1}'],
  ])
  expect(new Set(team?.children.map(({ version }) => version)).size).toBe(3)
  expect(manifests.get('b')).toMatchObject({ jobs: { work: {} } })
})

test('gives the same version as long as nothing changes, and another for other settings', async () => {
  const versionOf = async (agent: string) => (await desired([agent])).teams[0]?.children[0]?.version
  const first = await versionOf('{ id: a, type: plain }')
  expect(await versionOf('{ id: a, type: plain }')).toBe(first)
  expect(await versionOf('{ id: a, type: plain, mailbox: 7 }')).not.toBe(first)
})

test('names the place of a type without a file, and what there is', async () => {
  expect(await refusal(['{ id: a, type: plane }'])).toBe(
    'CONFIG_INVALID /team.yaml:4:24: there is no actor file for "plane": expected /plane.ts, found broken, choosy, needy, plain, same-name, saved, two-words',
  )
})

test('refuses two files for one type, and what cannot be saved', async () => {
  expect(await refusal(['{ id: a, type: same-name }'])).toContain(
    'two actor files for "same-name": /same-name.ts and /same_name.ts; remove one',
  )
  expect(await refusal(['{ id: a, type: saved, durability: async }'])).toMatch(/^CONFIG_INVALID \/team.yaml:4:43: .*persist: true/)
})

test('refuses args that the actor does not take, of every agent at once, with their places', async () => {
  const agents = ['{ id: a, type: choosy, args: { edge: high } }', '{ id: b, type: choosy, args: { edge: 1 } }', '{ id: c, type: choosy }']
  expect(await refusal(agents, { AGENT_MODE: 'plain' })).toContain('AGENT_MODE is "plain"')
  expect(await refusal(agents)).toBe(
    'CONFIG_INVALID /team.yaml:4:38: args.edge: found "high", expected a number\n/team.yaml:6:9: args.edge: found nothing, expected a number',
  )
})

test('refuses a timeout for a type that the actor has not', async () => {
  expect(await refusal(['{ id: a, type: two-words, turnTimeouts: { work: 1s, wrok: 1s } }'])).toBe(
    'CONFIG_INVALID /team.yaml:4:67: "two-words" has no message or job "wrok", expected one of work',
  )
})

test('says what is wrong with an actor file, by the name that people know it by', async () => {
  expect(await refusal(['{ id: a, type: broken }'])).toBe(
    'MODULE_INVALID /broken.ts is not an actor file: receive is number (7), expected an object',
  )
})

test('runs only the type of AGENT_MODE, and lists the types when there is no such', async () => {
  const agents = ['{ id: a, type: plain }', '{ id: b, type: two_words }']
  const { teams } = await desired(agents, { AGENT_MODE: 'two-words' })
  expect(teams[0]?.children.map(({ id }) => id)).toEqual(['b'])
  expect(await refusal(agents, { AGENT_MODE: 'trader' })).toBe(
    'CONFIG_INVALID AGENT_MODE is "trader", expected a type of the config: plain, two_words',
  )
})

test('a document brings its agent and the files to watch, those that are missing as well, but not the age of its actor file', async () => {
  const file = join(folder, 'team.yaml')
  await writeFile(file, 'teams:\n  - id: one\n    agents:\n      - { id: a, type: plain }\n')
  const later = new Date(Date.now() + 3_600_000)
  await utimes(join(folder, 'two_words.ts'), later, later)
  const document = (agent_id: string, agent_type: string) =>
    readAgentDocument({ _id: agent_id, agent_id, agent_type, name: 'N', managed: true, status: 'available' })
  const wanted = await fileSource(file, {}).read()
  const documents = [document('d', 'two_words'), document('e', 'to_come'), document('f', 'needy')]
  const joined = joinDocuments(wanted, { kind: 'read', documents, limit: 10 }, 'bazaar')
  const options = { root, actors: folder, code: join(folder, 'code'), env: {}, probe }
  const [before, { teams, sources, stamp }] = [await desire(wanted, options), await desire(joined, options)]
  expect([teams.map(({ id, children }) => [id, children.map((child) => child.id)]), stamp]).toEqual([
    [
      ['one', ['a']],
      ['bazaar', ['d']],
    ],
    before.stamp,
  ])
  const files = ['two_words.ts', 'to_come.ts', 'to-come.ts', 'needy.ts', '../nowhere/x.ts']
  expect(sources).toEqual(expect.arrayContaining(files.map((name) => join(folder, name))))
})
