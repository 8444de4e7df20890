import { expect, test } from 'vitest'
import { openLog } from '../../src/host/log.ts'

const env = { FIREWORKS_API_KEY: 'fw_1234567890', DATABASE_URL: 'postgres://me:"hidden"word@host/db', NOTE: 'to be seen', SMALL_KEY: '1' }

async function collect(options: { isPretty: boolean; hasColors?: boolean }) {
  const written: string[] = []
  const log = await openLog({ env, ...options, write: (text) => written.push(text) })
  return { log, text: () => written.join('') }
}

test('writes an event as one line with stable fields', async () => {
  const { log, text } = await collect({ isPretty: false })
  log.event({ name: 'child:exited', team: 't', id: 'a', incarnation: 2, exit: 'crash', intended: false, detail: 'boom' })
  const { time, ...line } = JSON.parse(text())
  expect(time).toBeTypeOf('number')
  expect(line).toEqual({
    level: 50,
    event: 'child:exited',
    agent: 'a',
    team: 't',
    incarnation: 2,
    exit: 'crash',
    intended: false,
    detail: 'boom',
    msg: 'a ended: crash: boom',
  })
})

test('passes the lines of actors on in order, and makes lines of what is none', async () => {
  const { log, text } = await collect({ isPretty: false })
  log.lines('{"level":30,"time":1,"actor":"a","n":1,"msg":"one"}\n{"level":50,"time":2,"actor":"a","msg":"two"}\n')
  log.lines('{"level":20,"time":2,"actor":"a","msg":"below the level"}\n')
  log.lines('no line of ours\n')
  const lines = text().trimEnd().split('\n')
  expect(lines.slice(0, 2)).toEqual([
    '{"level":30,"time":1,"agent":"a","n":1,"msg":"one"}',
    '{"level":50,"time":2,"agent":"a","msg":"two"}',
  ])
  expect(JSON.parse(lines[2] ?? '')).toMatchObject({ level: 40, msg: 'no line of ours' })
})

test('opens with a level that there is, or not at all', async () => {
  const failure = { code: 'CONFIG_INVALID', message: 'LOG_LEVEL: found "warning", expected trace, debug, info, warn, error or fatal' }
  await expect(openLog({ env: { LOG_LEVEL: 'warning' }, isPretty: false })).rejects.toMatchObject(failure)
})

test('a level of its own holds until LOG_LEVEL says another; set and empty, as compose files do, it says none', async () => {
  async function logged(given: Readonly<Record<string, string>>) {
    const written: string[] = []
    const log = await openLog({ env: given, level: 'warn', isPretty: false, write: (text) => written.push(JSON.parse(text).msg) })
    for (const level of ['debug', 'info', 'warn'] as const) log.write(level, level)
    return written
  }
  expect([await logged({}), await logged({ LOG_LEVEL: '' }), await logged({ LOG_LEVEL: 'info' })]).toEqual([
    ['warn'],
    ['warn'],
    ['info', 'warn'],
  ])
})

test('takes secrets out of every line', async () => {
  const { log, text } = await collect({ isPretty: false })
  log.hide('sb_secret_xyz')
  log.write('info', 'key fw_1234567890', { at: env.DATABASE_URL, note: 'to be seen', n: 1 })
  log.lines('{"level":30,"time":1,"actor":"a","msg":"sb_secret_xyz, fw_1234567890"}\n')
  const all = text()
  expect(all).toContain('[redacted], [redacted]')
  expect(all).toContain('to be seen')
  expect(['fw_1234567890', 'hidden', 'sb_secret'].filter((secret) => all.includes(secret))).toEqual([])
})

test('is pretty for people', async () => {
  const { log, text } = await collect({ isPretty: true, hasColors: false })
  log.event({ name: 'child:started', team: 't', id: 'greeter', incarnation: 1 })
  expect(text()).toMatch(/^\[\d\d:\d\d:\d\d\.\d{3}\] INFO: greeter is up \{"agent":"greeter"\}\n$/)
})
