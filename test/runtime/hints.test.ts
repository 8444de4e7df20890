import { once } from 'node:events'
import { createServer, request } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { main } from '../../src/cli/main.ts'
import { openControl } from '../../src/ops/control.ts'
import { nextEvent } from '../helpers.ts'
import { createRealtimeDouble } from '../store/realtime-double.ts'
import { type Ground, openGround, teamOn } from './team.ts'

let ground: Ground

beforeAll(async () => {
  ground = await openGround()
})

afterAll(() => ground[Symbol.asyncDispose]())

/** One address for both, as a hosted project has it: requests go to the database, sockets to Realtime. */
async function hostedProject(database: string, realtime: string) {
  const server = createServer((asked, answer) => {
    const { method = 'GET', headers, url = '/' } = asked
    const passed = request(new URL(url, database), { method, headers }, (found) => {
      answer.writeHead(found.statusCode ?? 500, found.headers)
      found.pipe(answer)
    })
    asked.pipe(passed)
  })
  server.on('upgrade', ({ url, headers }, socket) => {
    const through = connect(Number(new URL(realtime).port), '127.0.0.1', () => {
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
      through.write(`GET ${url} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`)
      through.pipe(socket).pipe(through)
    })
    for (const end of [through, socket]) end.on('error', () => socket.destroy())
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

/** Polls so rarely that only what Realtime tells is found. */
const poll = { min: 3_600_000, max: 3_600_000 }

test('on the hosted store Realtime tells of messages and jobs that others have written', async () => {
  await using double = await createRealtimeDouble()
  await using project = await hostedProject(ground.backend.url, double.url)
  const env = { SUPABASE_URL: project.url, SUPABASE_SERVICE_KEY: ground.backend.key }
  await using team = teamOn(ground, [{ id: 'hint-worker', type: 'worker' }], { env, poll, store: undefined } as object)
  const joined = nextEvent(double.events, 'join')
  await team.start()
  await joined
  const write = async (to_agent: string | null, record: object) => {
    const message = { id: crypto.randomUUID(), from_agent: 'outside', to_agent, type: 'news', body: '"new"' }
    await ground.store.call('send_messages', { p_batch: { messages: [message] } })
    double.announce({ table: 'agent_messages', record: { ...message, ...record } })
    return team.event('turn:committed', ({ handled }) => handled === message.id)
  }
  await write('hint-worker', {})
  await write(null, {})
  await write('hint-worker', { to_agent: undefined, from_agent: undefined })
  const [job] = await ground.store.call('create_jobs', { p_batch: [{ job_type: 'work', payload: { n: 1 } }] })
  double.announce({ table: 'agent_jobs', record: { job_type: 'work' } })
  await team.event('turn:committed', ({ handled }) => handled === job?.job_id)
  expect(team.status()).toMatchObject({ isReady: true, store: { kind: 'hosted', where: project.url } })
  await team.stop()
  expect(double.sockets()).toBe(0)
})

test('what the command line leaves in the store is found at once by the team that runs there', async () => {
  await using team = teamOn(ground, [{ id: 'woken', type: 'worker' }], { poll })
  await team.start()
  await using _ = await openControl(team, ground.folder)
  const printed: string[] = []
  using _log = vi.spyOn(console, 'log').mockImplementation((text) => void printed.push(text))
  const run = (...args: readonly string[]) => main([...args, '--folder', ground.folder, '--json'], {})

  await run('jobs', 'add', 'work', '{"n": 1}')
  const { id } = JSON.parse(printed.at(-1) ?? '')
  await team.event('turn:committed', ({ handled }) => handled === id)

  const [job] = await ground.store.call('create_jobs', { p_batch: [{ job_type: 'work', payload: { n: 2 }, delay_ms: 60_000 }] })
  await ground.store.call('cancel_jobs', { p_batch: [{ job_id: job?.job_id ?? '', reason: 'by mistake' }] })
  await run('jobs', 'retry', job?.job_id ?? '')
  await team.event('turn:committed', ({ handled }) => handled === job?.job_id)

  const letter = await team.send('woken', 'nothing')
  await team.event('message:dead', ({ handled }) => handled === letter.id)
  team.forget()
  await run('dead', 'replay', letter.id)
  await team.event('message:dead', ({ handled }) => handled === letter.id)
})
