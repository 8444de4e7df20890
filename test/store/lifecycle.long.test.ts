import { EventEmitter } from 'node:events'
import { mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type EmbeddedEvent, type EmbeddedOptions, openEmbedded } from '../../src/store/embedded.ts'
import type { Migration } from '../../src/store/migrate.ts'
import { readUpkeep } from '../../src/store/upkeep.ts'
import { nextEvent, tempFolder } from '../helpers.ts'

const notes: Migration = {
  version: '20200101000000',
  name: 'notes',
  sql: `do $$ begin create role service_role nologin bypassrls; exception when duplicate_object then null; end $$;
    create table notes (id integer primary key); grant all on notes to service_role;
    create table forbidden (id integer); alter table forbidden enable row level security;`,
}

const later: Migration = { version: '20300101000000', name: 'later', sql: 'select 1' }
type Folder = Awaited<ReturnType<typeof tempFolder>>

async function open(folder: string, options: Partial<EmbeddedOptions> = {}) {
  const store = await openEmbedded({ folder, migrations: [notes], ...options })
  const rest = (path: string, init?: RequestInit) => store.fetch(`${store.holder.url}/rest/v1/${path}`, init)
  const add = async (id: number) => (await rest('notes', { method: 'POST', headers: json, body: JSON.stringify({ id }) })).status
  const ids = async () => (await store.query('select id from notes order by id')).rows.flat()
  return { ...store, role: () => store.role, rest, add, ids, [Symbol.asyncDispose]: store.close }
}

const json = { 'content-type': 'application/json' }

// Each opening costs a second or two, so the tests of a group share a folder and come in this order.
describe('the store thread', () => {
  const events = new EventEmitter<{ thread: [EmbeddedEvent] }>()
  const death = () => nextEvent(events, 'thread', { timeout: 25_000, filter: ({ kind }) => kind === 'ended' })
  let folder: Folder
  let store: Awaited<ReturnType<typeof open>>

  beforeAll(async () => {
    folder = await tempFolder()
    await mkdir(join(folder.path, 'db.new')) // left by a first start that was cut short
    await writeFile(join(folder.path, 'db.new', 'junk'), '')
    store = await open(folder.path, { hangAfter: 4_000, onEvent: (event) => events.emit('thread', event) })
  })
  afterAll(async () => {
    await store?.close()
    await folder?.[Symbol.asyncDispose]()
  })

  test('is opened again after its death, with everything that was committed', async () => {
    await store.add(1)
    const died = death()
    const failed = expect(store.query('select 1')).rejects.toMatchObject({ code: 'STORE_FAILED', details: { kind: 'unavailable' } })
    store.kill()
    await Promise.all([died, failed])
    const added = await Promise.all([store.add(2), store.add(3)])
    expect({ added, ids: await store.ids(), left: (await readdir(folder.path)).includes('db.new') }).toEqual({
      added: [201, 201],
      ids: [1, 2, 3],
      left: false,
    })
  })

  test('is replaced when a statement never ends, although everybody has given up on it', async () => {
    await store.ids() // it is open: what waits for an opening is given up without a trace
    const died = death()
    const endless = 'with recursive n as (select 1 union all select 1 from n) select count(*) from n'
    await expect(store.query(endless, { timeout: 200 })).rejects.toThrow()
    expect(await died).toMatchObject({ cause: { message: 'The store thread answered nothing for 4000 ms' } })
    expect(await store.add(4)).toBe(201)
  })

  test('can see what upkeep is due, which PGlite has no process for', async () => {
    const { rows } = await store.query(readUpkeep)
    expect(rows).toEqual([[expect.any(Number), expect.arrayContaining([expect.objectContaining({ name: 'public.notes', dead: 0 })])]])
  })

  test('widens no grants', async () => {
    const granted = await store.query(`select count(*)::int from information_schema.role_table_grants
      where table_schema = 'public' and grantee in ('anon', 'authenticated') or table_name = 'forbidden' and grantee = 'service_role'`)
    expect([granted.rows, (await store.rest('forbidden')).status]).toEqual([[[0]], 403])
  })
})

describe('a folder', () => {
  let folder: Folder
  beforeAll(async () => {
    folder = await tempFolder()
  })
  afterAll(() => folder?.[Symbol.asyncDispose]())

  test('is joined by the second, who takes it over when the first is gone', async () => {
    await using first = await open(folder.path)
    await using second = await open(folder.path)
    await first.add(1)
    await second.add(2)
    const before = { roles: [first.role(), second.role()], ids: await second.ids() }
    await first.close()
    await expect(second.add(3)).rejects.toThrow() // what was lost on the way is the caller's to repeat
    await second.add(3)
    expect({ before, role: second.role(), ids: await second.ids() }).toEqual({
      before: { roles: ['owner', 'guest'], ids: [1, 2] },
      role: 'owner',
      ids: [1, 2, 3],
    })
  })

  test('goes to a guest that stays as soon as it is free, before anybody who comes for a moment', async () => {
    const first = await open(folder.path)
    await using team = await open(folder.path, { stays: true })
    const before = team.role()
    await first.close()
    await using visitor = await open(folder.path)
    expect([before, team.role(), visitor.role(), await visitor.ids(), await team.ids()]).toEqual([
      ...['guest', 'owner', 'guest'],
      ...[
        [1, 2, 3],
        [1, 2, 3],
      ],
    ])
  })

  test('cannot be taken over by a guest that may not open it: the guest says why, and goes on as soon as it can', async () => {
    const told: string[] = []
    const first = await open(folder.path)
    await using second = await open(folder.path, { onEvent: (event) => event.kind === 'refused' && told.push(event.error.message) })
    await first.close()
    const setVersion = async (version: string) => {
      await writeFile(join(folder.path, 'version'), `${version}\n`)
      await rename(join(folder.path, 'version'), join(folder.path, 'db', 'PG_VERSION')) // somebody may be reading it
    }
    await setVersion('17')
    await expect(second.ids()).rejects.toThrow()
    for (const request of [second.ids, second.ids, () => second.add(4)]) {
      await expect(request()).rejects.toMatchObject({
        message: expect.stringContaining('cannot be taken over'),
        cause: { message: expect.stringContaining('made by PostgreSQL 17') },
      })
    }
    await setVersion('18')
    expect([await second.ids().catch(second.ids), told]).toEqual([[1, 2, 3], [expect.stringContaining('made by PostgreSQL 17')]])
  })

  test('is joined again by a guest when its holder has started anew at the same place with another key', async () => {
    const first = await open(folder.path)
    const { port } = new URL(first.holder.url)
    await using second = await open(folder.path)
    await first.close()
    await using again = await open(folder.path, { port: Number(port) })
    await expect(second.add(4)).rejects.toMatchObject({ details: { kind: 'unavailable' } })
    expect([await second.add(4), second.role(), again.role(), await again.ids()]).toEqual([201, 'guest', 'owner', [1, 2, 3, 4]])
  })

  test('is announced to its owner only, and no longer once it is closed', async () => {
    const store = await open(folder.path, { migrations: [notes, later] })
    const path = join(folder.path, 'run.json')
    const { mode } = await stat(path)
    const announced = JSON.parse(await readFile(path, 'utf8'))
    await store.close()
    await store.close()
    expect({ mode: mode & 0o777, announced, left: (await readdir(folder.path)).sort() }).toEqual({
      mode: 0o600,
      announced: store.holder,
      left: ['claim.db', 'db', 'lock.db'],
    })
  })

  test('of a newer Troupe, or of another PostgreSQL, is left alone', async () => {
    const newer = await open(folder.path, { migrations: [notes, later] })
    await newer.query(`create function public.schema_version() returns text language sql as $$ select '${later.version}' $$`)
    await newer.close()
    await expect(open(folder.path)).rejects.toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringContaining('newer schema') })
    await writeFile(join(folder.path, 'db', 'PG_VERSION'), '17\n')
    await expect(open(folder.path)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('made by PostgreSQL 17'),
    })
    await writeFile(join(folder.path, 'db', 'PG_VERSION'), '18\n')
  })

  test('stays as it was when a migration fails', async () => {
    const broken = { version: '20310101000000', name: 'broken', sql: 'create table half (id integer); select 1/0' }
    await expect(open(folder.path, { migrations: [notes, later, broken] })).rejects.toMatchObject({
      code: 'STORE_FAILED',
      message: 'Migration 20310101000000_broken: division by zero',
    })
    await using store = await open(folder.path, { migrations: [notes, later] })
    expect((await store.query("select to_regclass('half')")).rows).toEqual([[null]])
  })
})
