import { type Document, MongoClient } from 'mongodb'
import { openMongoDouble } from './mongo-double.ts'

/** A collection of agents for tests: on the MongoDB of MONGODB_TEST_URI, else on the double. */
export type MongoGround = AsyncDisposable & {
  readonly settings: { readonly uri: string; readonly database: string; readonly collection: string; readonly team: string }
  /** Makes these documents all that there are. */
  put(documents: readonly Document[]): Promise<void>
}

export async function openMongoGround(): Promise<MongoGround> {
  const given = process.env.MONGODB_TEST_URI
  const double = given ? undefined : await openMongoDouble()
  const uri = given ?? double?.uri ?? ''
  const database = `troupe_test_${process.pid}`
  const client = new MongoClient(uri)
  const agents = client.db(database).collection('agents')
  return {
    settings: { uri, database, collection: 'agents', team: 'bazaar' },
    async put(documents) {
      await agents.deleteMany({})
      if (documents.length > 0) await agents.insertMany(documents.map((document) => ({ ...document })))
    },
    async [Symbol.asyncDispose]() {
      await agents.deleteMany({})
      await client.close()
      await double?.[Symbol.asyncDispose]()
    },
  }
}
