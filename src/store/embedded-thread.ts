// The store thread: a database behind Supabase's REST API. WebAssembly is synchronous, so it must not run on the main thread.
// The only importer of @supabase/lite, for a server (DATABASE_URL) as well: what it prints can be silenced only in a thread.

import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import v8 from 'node:v8'
import { parentPort, workerData } from 'node:worker_threads'
import { App } from '@supabase/lite'
import type { PgliteConnection } from '@supabase/lite/pglite'
import type { PostgresConnection } from '@supabase/lite/postgres'
import { mostRows } from '../core/most-rows.ts'
import { type BatchCall, readBatchCall } from './batch-call.ts'
import type { Database } from './database.ts'
import { type JsonFields, quoteJsonScalars } from './json-fields.ts'
import { createLane } from './lane.ts'
import { mergeForPglite, mergeForServer } from './merge-settings.ts'
import { applyMigrations } from './migrate.ts'
import { pgliteDatabase } from './pglite-database.ts'
import { postgresDatabase } from './postgres-database.ts'
import { createSchemaCache } from './schema-cache.ts'
import { serverOptions } from './server-options.ts'
import { ownSessions } from './sessions.ts'
import { failureAnswer, faithfulError, sqlFailure } from './sql-failure.ts'
import type { Answers, FetchAnswer, FetchFrame, HostFrame, ThreadFrame, ThreadTarget, Work } from './thread-frames.ts'
import { unpackDatabase } from './unpack.ts'

const port = parentPort
if (!port) throw new Error('This file runs as a thread only')
const post = (frame: ThreadFrame, transfer: ArrayBuffer[] = []): void => port.postMessage(frame, transfer)

// lite prints every SQL error, with the values in it.
for (const method of ['log', 'info', 'warn', 'error', 'debug'] as const) console[method] = () => {}

const waitingRequests = 2_048
const upkeepInterval = 5_000
// lite demands a key or lets anybody in; this one never leaves the thread, our own gate has checked the caller's.
const liteKey = `sb_secret_${randomBytes(24).toString('base64url')}`

try {
  await serve(await open(workerData as ThreadTarget))
} catch (error) {
  post({ op: 'broken', failure: sqlFailure(error) })
}

interface Opened {
  readonly connection: PgliteConnection | PostgresConnection
  readonly database: Database
}

function open(target: ThreadTarget): Promise<Opened> {
  switch (target.kind) {
    case 'pglite':
      return openFolder(target.folder, target.archive)
    case 'postgres':
      return openServer(target.url, target.connections)
  }
}

async function openFolder(folder: string, archive: string): Promise<Opened> {
  // There is nothing to call out to, so that nothing can: lite brings telemetry with its command line.
  globalThis.fetch = () => Promise.reject(new Error('The embedded store calls nobody'))
  const path = join(folder, 'db')
  await unpackDatabase(archive, path)
  // Optimising the 9 MB of WebAssembly would cost 60 to 350 MB for 10 % more speed. The flags are the whole process's and must
  // stay: functions are compiled when first called, so giving the optimiser back after the start gives it PGlite too.
  for (const flag of ['--no-wasm-tier-up', '--no-wasm-dynamic-tiering']) v8.setFlagsFromString(flag)
  const { createPgliteConnection } = await import('@supabase/lite/pglite')
  let printed: string[] | undefined = [] // of the start only: later every refused statement is one more line
  const onStderr = (line: string) => printed !== undefined && printed.push(line) > 0
  const connection = await createPgliteConnection({
    url: path,
    pgliteOptions: { postgresqlconf: ['shared_buffers=8MB', 'max_wal_size=64MB', 'min_wal_size=8MB'], onStderr },
  })
  await connection.driver.waitReady.catch((error: unknown) => {
    const said = printed?.filter((line) => /FATAL|PANIC|ERROR/.test(line)).join('; ')
    throw said ? new Error(said, { cause: error }) : error // PGlite's own error says nothing about why
  })
  printed = undefined
  mergeForPglite(connection.driver)
  return { connection, database: pgliteDatabase(connection.driver) }
}

async function openServer(url: string, connections: number): Promise<Opened> {
  const { createPostgresConnection } = await import('@supabase/lite/postgres')
  const options = serverOptions(url)
  const connection = createPostgresConnection({ url, postgresOptions: { ...options, max: connections } })
  ownSessions(connection.driver, { width: connections })
  // The driver asks a new connection for its array types, and nobody waits for that answer. When it is lost, the driver begins again.
  process.on('unhandledRejection', (error) => {
    if (sqlFailure(error).code !== '08006') die(error)
  })
  const reserve = connection.driver.reserve
  mergeForServer(connection.driver)
  const connect = () => createPostgresConnection({ url, postgresOptions: { ...options, prepare: false, max: 1 } }).driver
  return { connection, database: postgresDatabase({ connect, reserve, width: connections }) }
}

function serve({ connection, database }: Opened): void {
  connection.normalizeDbError = (error) => {
    if (database.isFatal(error)) die(error)
    return faithfulError(error)
  }
  // Otherwise lite grants every table of a schema that has row level security to anon and authenticated.
  Reflect.set(connection, 'rlsState', 'active')
  const app = new App({ connection, api: { max_rows: mostRows }, auth: { enabled: false, secret_key: liteKey } })
  const lane = createLane({ width: database.width, capacity: waitingRequests })
  const schema = createSchemaCache(connection, database)
  let isUsed = false

  async function fetchRest(frame: FetchFrame): Promise<FetchAnswer> {
    await schema.load()
    const call = readBatchCall(frame, schema.batchFunctions())
    const answered = call && (await callBatch(call))
    if (answered) return answered
    const response = await app.fetch(restRequest(frame, schema.jsonFields()))
    if (response.status !== 404 || !(await schema.isOutdatedBy(response))) return await fetchAnswer(response)
    await schema.load()
    return await fetchAnswer(await app.fetch(restRequest(frame, schema.jsonFields())))
  }

  /** Undefined: the batch is no JSON, and lite says best what is wrong with the body. */
  async function callBatch(call: BatchCall): Promise<FetchAnswer | undefined> {
    try {
      return jsonAnswer(200, await database.callBatch(call))
    } catch (error) {
      if (database.isFatal(error)) die(error)
      const { status, answer } = failureAnswer(error)
      return answer.code === '22P02' ? undefined : jsonAnswer(status, JSON.stringify(answer))
    }
  }

  async function answer(frame: Work): Promise<Answers[Work['op']]> {
    switch (frame.op) {
      case 'fetch':
        return await fetchRest(frame)
      case 'query':
        try {
          return await database.query(frame.sql)
        } finally {
          if (!isRead.test(frame.sql)) await schema.forget()
        }
      case 'migrate': {
        const report = await database.transaction((transaction) => applyMigrations(transaction, frame.migrations))
        await schema.forget()
        await schema.load()
        return report
      }
    }
  }

  async function handle(frame: Work & { id: number }): Promise<void> {
    isUsed = true
    try {
      const value = await answer(frame)
      post({ op: 'answer', id: frame.id, answer: value }, 'body' in value ? [value.body.buffer as ArrayBuffer] : [])
    } catch (error) {
      post({ op: 'failure', id: frame.id, failure: sqlFailure(error) })
      if (database.isFatal(error)) die(error)
    }
  }

  async function upkeep(): Promise<void> {
    if (!isUsed) return
    isUsed = false
    const run = (work: () => Promise<unknown>) =>
      new Promise<void>((resolve) =>
        lane.run(() =>
          work().then(
            () => resolve(),
            () => resolve(),
          ),
        ),
      )
    let due: string[] = []
    await run(async () => {
      due = await database.dueUpkeep()
    })
    for (const statement of due) await run(() => database.query(statement))
  }

  async function close(): Promise<void> {
    await lane.drained()
    await connection.close()
    process.exit() // ends the thread only; a socket or a timer of a driver may still be open
  }

  port?.on('message', (frame: HostFrame) => {
    switch (frame.op) {
      case 'close':
        return void close()
      case 'drop':
        if (lane.drop(frame.id)) post({ op: 'failure', id: frame.id, failure: { code: '57014', message: 'Given up before its turn came' } })
        return
      case 'fetch':
      case 'query':
      case 'migrate':
        if (lane.run(() => handle(frame), { id: frame.id }) === 'full') {
          post({
            op: 'failure',
            id: frame.id,
            failure: { code: '53300', message: `More than ${waitingRequests} requests wait for the store` },
          })
        }
    }
  })
  setInterval(() => void upkeep(), upkeepInterval).unref()
  post({ op: 'ready' })
}

const isRead = /^\s*(select|with|table|values|explain|show)\b/i
// lite refuses browsers and obeys a second key; the caller's credentials end at our gate.
const passedOn = /^(accept|accept-profile|content-profile|content-type|prefer|range|range-unit|x-client-info)$/

function restRequest({ path, method, headers, body }: FetchFrame, jsonFields: JsonFields): Request {
  const url = new URL(path, 'http://store')
  const target = url.pathname.replace('/rest/v1/', '')
  const fields = jsonFields.get(target)
  const quote = (bytes: Uint8Array) =>
    fields && quoteJsonScalars(new TextDecoder().decode(bytes), fields, target.startsWith('rpc/') ? 1 : 2)
  const wanted = headers.filter(([name]) => passedOn.test(name))
  return new Request(url, {
    method,
    headers: [...wanted, ['apikey', liteKey]] as [string, string][],
    ...(body ? { body: quote(body) ?? (body as Uint8Array<ArrayBuffer>) } : {}),
  })
}

async function fetchAnswer(response: Response): Promise<FetchAnswer> {
  const headers = [...response.headers].filter(([name]) => !name.startsWith('access-control-') && name !== 'content-length')
  return { status: response.status, headers, body: new Uint8Array(await response.arrayBuffer()) }
}

function jsonAnswer(status: number, text: string): FetchAnswer {
  return { status, headers: [['content-type', 'application/json; charset=utf-8']], body: new TextEncoder().encode(text) }
}

/** A crash inside WebAssembly leaves nothing to go on with; the host opens a new thread, and PostgreSQL recovers. */
function die(error: unknown): void {
  queueMicrotask(() => {
    throw error
  })
}
