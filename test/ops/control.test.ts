import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { createServer, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { call } from '../../src/cli/connect.ts'
import { findTeam } from '../../src/cli/team.ts'
import { ActorError } from '../../src/core/errors.ts'
import type { AgentView, Troupe } from '../../src/host/troupe-types.ts'
import { type Control, openControl } from '../../src/ops/control.ts'
import { findAddresses } from '../../src/ops/control-address.ts'
import { operations } from '../../src/ops/control-api.ts'
import { tempFolder } from '../helpers.ts'
import { runTroupe } from '../store/run-troupe.ts'

let folder: Awaited<ReturnType<typeof tempFolder>>
let control: Control | undefined

beforeEach(async () => {
  folder = await tempFolder()
})

afterEach(async () => {
  await control?.close()
  control = undefined
  await folder[Symbol.asyncDispose]()
})

const clerk: AgentView = {
  team: 'office',
  id: 'clerk',
  type: 'clerk',
  status: 'running',
  incarnation: 1,
  version: 'a',
  mailbox: 0,
  memory: undefined,
  says: undefined,
}
const store = { kind: 'embedded', where: '.troupe', isAway: false }
const status = { phase: 'running', node: 'n', isReady: true, reasons: [], store, zombies: 0 }

/** A team that does what a test has it do. */
function troupe(does: Partial<Troupe> = {}): Troupe {
  return { list: () => [clerk], status: () => status, ...does } as unknown as Troupe
}

async function onlyAddress() {
  const [address] = await findAddresses(folder.path)
  if (!address) throw new Error('There is no address')
  return address
}

test('only this user may reach the socket, and it is gone after a close', async () => {
  control = await openControl(troupe(), folder.path)
  const run = join(folder.path, 'run')
  const [held, socket] = [await stat(run), await stat(control.socket)]
  const names = await readdir(run)
  await Promise.all([control.close(), control.close()])
  expect([held.mode & 0o777, socket.mode & 0o777, names, await readdir(run)]).toEqual([
    0o700,
    0o600,
    [expect.stringMatching(new RegExp(`^${process.pid}-[0-9a-f]{6}\\.sock$`))],
    [],
  ])
})

test('in a folder with a long name the socket lies where names are short', async () => {
  const deep = join(folder.path, 'a'.repeat(80))
  control = await openControl(troupe(), deep)
  const [name = ''] = await readdir(join(deep, 'run'))
  const { processes } = await findTeam(deep)
  const { socket } = JSON.parse(await readFile(join(deep, 'run', name), 'utf8'))
  await control.close()
  expect([name.endsWith('.json'), socket.startsWith(tmpdir()), processes.map(({ pid }) => pid)]).toEqual([true, true, [process.pid]])
  expect([await readdir(join(deep, 'run')), await stat(join(socket, '..')).catch(({ code }) => code)]).toEqual([[], 'ENOENT'])
})

test('what went wrong comes back as it was thrown', async () => {
  const down = new ActorError('ACTOR_DOWN', '"clerk" runs in another process', { details: { id: 'clerk' } })
  control = await openControl(
    troupe({ why: () => Promise.reject(down) as never, plan: () => Promise.reject(new TypeError('a bug')) }),
    folder.path,
  )
  const address = await onlyAddress()
  const [known, bug] = await Promise.all(
    [call(address, 'why', { agent: 'clerk' }), call(address, 'plan', {})].map((one) => one.catch((e) => e)),
  )
  expect(known).toBeInstanceOf(ActorError)
  expect([known.code, known.message, known.details]).toEqual([down.code, down.message, down.details])
  expect([bug.name, bug.message]).toEqual(['TypeError', 'a bug'])
})

test.each([
  ['POST', '/v1/look', '{', 'BODY_INVALID', 'A request is JSON'],
  ['POST', '/v1/why', '{"agnt": "a"}', 'BODY_INVALID', 'agent: '],
  ['POST', '/v1/ask', '{"to": "a", "type": "b", "timeout": 0}', 'BODY_INVALID', 'timeout: '],
  ['POST', '/v0/look', '{}', 'HANDLER_NOT_FOUND', 'There is no POST /v0/look here, only POST /v1/look, '],
  ['GET', '/v1/look', '', 'HANDLER_NOT_FOUND', 'There is no GET'],
  ['POST', '/v1/toString', '{}', 'HANDLER_NOT_FOUND', 'There is no POST'],
])('%s %s %s is refused', async (method, path, body, code, message) => {
  control = await openControl(troupe(), folder.path)
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const headers = { 'content-length': body.length }
  request({ socketPath: control.socket, method, path, headers }, (response) => void text(response).then(resolve, reject)).end(body)
  expect(JSON.parse(await promise)).toEqual({ error: expect.objectContaining({ code, message: expect.stringContaining(message) }) })
})

test('a body that is too large is refused before it is sent', async () => {
  control = await openControl(troupe(), folder.path)
  const sending = call(await onlyAddress(), 'send', { to: 'clerk', type: 'file', body: 'x'.repeat(2 ** 23) })
  await expect(sending).rejects.toMatchObject({
    code: 'BODY_INVALID',
    message: expect.stringMatching(/^The body is too large: found 8388\d+ bytes, expected at most 1 MiB of JSON$/),
  })
})

test('what takes too long is not called frozen by a process that says how it is', async () => {
  const reasons = ['the store does not answer']
  const busy = { status: () => ({ ...status, isReady: false, reasons }), send: () => new Promise<never>(() => {}) } as unknown as Troupe
  control = await openControl(troupe(busy), folder.path)
  const sending = call(await onlyAddress(), 'send', { to: 'clerk', type: 'file' }, { patience: 100 - operations.send.limit })
  const message = `Process ${process.pid} did not finish this within 0.1 s, and goes on with it: the store does not answer`
  await expect(sending).rejects.toMatchObject({ code: 'ASK_TIMEOUT', message })
})

test('sockets without a process are taken away, and one that answers nonsense is not', async () => {
  const run = join(folder.path, 'run')
  await mkdir(run)
  await writeFile(join(run, '7-aaaaaa.sock'), '')
  await writeFile(join(run, '8-aaaaaa.json'), JSON.stringify({ socket: join(folder.path, 'nowhere/sock') }))
  const odd = createServer((_, reply) => reply.end('{"pid": "nine"}')).listen(join(run, '9-aaaaaa.sock'))
  control = await openControl(troupe(), folder.path)
  const { processes, silent } = await findTeam(folder.path)
  const names = (await readdir(run)).filter((name) => !control?.socket.endsWith(name))
  odd.close()
  expect([processes.map(({ pid }) => pid), silent.map(({ message }) => message), names]).toEqual([
    [process.pid],
    [expect.stringContaining('Process 9 answers in a way that this version of the command does not know')],
    ['9-aaaaaa.sock'],
  ])
})

test('plan and reload tell agents that change from those that come and go', async () => {
  const changes = { teams: [{ team: 'office', stop: ['clerk', 'old'], start: ['clerk', 'new'] }] }
  control = await openControl(troupe({ plan: async () => changes, reload: async () => changes }), folder.path)
  const run = (...args: string[]) => runTroupe([...args, '--folder', folder.path], { cwd: folder.path })
  const [plan, reload] = await Promise.all([run('plan'), run('reload', '--json')])
  expect([plan.out, JSON.parse(reload.out)]).toEqual([
    'office  stop    old\noffice  change  clerk\noffice  start   new\n',
    { reloads: [{ pid: process.pid, teams: [{ team: 'office', stop: ['old'], start: ['new'], change: ['clerk'] }] }] },
  ])
})
