import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { BSON } from 'mongodb'

type Fields = Readonly<Record<string, unknown>>

/** What it does to whoever reads: answers, never answers, or cuts the connection at the first or the second answer. */
type Manner = 'answers' | 'is silent' | 'cuts find' | 'cuts getMore'

/** As much of a MongoDB as reading and writing a collection takes, over real sockets. */
export type MongoDouble = AsyncDisposable & {
  readonly uri: string
  manner: Manner
  /** Whether it refuses whoever comes without a login; every login is wrong. */
  isLocked: boolean
  /** The commands that it was given. */
  readonly seen: readonly Fields[]
  /** Makes these documents all of a collection, named with its database. */
  put(ns: string, documents: readonly Fields[]): void
  /** Resolves with the next command of that name. */
  asked(name: string): Promise<void>
  /** Resolves when nobody is connected. */
  left(): Promise<void>
}

/** An error as the server words it. */
class CommandError extends Error {
  readonly code: number
  readonly codeName: string

  constructor(code: number, codeName: string, message: string) {
    super(message)
    this.code = code
    this.codeName = codeName
  }
}

const opcodes = { reply: 1, query: 2004, message: 2013 } as const
const hello = {
  isWritablePrimary: true,
  ismaster: true,
  helloOk: true,
  maxBsonObjectSize: 16 * 2 ** 20,
  maxMessageSizeBytes: 48_000_000,
  maxWriteBatchSize: 100_000,
  minWireVersion: 0,
  maxWireVersion: 21,
  readOnly: false,
}

export async function openMongoDouble(): Promise<MongoDouble> {
  const collections = new Map<string, Fields[]>()
  const cursors = new Map<bigint, { readonly ns: string; readonly rest: Fields[] }>()
  const seen: Fields[] = []
  const waiting = new Map<string, () => void>()
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
    onMessages(socket, (message) => answer(socket, message))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo

  function answer(socket: Socket, message: Buffer): void {
    const command = commandIn(message)
    const name = Object.keys(command)[0] ?? ''
    seen.push(command)
    waiting.get(name)?.()
    if (name === 'find' && double.manner === 'is silent') return
    if ((name === 'find' && double.manner === 'cuts find') || (name === 'getMore' && double.manner === 'cuts getMore')) {
      socket.destroy()
      return
    }
    socket.write(packed(message, { ...outcomeOf(name, command) }))
  }

  function outcomeOf(name: string, command: Fields): Fields {
    try {
      return { ...run(name, command), ok: 1 }
    } catch (error) {
      if (!(error instanceof CommandError)) throw error
      return { ok: 0, errmsg: error.message, code: error.code, codeName: error.codeName }
    }
  }

  function run(name: string, command: Fields): Fields {
    switch (name) {
      case 'hello':
      case 'isMaster':
      case 'ismaster':
        return { ...hello, localTime: new Date() }
      case 'ping':
      case 'endSessions':
      case 'killCursors':
        return {}
      case 'saslStart':
        throw new CommandError(18, 'AuthenticationFailed', 'Authentication failed.')
    }
    if (double.isLocked) throw new CommandError(13, 'Unauthorized', `Command ${name} requires authentication`)
    const ns = `${command.$db}.${command.collection ?? command[name]}`
    switch (name) {
      case 'insert': {
        const documents = command.documents as Fields[]
        collections.set(ns, [...(collections.get(ns) ?? []), ...documents])
        return { n: documents.length }
      }
      case 'delete': {
        const { length } = collections.get(ns) ?? []
        collections.delete(ns)
        return { n: length }
      }
      case 'find':
        return { cursor: firstBatch(ns, command) }
      case 'getMore':
        return { cursor: { ns, ...batchOf(BigInt(String(command.getMore)), Number(command.batchSize), 'nextBatch') } }
    }
    throw new CommandError(59, 'CommandNotFound', `no such command: '${name}'`)
  }

  function firstBatch(ns: string, { filter, projection, limit, batchSize }: Fields): Fields {
    const fits = (document: Fields) => Object.entries(filter as Fields).every(([key, value]) => document[key] === value)
    const found = (collections.get(ns) ?? []).filter(fits).sort(byId).slice(0, Number(limit))
    const id = BigInt(cursors.size + 1)
    cursors.set(id, { ns, rest: found.map((document) => projected(document, projection as Fields)) })
    return { ns, ...batchOf(id, Number(batchSize), 'firstBatch') }
  }

  function batchOf(id: bigint, size: number, field: 'firstBatch' | 'nextBatch'): Fields {
    const rest = cursors.get(id)?.rest ?? []
    const batch = rest.splice(0, size)
    return { [field]: batch, id: BSON.Long.fromBigInt(rest.length > 0 ? id : 0n) }
  }

  const double: MongoDouble = {
    uri: `mongodb://127.0.0.1:${port}`,
    manner: 'answers',
    isLocked: false,
    seen,
    put: (ns, documents) => void collections.set(ns, [...documents]),
    asked: (name) => new Promise((resolve) => void waiting.set(name, resolve)),
    async left() {
      await Promise.all([...sockets].map((socket) => once(socket, 'close')))
    },
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
  return double
}

/** Calls back with each whole message: it begins with its length. */
function onMessages(socket: Socket, take: (message: Buffer) => void): void {
  let held = Buffer.alloc(0)
  socket.on('data', (bytes) => {
    held = Buffer.concat([held, bytes])
    while (held.length >= 4 && held.length >= held.readInt32LE(0)) {
      const length = held.readInt32LE(0)
      take(held.subarray(0, length))
      held = held.subarray(length)
    }
  })
}

const head = 16

/** The command of a message: one document, and lists of documents beside it; or the one document of the older kind. */
function commandIn(message: Buffer): Fields {
  if (message.readInt32LE(12) === opcodes.query) {
    const documentAt = message.indexOf(0, head + 4) + 1 + 8
    return BSON.deserialize(message.subarray(documentAt, documentAt + message.readInt32LE(documentAt)))
  }
  let at = head + 4
  let command: Fields = {}
  while (at < message.length) {
    const kind = message[at]
    const size = message.readInt32LE(at + 1)
    const part = message.subarray(at + 1, at + 1 + size)
    command =
      kind === 0 ? { ...BSON.deserialize(part, { promoteLongs: false, bsonRegExp: true }), ...command } : { ...command, ...list(part) }
    at += 1 + size
  }
  return command
}

function list(part: Buffer): Fields {
  const nameEnd = part.indexOf(0, 4)
  const documents: Fields[] = []
  for (let at = nameEnd + 1; at < part.length; at += part.readInt32LE(at)) {
    documents.push(BSON.deserialize(part.subarray(at, at + part.readInt32LE(at)), { promoteValues: false }))
  }
  return { [part.toString('utf8', 4, nameEnd)]: documents }
}

function packed(request: Buffer, reply: Fields): Buffer {
  const isOld = request.readInt32LE(12) === opcodes.query
  const body = BSON.serialize(reply)
  const before = Buffer.alloc(isOld ? head + 20 : head + 5)
  before.writeInt32LE(before.length + body.length, 0)
  before.writeInt32LE(request.readInt32LE(4), 8)
  before.writeInt32LE(isOld ? opcodes.reply : opcodes.message, 12)
  if (isOld) before.writeInt32LE(1, head + 16) // one document
  return Buffer.concat([before, body])
}

function projected(document: Fields, projection: Fields): Fields {
  return Object.fromEntries(Object.entries(document).filter(([key]) => key === '_id' || projection[key] === 1))
}

function byId(a: Fields, b: Fields): number {
  return String(a._id) < String(b._id) ? -1 : 1
}
