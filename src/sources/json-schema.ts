// Writes config/troupe.schema.json; with --check it only says whether the file is up to date.

import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import { configSchema } from './schema.ts'

/** The file that editors read. */
export const jsonSchemaFile = join(import.meta.dirname, '../../config/troupe.schema.json')

/** The config file's JSON Schema: what may be written, before defaults. */
export function configJsonSchema(): string {
  const schema = z.toJSONSchema(configSchema, { io: 'input', target: 'draft-7' })
  return `${JSON.stringify({ ...schema, title: 'Troupe', description: 'Which teams of which agents run, and where' }, null, 2)}\n`
}

if (import.meta.main) {
  const schema = configJsonSchema()
  if (process.argv.includes('--check')) {
    const isFresh = (await readFile(jsonSchemaFile, 'utf8').catch(() => '')) === schema
    process.stdout.write(`${jsonSchemaFile} is ${isFresh ? 'up to date' : 'stale: run npm run schema:config'}\n`)
    process.exitCode = isFresh ? 0 : 1
  } else {
    await writeFile(jsonSchemaFile, schema)
    process.stdout.write(`${jsonSchemaFile}: ${schema.length} bytes\n`)
  }
}
