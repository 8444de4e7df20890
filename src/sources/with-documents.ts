import { ActorError } from '../core/errors.ts'
import { mongodbUriOf } from './environment.ts'
import { joinDocuments, type Reading } from './join-documents.ts'
import { createMongo, type Mongo } from './mongo.ts'
import { type Config, type MongodbSettings, mongodbSettings } from './schema.ts'
import type { Source } from './source.ts'

type Environment = Readonly<Record<string, string | undefined>>

const closed: Reading = { kind: 'failed', error: 'MongoDB is not asked any more' }

/**
 * A source, and the documents of the MongoDB that its config or MONGODB_URI names. That MongoDB cannot be read is no error, but said
 * in what is wanted: the agents of the config run all the same.
 */
export function withDocuments(source: Source, env: Environment, open: (settings: MongodbSettings) => Mongo = createMongo): Source {
  let isClosed = false
  let current: { readonly key: string; readonly mongo: Mongo } | undefined

  /** One client for as long as its settings stay the same. */
  async function mongoOf(settings: MongodbSettings): Promise<Mongo> {
    const key = JSON.stringify(settings)
    if (current?.key === key) return current.mongo
    const before = current
    current = { key, mongo: open(settings) }
    const { mongo } = current
    await before?.mongo.close()
    return mongo
  }

  return {
    files: source.files,
    async read() {
      const wanted = await source.read()
      const settings = settingsIn(wanted.config, env)
      if (settings === undefined) {
        await current?.mongo.close()
        current = undefined
        return wanted
      }
      const reading = isClosed ? closed : await readingOf(await mongoOf(settings))
      return joinDocuments(wanted, reading, settings.team)
    },
    async close() {
      isClosed = true
      await Promise.all([source.close(), current?.mongo.close()])
    },
  }
}

function settingsIn({ sources }: Config, env: Environment): MongodbSettings | undefined {
  const uri = mongodbUriOf(env)
  return sources.mongodb ?? (uri ? mongodbSettings.parse({ uri }) : undefined)
}

async function readingOf(mongo: Mongo): Promise<Reading> {
  try {
    return await mongo.read()
  } catch (error) {
    if (!(error instanceof ActorError)) throw error
    return { kind: 'failed', error: error.message }
  }
}
