import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { collectGarbage } from '../src/worker/collect.ts'
import { type Figure, say } from './report.ts'
import { configOf, openDatabase, openStage } from './stage.ts'

const few = 10
const many = 40

/** What one more idle agent takes. */
export async function measureMemory(): Promise<Figure[]> {
  return [await memoryOf('idle', 'memory of an idle agent without schemas', 13)]
}

export async function measureSchemas(): Promise<Figure[]> {
  return [await memoryOf('idle-zod', 'memory of an idle agent with zod schemas', 20)]
}

/**
 * The difference between many and few, so that what all share is in neither. On PostgreSQL: the embedded store lives in the same
 * process, and takes and gives back hundreds of megabytes as it likes.
 */
async function memoryOf(type: string, name: string, max: number): Promise<Figure> {
  say(`memory: ${few} and ${many} agents of type ${type}`)
  const write = async (folder: string, replicas: number) => {
    const file = join(folder, 'team.json')
    await writeFile(file, JSON.stringify(configOf([{ id: 'idle', type, replicas }], true)))
    return file
  }
  await using database = await openDatabase()
  await using stage = await openStage([], { databaseUrl: database.url, config: (folder) => write(folder, few) })
  const { troupe, folder } = stage
  const before = await settledMemory()
  await write(folder, many)
  const allUp = Promise.all(
    Array.from({ length: many - few }, (_, nth) =>
      stage.event((event) => event.name === 'child:started' && event.id === `idle-${few + nth + 1}`),
    ),
  )
  await troupe.reload()
  await allUp
  const after = await settledMemory()
  const { running } = troupe.status().agents
  if (running !== many) throw new Error(`${running} of ${many} agents run`)
  const mega = (bytes: number) => Math.round(bytes / 2 ** 20)
  const value = (after - before) / 2 ** 20 / (many - few)
  return { name, value, unit: 'MB', aim: { max }, note: `process: ${mega(before)} MB with ${few}, ${mega(after)} MB with ${many}` }
}

/** The process's memory once it has stopped to change, garbage taken out. */
async function settledMemory(): Promise<number> {
  let last = Number.POSITIVE_INFINITY
  for (let steady = 0, nth = 0; steady < 3 && nth < 60; nth++) {
    collectGarbage()
    await setTimeout(500)
    const now = process.memoryUsage.rss()
    steady = Math.abs(now - last) < 2 ** 20 ? steady + 1 : 0
    last = now
  }
  return last
}
