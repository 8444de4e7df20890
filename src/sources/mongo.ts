import type { MongoClient, MongoClientOptions } from 'mongodb'
import { ActorError } from '../core/errors.ts'
import { type AgentDocument, documentFields, readAgentDocument } from './agent-document.ts'
import { plainValue } from './bson-values.ts'
import type { Reading } from './join-documents.ts'
import type { MongodbSettings } from './schema.ts'

/** A collection of documents that say which agents run. */
export type Mongo = {
  /** Reads them all, in the order of their ids. Throws SOURCE_FAILED, without the login of the address in it. */
  read(): Promise<Extract<Reading, { kind: 'read' | 'cut' }>>
  /** Ends the connections, and a reading under way. Safe twice. */
  close(): Promise<void>
}

export type MongoOptions = {
  /** Documents that are read at most. */
  readonly limit?: number
  /** Ms for one reading, connecting included. */
  readonly timeout?: number
  /** Documents that come in one answer. */
  readonly batchSize?: number
}

const defaults = { limit: 1_000, timeout: 8_000, batchSize: 200 } as const
/** Ms for a last word to the server. */
const closeLimit = 1_000

/** Opens nothing yet: the driver takes 20 MB, and the first reading loads it. */
export function createMongo({ uri, database, collection }: MongodbSettings, options: MongoOptions = {}): Mongo {
  const { limit, timeout, batchSize } = { ...defaults, ...options }
  const closing = new AbortController()
  let client: MongoClient | undefined

  async function connect(signal: AbortSignal): Promise<MongoClient> {
    const { MongoClient } = await import('mongodb')
    signal.throwIfAborted()
    client ??= new MongoClient(uri, clientOptions(timeout))
    const mine = await client.connect()
    // One that was closed while a name server let it wait connects all the same, and stays so.
    if (signal.aborted) await mine.close()
    return mine
  }

  async function find(signal: AbortSignal): Promise<AgentDocument[]> {
    const documents: AgentDocument[] = []
    const cursor = (await connect(signal))
      .db(database)
      .collection(collection)
      .find({ managed: true }, { projection: projection(), sort: { _id: 1 }, limit: limit + 1, batchSize, signal })
    // One at a time: whatever else is in a document is not kept.
    for await (const document of cursor) documents.push(readAgentDocument(plainValue(document)))
    return documents
  }

  /** The driver has no time limit for all of it: a name server, a login and each answer have their own. */
  async function findInTime(): Promise<AgentDocument[]> {
    const late = AbortSignal.timeout(timeout)
    const signal = AbortSignal.any([late, closing.signal])
    const { promise: ended, reject } = Promise.withResolvers<never>()
    const end = () => reject(new Error(late.aborted ? `it did not answer within ${timeout} ms` : 'it is being closed'))
    signal.addEventListener('abort', end)
    if (signal.aborted) end()
    const found = find(signal)
    found.catch(() => {}) // after its end nobody waits for it
    try {
      return await Promise.race([found, ended])
    } finally {
      signal.removeEventListener('abort', end)
      ended.catch(() => {})
    }
  }

  async function disconnect(): Promise<void> {
    const open = client
    client = undefined
    if (open) await Promise.race([open.close().catch(() => {}), elapsed(closeLimit)])
  }

  return {
    async read() {
      try {
        const documents = await findInTime()
        return { kind: documents.length > limit ? 'cut' : 'read', documents: documents.slice(0, limit), limit }
      } catch (error) {
        const message = explained(error, uri, client)
        // A half-open connection is not worth keeping: the next reading begins with a new one.
        void disconnect()
        throw new ActorError('SOURCE_FAILED', message)
      }
    },
    close() {
      closing.abort()
      return disconnect()
    },
  }
}

function clientOptions(timeout: number): MongoClientOptions {
  const each = Math.ceil(timeout / 2)
  return {
    appName: 'troupe',
    serverSelectionTimeoutMS: each,
    connectTimeoutMS: each,
    socketTimeoutMS: each,
    waitQueueTimeoutMS: each,
    maxPoolSize: 2,
    // One text in bad bytes is that document's fault, not all of them's.
    enableUtf8Validation: false,
  }
}

function projection(): Record<string, 1> {
  return Object.fromEntries(documentFields.map((field) => [field, 1]))
}

/** What went wrong, for people. The driver's error stays here: what it holds on to knows the password. */
function explained(error: unknown, uri: string, client: MongoClient | undefined): string {
  if (client === undefined) return `MongoDB cannot be read: ${withoutSecrets(messageOf(error), [uri])} (sources.mongodb.uri or MONGODB_URI)`
  const { srvHost, hosts, credentials } = client.options
  const password = credentials?.password ?? ''
  const message = withoutSecrets(messageOf(error), [uri, password, encodeURIComponent(password)])
  return `MongoDB at ${srvHost ?? hosts.join(', ')} cannot be read: ${message}`
}

function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message || error.name : String(error)).replaceAll(/\s+/g, ' ')
}

function withoutSecrets(text: string, secrets: readonly string[]): string {
  return secrets.filter((secret) => secret !== '').reduce((rest, secret) => rest.replaceAll(secret, '…'), text)
}

function elapsed(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref())
}
