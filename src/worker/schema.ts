import type { Schema, SchemaIssue, SchemaResult } from '../actor.ts'
import { pathText } from './path.ts'

/** What a schema made of a value: the value it gives for it, or the issues as text with their paths. */
export type Parsed = { readonly value: unknown; readonly issues?: undefined } | { readonly issues: readonly string[] }

const issueLimit = 20

/** Parses a value; a promise only for a schema that needs one. `root` names the value in issues. */
export function parse(schema: Schema | true | undefined, value: unknown, root: string): Parsed | Promise<Parsed> {
  if (schema === undefined || schema === true) return { value }
  const result = schema['~standard'].validate(value)
  return result instanceof Promise ? result.then((one) => readResult(one, root)) : readResult(result, root)
}

/** Whether a value is a Standard Schema; some libraries make them functions. */
export function isSchema(value: unknown): value is Schema {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null || !('~standard' in value)) return false
  const standard = value['~standard']
  return typeof standard === 'object' && standard !== null && 'validate' in standard && typeof standard.validate === 'function'
}

/** The JSON Schema of what a schema takes, null where its library offers none. */
export function jsonSchemaOf(schema: Schema | true | undefined): unknown {
  if (!isSchema(schema)) return null
  try {
    const json = schema['~standard'].jsonSchema?.input({ target: 'draft-2020-12' })
    return json === undefined ? null : JSON.parse(JSON.stringify(json))
  } catch {
    // Not every schema can be said in JSON Schema: a date, a transformation.
    return null
  }
}

function readResult(result: SchemaResult<unknown>, root: string): Parsed {
  if (result.issues === undefined) return { value: result.value }
  return { issues: result.issues.slice(0, issueLimit).map((issue) => issueText(issue, root)) }
}

function issueText({ message, path = [] }: SchemaIssue, root: string): string {
  const keys = path.map((part) => (typeof part === 'object' ? part.key : part))
  return `${pathText(root, keys)}: ${message}`
}
