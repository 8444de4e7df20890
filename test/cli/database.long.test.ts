import { existsSync } from 'node:fs'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { openStore } from '../../src/store/open.ts'
import type { Store } from '../../src/store/store.ts'
import { makeDatabase } from '../embedded-folder.ts'
import { openProject, type Project } from './project.ts'

let project: Project
let store: Store

beforeAll(async () => {
  project = await openProject()
  await project.configure('store: { kind: embedded, folder: data }\n')
  await makeDatabase('data')
  // Held here, as opening it takes seconds; commands go through its holder.
  store = await openStore({ env: {}, folder: 'data' })
})

afterAll(async () => {
  await store?.close()
  await project?.[Symbol.asyncDispose]()
})

/** Loses the answer to the first request with this in its address, after it was done. */
function loseAnswer(part: string) {
  const { fetch } = globalThis
  let isLost = false
  return vi.spyOn(globalThis, 'fetch').mockImplementation(async (input, init) => {
    const response = await fetch(input, init)
    if (isLost || !String(input).includes(part)) return response
    isLost = true
    throw new TypeError('fetch failed')
  })
}

test('the database that its commands look at is the one that the config names, as for all others', async () => {
  const sent = await project.run('send', 'clerk', 'add', '2')
  const status = await project.ask<{ where: string }>('db', 'status')
  const query = await project.ask('db', 'query', 'select count(*)::int as sent from agent_messages')
  const migrated = await project.ask<{ where: string }>('db', 'migrate')
  const [serve, reset] = [await project.run('db', 'serve', '--port', '0'), await project.run('db', 'reset', '--yes')]
  expect([sent.code, status.where, query, migrated.where, serve.err, reset.err]).toEqual([
    0,
    expect.stringMatching(/^data, joined through/),
    [{ sent: 1 }],
    expect.stringMatching(/^data, joined through/),
    expect.stringContaining(`Process ${process.pid} serves data already`),
    expect.stringMatching(/^error data is in use by process/),
  ])
  expect(existsSync('.troupe')).toBe(false)
})

test('a job that is added is told by the id of its row; once more, because the answer got lost, it is the same job', async () => {
  const said = await project.run('jobs', 'add', 'draw', '{"of": "snow"}')
  using fetches = loseAnswer('/rpc/create_jobs')
  const json = await project.ask('jobs', 'add', 'draw', '{"of": "rain"}')
  const tries = fetches.mock.calls.filter(([input]) => String(input).includes('/rpc/create_jobs'))
  const rows = await store.read('agent_jobs', {}, { order: [{ by: 'created_at' }] })
  const [snow, rain] = rows.map(({ id }) => id)
  expect([rows.map(({ payload }) => payload), said.out, json, tries.length]).toEqual([
    [{ of: 'snow' }, { of: 'rain' }],
    `added ${snow}\nFollow it: troupe jobs show ${snow?.slice(0, 8)}\n`,
    { id: rain, isNew: true },
    2,
  ])
})

test('jobs are cancelled and tried again by the beginnings of their ids, as they are shown', async () => {
  const { id } = await project.ask<{ id: string }>('jobs', 'add', 'draw', '--delay', '1h')
  const short = id.slice(0, 8)
  const unknown = id.startsWith('0000') ? '1111' : '0000'
  const cancel = await project.ask('jobs', 'cancel', short, id)
  const retry = await project.run('jobs', 'retry', short, unknown)
  await project.ask('db', 'query', `update agent_jobs set status = 'completed', completed_at = now() where id = '${id}'`)
  const late = await project.run('jobs', 'cancel', short)
  const wrong = await project.run('jobs', 'retry', 'draw')
  expect([cancel, retry, late, wrong]).toEqual([
    { results: [{ id, verdict: 'ok' }] },
    { code: 1, out: '1 job will be tried again.\n', err: `${unknown}: no such job\n` },
    { code: 1, out: '0 jobs cancelled.\n', err: `${id}: it is completed\n` },
    { code: 2, out: '', err: 'error expected an id, or 4 or more signs of its beginning, found "draw"\n' },
  ])
})

test("another kind of store is not the embedded one's to reset", async () => {
  await project.configure('store: { kind: postgres }\n')
  const { code, err } = await project.run('db', 'reset', '--yes')
  expect([code, err]).toEqual([2, 'error store.kind is postgres: expected DATABASE_URL, found none\n'])
})
