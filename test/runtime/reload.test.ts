import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { TroupeOptions } from '../../src/host/troupe-types.ts'
import { actors, type Ground, openGround, teamOn } from './team.ts'

let ground: Ground

beforeAll(async () => {
  ground = await openGround()
})

const root = join(import.meta.dirname, '../..')
// Inside of the project, because that is where actors find "troupe/actor".
const own = join(root, '.troupe', `test-${process.pid}`)

afterAll(async () => {
  await ground[Symbol.asyncDispose]()
  await rm(own, { recursive: true, force: true })
})

/** A team of a config file and actor files that a test may change. */
async function changeable(name: string, agents: readonly string[], options: Partial<TroupeOptions> = {}) {
  const folder = join(ground.folder, name)
  const home = join(own, name)
  await mkdir(home, { recursive: true })
  await cp(actors, join(home, 'actors'), { recursive: true })
  const config = join(home, 'team.yaml')
  const configure = (lines: readonly string[]) =>
    writeFile(config, `teams:\n  - id: ${name}\n    agents:\n${lines.map((line) => `      - ${line}\n`).join('')}`)
  await configure(agents)
  const team = teamOn(ground, [], { config, actors: join(home, 'actors'), folder, ...options })
  const write = (file: string, text: string) => writeFile(join(home, 'actors', file), text)
  const edit = async (file: string, change: (text: string) => string) => {
    const text = change(await readFile(join(home, 'actors', file), 'utf8'))
    await write(file, text)
    return text
  }
  return { team, configure, edit, write }
}

const incarnations = (team: { list(): readonly { id: string; incarnation: number; status: string }[] }) =>
  team.list().map(({ id, incarnation, status }) => `${id} ${incarnation} ${status}`)

test('a reload restarts only what changed, starts what is new, and lets go what is gone', async () => {
  const { team, configure, edit } = await changeable('one', [
    '{ id: p-counter, type: counter }',
    '{ id: p-relay, type: relay }',
    '{ id: p-gone, type: relay }',
  ])
  await using _ = team
  await team.start()
  await team.ask('p-counter', 'add', 5)
  await edit('counter.ts', (text) => text.replace('return ctx.state.sum', 'return { sum: ctx.state.sum }'))
  await configure(['{ id: p-counter, type: counter }', '{ id: p-relay, type: relay }', '{ id: p-new, type: relay }'])
  expect(await team.plan()).toEqual({ teams: [{ team: 'one', stop: ['p-counter', 'p-gone'], start: ['p-counter', 'p-new'] }] })
  await team.reload()
  await team.event('child:started', ({ id }) => id === 'p-new')
  expect(await team.ask('p-counter', 'add', 1)).toEqual({ sum: 6 })
  await team.event('child:dropped', ({ id }) => id === 'p-gone')
  expect(incarnations(team)).toEqual(['p-counter 2 running', 'p-relay 1 running', 'p-new 1 running'])
})

test('a faulty change is refused, and what runs stays as it is', async () => {
  const { team, configure, edit } = await changeable('two', ['{ id: q-counter, type: counter }'])
  await using _ = team
  await team.start()
  await edit('counter.ts', (text) => `${text}\nexport const x = ]`)
  await expect(team.reload()).rejects.toMatchObject({ code: 'MODULE_INVALID' })
  await edit('counter.ts', (text) => text.replace('\nexport const x = ]', ''))
  await configure(['{ id: q-counter, type: counter, mailbox: none }'])
  await expect(team.reload()).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  await configure(['{ id: q-counter, type: counter }', '{ id: q-clerk, type: my-agent }'])
  await expect(team.reload()).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining('args.agent: found nothing'),
  })
  expect(team.seen.filter(({ name }) => name === 'plan:refused')).toHaveLength(3)
  expect(await team.ask('q-counter', 'add', 1)).toBe(1)
  expect(incarnations(team)).toEqual(['q-counter 1 running'])
})

test('what only the next start of the process can change is told, once by a warning and by every plan', async () => {
  const { team, configure } = await changeable('six', ['{ id: t-relay, type: relay }'])
  await using _ = team
  await team.start()
  const deferred = () => team.seen.flatMap((event) => (event.name === 'config:deferred' ? [event.sections] : []))
  await configure(['{ id: t-relay, type: relay }', '{ id: t-new, type: relay }\nllm: { concurrency: 2 }\nhttp: { retries: 1 }'])
  const planned = await team.plan()
  const reloaded = await team.reload()
  const again = await team.reload()
  const change = { team: 'six', stop: [], start: ['t-new'] }
  expect([planned, reloaded, again, deferred()]).toEqual([
    { teams: [change], later: ['http', 'llm'] },
    { teams: [change], later: ['http', 'llm'] },
    { teams: [], later: ['http', 'llm'] },
    [['http', 'llm']],
  ])
  await configure(['{ id: t-relay, type: relay }'])
  expect(await team.reload()).toEqual({ teams: [{ team: 'six', stop: ['t-new'], start: [] }] })
})

test('a paused agent stays paused whatever changes, and answers again once it is resumed', async () => {
  const { team, configure, edit } = await changeable('five', ['{ id: s-counter, type: counter }', '{ id: s-relay, type: relay }'])
  await using _ = team
  await team.start()
  await team.pause('s-counter')
  await edit('counter.ts', (text) => text.replace('return ctx.state.sum', 'return -1'))
  await team.reload()
  await configure(['{ id: s-relay, type: relay }', '{ id: s-counter, type: counter, mailbox: 50 }'])
  await team.reload()
  await expect(team.ask('s-counter', 'add', 1)).rejects.toMatchObject({ code: 'ACTOR_DOWN' })
  expect(incarnations(team)).toEqual(['s-relay 1 running', 's-counter 1 paused'])
  await team.resume('s-counter')
  expect([await team.ask('s-counter', 'add', 1), incarnations(team)]).toEqual([-1, ['s-relay 1 running', 's-counter 2 running']])
  await team.pause('s-counter')
  await team.restart('s-counter', { lastGood: true })
  expect(await team.ask('s-counter', 'add', 1)).toBe(2)
})

test('a resumed agent that cannot start is told to who resumes it, and is tried again like any other', async () => {
  const { team, edit } = await changeable('seven', ['{ id: u-counter, type: counter, budget: 2, backoff: { first: 10ms } }'])
  await using _ = team
  await team.start()
  await team.pause('u-counter')
  await edit('counter.ts', (text) => text.replace(/init:.*/, "init() { throw new Error('no luck') },"))
  await team.reload()
  await expect(team.resume('u-counter')).rejects.toMatchObject({ code: 'START_FAILED', message: expect.stringContaining('no luck') })
  await team.event('child:quarantined')
  expect([incarnations(team), team.status().reasons]).toEqual([['u-counter 3 quarantined'], ['in quarantine: u-counter']])
})

test('a change of a file is a reload, and the last good version is at hand', async () => {
  const { team, edit } = await changeable('three', ['{ id: r-counter, type: counter }'], { watches: true })
  await using _ = team
  await team.start()
  await edit('counter.ts', (text) => text.replace('return ctx.state.sum', 'return -1'))
  await team.event('child:started', ({ id, incarnation }) => id === 'r-counter' && incarnation === 2)
  expect(await team.ask('r-counter', 'add', 1)).toBe(-1)
  await team.restart('r-counter', { lastGood: true })
  expect(await team.ask('r-counter', 'add', 1)).toBe(2)
  await team.restart('r-counter')
  expect(await team.ask('r-counter', 'add', 1)).toBe(-1)
})

test('what was refused is tried again when the file that was wrong is put right, or comes', async () => {
  const { team, configure, edit, write } = await changeable('five', ['{ id: s-relay, type: relay }'], { watches: true })
  await using _ = team
  await team.start()
  const refused = async (says: string) => {
    await team.event('plan:refused', ({ message }) => message.includes(says))
    team.forget()
  }
  await write('lib/fresh.ts', 'export const answer = ]')
  await write('fresh.ts', "import { answer } from './lib/fresh.ts'\nexport const x = answer")
  await configure(['{ id: s-relay, type: relay }', '{ id: s-fresh, type: fresh }'])
  await refused('lib/fresh.ts')
  await write('lib/fresh.ts', 'export const answer = 42')
  await refused('is not an actor file')
  const counter = await edit('counter.ts', (text) => text)
  await write('fresh.ts', counter)
  await team.event('child:started', ({ id }) => id === 's-fresh')
  await configure(['{ id: s-relay, type: relay }', '{ id: s-late, type: late }'])
  await refused('there is no actor file for "late"')
  await write('late.ts', counter)
  await team.event('child:started', ({ id }) => id === 's-late')
})

test('what a new agent imports from elsewhere is waited for as well: a file that is missing, one that is broken, one that args break on', async () => {
  const { team, configure, write } = await changeable('eight', ['{ id: v-relay, type: relay }'], { watches: true })
  await using _ = team
  await team.start()
  const refused = async (says: string) => {
    await team.event('plan:refused', ({ message }) => message.includes(says))
    team.forget()
  }
  await write('fresh.ts', "import { parse } from '../lib/deep/parse.ts'\nexport default { args: parse, receive: {} }")
  await configure(['{ id: v-relay, type: relay }', '{ id: v-fresh, type: fresh }'])
  await refused('Cannot read')
  await mkdir(join(own, 'eight/lib/deep'), { recursive: true })
  await write('../lib/deep/parse.ts', 'export const parse = ]')
  await refused('parse.ts:1')
  const says = (issues: string) => `export const parse = { '~standard': { version: 1, vendor: 'own', validate: (value) => (${issues}) } }`
  await write('../lib/deep/parse.ts', says("{ issues: [{ message: 'never' }] }"))
  await refused('never')
  await write('../lib/deep/parse.ts', says('{ value }'))
  await team.event('child:started', ({ id }) => id === 'v-fresh')
})

test('AGENT_RELOAD_INTERVAL reloads again and again, and an unchanged config restarts nothing', async () => {
  const options = { env: { AGENT_RELOAD_INTERVAL: '1' } }
  const { team, edit } = await changeable('four', ['{ id: i-counter, type: counter }', '{ id: i-relay, type: relay }'], options)
  await using _ = team
  await team.start()
  await team.pause('i-relay')
  team.forget()
  const isEmpty = ({ team, stop, start }: { team: string; stop: readonly string[]; start: readonly string[] }) =>
    team === 'four' && stop.length + start.length === 0
  await team.event('plan:applied', isEmpty)
  expect(incarnations(team)).toEqual(['i-counter 1 running', 'i-relay 1 paused'])
  await edit('counter.ts', (text) => text.replace('return ctx.state.sum', 'return -1'))
  await team.event('child:started', ({ id, incarnation }) => id === 'i-counter' && incarnation === 2)
  expect(team.list()[1]?.status).toBe('paused')
})

test('a wrong AGENT_RELOAD_INTERVAL is refused before anything starts', async () => {
  await using team = teamOn(ground, [{ id: 'j-counter', type: 'counter' }], { env: { AGENT_RELOAD_INTERVAL: 'soon' } })
  await expect(team.start()).rejects.toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringContaining('AGENT_RELOAD_INTERVAL') })
})
