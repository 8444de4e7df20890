import { existsSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openStore } from '../../src/store/open.ts'
import { openProject, type Project } from './project.ts'

let project: Project

beforeAll(async () => {
  project = await openProject()
})

afterAll(() => project?.[Symbol.asyncDispose]())

test('the database that its commands look at is the one that the config names, as for all others', async () => {
  await project.configure('store: { kind: embedded, folder: data }\n')
  // Held here, as opening it takes seconds; commands go through its holder.
  await using _ = await openStore({ env: {}, folder: 'data' })
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

test("another kind of store is not the embedded one's to reset", async () => {
  await project.configure('store: { kind: postgres }\n')
  const { code, err } = await project.run('db', 'reset', '--yes')
  expect([code, err]).toEqual([2, 'error store.kind is postgres: expected DATABASE_URL, found none\n'])
})
