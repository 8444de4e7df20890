import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { check } from '../../../actors/lib/schemas/check.ts'
import { recorded } from '../../recorded.ts'

// Compiling the schemas and the database takes seconds, on a busy machine many.
vi.setConfig({ testTimeout: 120_000 })

const folder = recorded('openapi')
const documents = (path: string) =>
  readdirSync(join(folder ?? '', path)).map((file) => ({ name: file, text: readFileSync(join(folder ?? '', path, file), 'utf8') }))
const checkAll = (path: string) => Promise.all(documents(path).map(check))

test.skipIf(!folder)("the specification's documents that pass do, and the examples of 3.0, 3.1 and 3.2", async () => {
  const paths = ['oas-3.1/pass', 'learn-examples/v3.0', 'learn-examples/v3.1', 'learn-examples/v3.2']
  const all = (await Promise.all(paths.map(checkAll))).flat()
  expect([all.length > 50, all.filter(({ isValid, kind }) => !isValid || kind !== 'openapi')]).toEqual([true, []])
})

test.skipIf(!folder)("the specification's documents that fail do, each with a place and its line", async () => {
  const all = await checkAll('oas-3.1/fail')
  const places = all.map(({ name, issues: [first] }) => [name.replace('.yaml', ''), first?.place, first?.line])
  expect(places).toEqual([
    ['example-examples', '/components/parameters/animal', 11],
    ['header-object-allowReserved', '/components/headers/Style', 8],
    ['invalid_schema_types', '/components/schemas/invalid_null', 10],
    ['link-object-no-body', '/components/links/Link-Object-with-body-property', 8],
    ['no_containers', '/', 1],
    ['parameter-object-cookie-form-allowReserved', '/components/parameters/style_cookie/style', 16],
    ['parameter-object-header-allowReserved', '/components/parameters/header', 8],
    ['parameter-object-path-allowReserved', '/components/parameters/path', 8],
    ['server_enum_empty', '/servers/0/variables/var/enum', 13],
    ['servers', '/servers', 10],
    ['unknown_container', '/', 1],
  ])
})

const openapi = (more: string) => `openapi: 3.1.0\ninfo: { title: T, version: '1' }\npaths: {}\n${more}`

test.each([
  [
    'a reference within that leads nowhere',
    'a.yaml',
    openapi("components: { schemas: { A: { $ref: '#/components/schemas/B' } } }"),
    'openapi',
    /B/,
  ],
  ['YAML that is none', 'a.yaml', 'openapi: 3.1.0\ninfo: {', 'openapi', /\w/],
  ['a wrong type of draft 6', 'a.json', '{"$schema":"http://json-schema.org/draft-06/schema#","type":"obect"}', 'json_schema', /allowed/],
  ['a wrong type', 'a.json', '{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"obect"}', 'json_schema', /allowed/],
  ['a schema reference that leads nowhere', 'a.json', '{"properties":{"a":{"$ref":"#/$defs/b"}}}', 'json_schema', /resolve/],
  ['an unknown type', 'a.graphql', 'type Query { a: Foo }', 'graphql', /Unknown type "Foo"/],
  ['GraphQL that does not parse', 'a.graphql', 'type Query { a Foo }', 'graphql', /Expected ":"/],
  ['a type that does not exist', 'a.sql', 'create table a (b intt);', 'sql', /"intt" does not exist/],
  ['SQL that does not parse', 'a.sql', 'create tabel a ();', 'sql', /syntax error/],
  ['no schema', 'a.txt', 'Hello.', null, /neither/],
])('refuses %s', async (_, name, text, kind, message) => {
  const { kind: found, isValid, issues } = await check({ name, text })
  expect([found, isValid, issues[0]?.message]).toEqual([kind, false, expect.stringMatching(message)])
})

test.each([
  ['a.json', '{"$schema":"http://json-schema.org/draft-06/schema#","type":"object"}'],
  ['a.json', '{"$schema":"http://json-schema.org/draft-07/schema#","type":"object"}'],
  ['a.json', '{"$schema":"https://json-schema.org/draft/2019-09/schema","type":"object"}'],
  ['a.graphql', 'type Query { a: Int }'],
  ['part.graphql', 'type Part { a: Int }'],
  ['a.sql', 'create table a (id int primary key); create view b as select id from a;'],
])('accepts %s %s', async (name, text) => {
  expect((await check({ name, text })).isValid).toBe(true)
})
