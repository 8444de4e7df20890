import dns from 'node:dns'
import { ObjectId, UUID } from 'mongodb'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { createMongo } from '../../src/sources/mongo.ts'
import { type MongoDouble, openMongoDouble } from './mongo-double.ts'
import { type MongoGround, openMongoGround } from './mongo-ground.ts'

const literal = {
  name: 'MyAgent',
  agent_type: 'my_agent',
  managed: true,
  status: 'available',
  capabilities: { my_skill: 0.9 },
  base_rate_usd: 0.04,
}
const numbered = (count: number) => Array.from({ length: count }, (_, index) => ({ ...literal, _id: `n${index}`, agent_id: `n${index}` }))

describe('documents', () => {
  let ground: MongoGround

  beforeAll(async () => {
    ground = await openMongoGround()
  })

  afterAll(() => ground?.[Symbol.asyncDispose]())

  async function read(options: Parameters<typeof createMongo>[1] = {}) {
    const mongo = createMongo(ground.settings, options)
    try {
      return await mongo.read()
    } finally {
      await mongo.close()
    }
  }

  test('are read in the order of their ids, over several answers, those of managed agents only', async () => {
    await ground.put([...numbered(5).reverse(), { ...literal, _id: 'n00', managed: false }, { ...literal, _id: 'n01', managed: 'true' }])
    const { kind, documents } = await read({ batchSize: 2 })
    expect([kind, documents.map(({ kind, id }) => `${kind} ${id}`)]).toEqual(['read', [0, 1, 2, 3, 4].map((n) => `wanted n${n}`)])
  })

  test('become plain values, whatever their types and their ids', async () => {
    const id = new ObjectId()
    const uuid = new UUID()
    const options = { since: new Date(0), count: 3, none: null, list: [1.5, { deep: 'yes' }] }
    await ground.put([
      { ...literal, _id: id, options },
      { ...literal, _id: uuid },
      { ...literal, _id: 7 },
    ])
    const { documents } = await read()
    const args = Object.fromEntries(
      documents.map((document) => [document.id, document.kind === 'wanted' ? document.settings.args : document]),
    )
    const { managed: _, status: __, ...agent } = literal
    expect(args).toEqual({
      [`mongo:${id}`]: { since: '1970-01-01T00:00:00.000Z', count: 3, none: null, list: [1.5, { deep: 'yes' }], agent },
      [`mongo:${uuid}`]: { agent },
      'mongo:7': { agent },
    })
  })

  test('are cut at the limit, and that is said', async () => {
    await ground.put(numbered(4))
    const whole = await read({ limit: 4 })
    const cut = await read({ limit: 3 })
    expect([whole.kind, whole.documents.length, cut.kind, cut.documents.length, cut.limit]).toEqual(['read', 4, 'cut', 3, 3])
  })

  test('that are not there are none', async () => {
    await ground.put([])
    expect(await read()).toMatchObject({ kind: 'read', documents: [] })
  })
})

describe('a MongoDB that cannot be read', () => {
  let double: MongoDouble

  beforeAll(async () => {
    double = await openMongoDouble()
    double.put('bazaar.agents', numbered(5))
  })

  afterAll(() => double?.[Symbol.asyncDispose]())

  const settings = { database: 'bazaar', collection: 'agents', team: 'bazaar' }
  const at = (login = '') => double.uri.replace('//', `//${login}`)

  /** What a reading ends with, and what the next one does when the fault is over. */
  async function failing(fault: Partial<MongoDouble>, { login, ...options }: Parameters<typeof createMongo>[1] & { login?: string } = {}) {
    const mongo = createMongo({ ...settings, uri: at(login) }, options)
    Object.assign(double, fault)
    const error = await mongo.read().catch((reason) => reason)
    Object.assign(double, { manner: 'answers', isLocked: false })
    const after = await mongo.read().then(
      ({ documents }) => documents.length,
      () => 'refused',
    )
    await mongo.close()
    await double.left()
    const message = error.message.replaceAll(new URL(double.uri).host, 'HOST')
    return { code: error.code, cause: error.cause, message, after }
  }

  const failed = (message: unknown) => ({ code: 'SOURCE_FAILED', cause: undefined, message, after: 5 })

  test('as it does not answer: says so in time, and is read again later', async () => {
    const message = /^MongoDB at HOST cannot be read: (it did not answer within 1500 ms|connection \d+ to HOST timed out)$/
    expect(await failing({ manner: 'is silent' }, { timeout: 1_500 })).toEqual(failed(expect.stringMatching(message)))
  })

  test('as it cuts the connection: also between two answers, as half of the documents are none', async () => {
    const message = expect.stringMatching(/^MongoDB at HOST cannot be read: connection \d+ to HOST closed$/)
    expect(await failing({ manner: 'cuts find' })).toEqual(failed(message))
    expect(await failing({ manner: 'cuts getMore' }, { batchSize: 2 })).toEqual(failed(message))
  })

  test('as it refuses the login: the password is in no error', async () => {
    const isLocked = true
    const unknown = await failing({ isLocked })
    const refused = await failing({ isLocked }, { login: 'me:s3cret%2Fword@' })
    expect(unknown).toEqual(failed('MongoDB at HOST cannot be read: Command find requires authentication'))
    // The double takes no login at all.
    expect(refused).toEqual({ ...failed('MongoDB at HOST cannot be read: Authentication failed.'), after: 'refused' })
  })

  test('as nobody is there', async () => {
    const gone = createMongo({ ...settings, uri: 'mongodb://127.0.0.1:1' }, { timeout: 400 })
    await expect(gone.read()).rejects.toMatchObject({ code: 'SOURCE_FAILED', message: expect.stringContaining('ECONNREFUSED') })
    await gone.close()
  })

  test.each([
    'http://me:s3cretword@host/x',
    'mongodb://me:s3cretword@',
    'mongodb://me:s3cret/s3cretword@host',
    'mongodb://me:s3cret?s3cretword@host',
    'mongodb://me:s3cret@s3cretword@host:port',
    'mongodb://me:s3cretword%@host/',
    'mongodb://me:s3cretword@host/?password=s3cretword',
    's3cretword',
  ])('as its address is none (%s), of which nothing is told', async (uri) => {
    const mongo = createMongo({ ...settings, uri }, { timeout: 200 })
    const error = await mongo.read().catch((reason) => reason)
    expect([error.code, error.message]).toEqual(['SOURCE_FAILED', expect.not.stringContaining('s3cret')])
    await mongo.close()
  })

  test('as its name server answers too late: whoever has gone by then leaves no connection', async () => {
    const { promise: late, resolve: answer } = Promise.withResolvers<void>()
    const servers = [{ name: 'a.mongo.localhost', port: Number(new URL(double.uri).port), priority: 0, weight: 0 }]
    using _resolve = vi.spyOn(dns.promises, 'resolve').mockImplementation((async (_: string, type: string) => {
      if (type !== 'SRV') throw Object.assign(new Error('no such record'), { code: 'ENODATA' })
      await late
      return servers
    }) as never)
    using _lookup = vi
      .spyOn(dns, 'lookup')
      .mockImplementation(((...[_, { all }, done]: [string, { all?: boolean }, (...found: unknown[]) => void]) =>
        done(null, ...(all ? [[{ address: '127.0.0.1', family: 4 }]] : ['127.0.0.1', 4]))) as never)
    const mongo = createMongo({ ...settings, uri: 'mongodb+srv://cluster.mongo.localhost/?tls=false' }, { timeout: 200 })
    const error = await mongo.read().catch((reason) => reason)
    await mongo.close()
    const connected = double.asked('ismaster')
    answer()
    await connected
    await double.left()
    expect(error.message).toBe('MongoDB at cluster.mongo.localhost cannot be read: it did not answer within 200 ms')
  })

  test('as it is closed meanwhile: nobody waits for the rest', async () => {
    double.manner = 'is silent'
    const mongo = createMongo({ ...settings, uri: double.uri })
    const reading = mongo.read().catch((reason) => reason)
    await double.asked('find')
    await mongo.close()
    expect(await reading).toMatchObject({ code: 'SOURCE_FAILED', message: expect.stringContaining('it is being closed') })
    await double.left()
  })
})
