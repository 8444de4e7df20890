import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { configJsonSchema, jsonSchemaFile } from '../../src/sources/json-schema.ts'

test('the schema for editors is what the config is checked with', async () => {
  expect(await readFile(jsonSchemaFile, 'utf8'), 'run npm run schema:config').toBe(configJsonSchema())
})
