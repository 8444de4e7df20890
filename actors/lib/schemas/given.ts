import { fencedIn } from '../fences.ts'
import type { SpecialistJob } from '../specialist.ts'
import { kinds, type SchemaKind } from './issue.ts'
import { kindOf } from './kind.ts'

const fenced: Readonly<Record<string, SchemaKind>> = { graphql: 'graphql', gql: 'graphql', sql: 'sql' }
const schemaFile = /\.(?:ya?ml|json|graphqls?|gql|sql)$/i

export interface GivenSchema {
  readonly name: string
  readonly text: string
  readonly kind?: SchemaKind
}

/** Finds the schemas that a job brings: files of such a name or text, and fenced blocks of the description. */
export function schemasOf(job: SpecialistJob): GivenSchema[] {
  const files = job.files.filter(({ name, text }) => schemaFile.test(name) || kindOf(name, text) !== undefined)
  const blocks = fencedIn(job.description).flatMap(({ language, text }, at): GivenSchema[] => {
    const kind = Object.hasOwn(fenced, language) ? fenced[language] : kindOf('', text)
    return kind === undefined ? [] : [{ name: `block ${at + 1}`, text, kind }]
  })
  return [...files, ...blocks]
}

const words: Readonly<Record<SchemaKind, RegExp>> = {
  openapi: /\bopen[ -]?api\b|\bswagger\b|\brest(?:ful)? api\b/i,
  json_schema: /\bjson[ -]schema\b/i,
  graphql: /\bgraphql\b/i,
  sql: /\b(?:sql|ddl|postgres(?:ql)?|database schema|relational|tables)\b/i,
}

/** The languages that a job asks for by name. */
export function kindsWanted(job: SpecialistJob): SchemaKind[] {
  const text = [job.title, job.description, ...job.capabilities].join('\n')
  return kinds.filter((kind) => words[kind].test(text))
}
