import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { TroupeStatus } from '../../src/host/troupe-types.ts'
import { openHealth } from '../../src/ops/health.ts'
import { tempFolder } from '../helpers.ts'
import { runTroupe } from '../store/run-troupe.ts'

const up: TroupeStatus = {
  phase: 'running',
  node: 'here-1-abc',
  isReady: true,
  reasons: [],
  isStandby: false,
  store: { kind: 'hosted', where: 'https://somewhere.example/?key=hidden', isAway: false },
  agents: { starting: 0, running: 2, draining: 0, stopped: 0, waiting: 0, quarantined: 0, standby: 0, paused: 0 },
  zombies: 0,
}

function open(status: Partial<TroupeStatus> = {}, more: { port?: number; isChosen?: boolean } = {}) {
  const lines: unknown[] = []
  const log = { write: (level: string, message: string) => void lines.push([level, message]) }
  const opened = openHealth({ port: 0, isChosen: true, ...more, status: () => ({ ...up, ...status }), log })
  return { opened, lines }
}

async function ask(port: number | undefined, path: string, method = 'GET') {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { method })
  const text = await response.text()
  return { code: response.status, type: response.headers.get('content-type'), allow: response.headers.get('allow'), text }
}

test('says that the process is alive, whatever its readiness', async () => {
  await using health = await open({ isReady: false, phase: 'starting', reasons: ['the team is starting'] }).opened
  const { code, type, text } = await ask(health.port, '/health?from=probe')
  expect([code, type]).toEqual([200, 'application/json; charset=utf-8'])
  expect(JSON.parse(text)).toEqual({
    status: 'alive',
    phase: 'starting',
    uptime: expect.any(Number),
    node: 'here-1-abc',
    version: expect.stringMatching(/^\d+\.\d+\.\d+$/),
  })
})

test('says why the process is not ready', async () => {
  const reasons = ['1 thread cannot be ended: replace this process', 'in quarantine: a']
  await using health = await open({ isReady: false, reasons, zombies: 1 }).opened
  const { code, text } = await ask(health.port, '/ready')
  expect([code, JSON.parse(text)]).toEqual([
    503,
    {
      status: 'not ready',
      reasons,
      standby: false,
      phase: 'running',
      node: 'here-1-abc',
      store: { kind: 'hosted', isAway: false },
      agents: up.agents,
      zombies: 1,
    },
  ])
})

test('a standby is ready, and says that it is one', async () => {
  await using health = await open({ isStandby: true }).opened
  const { code, text } = await ask(health.port, '/ready')
  expect([code, JSON.parse(text)]).toMatchObject([200, { status: 'ready', standby: true }])
})

test('answers HEAD without a body, and refuses what it does not have', async () => {
  await using health = await open().opened
  const answers = await Promise.all([
    ask(health.port, '/ready', 'HEAD'),
    ask(health.port, '/ready', 'POST'),
    ask(health.port, '/health', 'DELETE'),
    ask(health.port, '/'),
    ask(health.port, '/ready/../toString'),
    ask(health.port, '/toString', 'POST'),
  ])
  expect(answers.map(({ code, allow }) => [code, allow])).toEqual([
    [200, null],
    [405, 'GET, HEAD'],
    [405, 'GET, HEAD'],
    [404, null],
    [404, null],
    [404, null],
  ])
  expect(answers.map(({ text }) => (text === '' ? '' : Object.keys(JSON.parse(text)).join()))).toEqual(['', ...Array(5).fill('error')])
})

test('a port that is taken is a warning, and a fault when somebody chose it', async () => {
  const other = createServer().listen(0)
  await once(other, 'listening')
  const { port } = other.address() as AddressInfo
  const message = `PORT ${port} is taken by another process: set PORT to one that is free (PORT=0 takes any)`
  await expect(open({}, { port }).opened).rejects.toMatchObject({ code: 'CONFIG_INVALID', message })
  const { opened, lines } = open({}, { port, isChosen: false })
  await using health = await opened
  expect([health.port, lines]).toEqual([undefined, [['warn', `${message}. Until then the team runs without /health and /ready`]]])
  other.close()
})

test('ends although somebody holds a connection open', async () => {
  const health = await open().opened
  const idle = (await import('node:net')).connect(health.port ?? 0, '127.0.0.1')
  await once(idle, 'connect')
  const gone = once(idle, 'close')
  idle.on('error', () => {})
  await health[Symbol.asyncDispose]()
  await gone
  await health[Symbol.asyncDispose]()
})

test('the command ends with 2 before anything starts when PORT is wrong, or chosen and taken', async () => {
  await using folder = await tempFolder()
  await using health = await open().opened
  const ports = ['http', String(health.port)]
  const config = join(folder.path, 'team.yaml')
  await writeFile(config, 'teams: [{ id: t, agents: [{ id: a, type: none }] }]')
  const runs = await Promise.all(
    ports.map((PORT) => runTroupe(['start', '--json', '--config', config], { cwd: folder.path, env: { PORT } })),
  )
  expect(runs.map(({ code, err }) => [code, JSON.parse(err).error.code])).toEqual(Array(2).fill([2, 'CONFIG_INVALID']))
  expect(runs.map(({ err }) => JSON.parse(err).error.message)).toEqual([
    'PORT: found "http", expected a port from 0 (any that is free) to 65535',
    `PORT ${health.port} is taken by another process: set PORT to one that is free (PORT=0 takes any)`,
  ])
})
