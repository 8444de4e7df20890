import type { Schema, SchemaIssue, SchemaResult } from '../actor.ts'
import { pathText } from './path.ts'

/** What a schema made of a value: the value it gives for it, or the issues as text with their paths. */
export type Parsed = { readonly value: unknown; readonly issues?: undefined } | { readonly issues: readonly string[] }

const issueLimit = 20

/** Parses a value; a promise only for a schema that needs one. `root` names the value in issues. */
export function parse(
  schema: Schema | true | undefined,
  value: unknown,
  root: string,
  textOf: (issue: SchemaIssue, root: string) => string = issueText,
): Parsed | Promise<Parsed> {
  if (schema === undefined || schema === true) return { value }
  const read = (result: SchemaResult<unknown>) => readResult(result, (issue) => textOf(issue, root))
  const result = schema['~standard'].validate(value)
  return result instanceof Promise ? result.then(read) : read(result)
}

/** For what people write, not agents: with what was found, which a body must not show to every log. */
export function issueTextFor(value: unknown): (issue: SchemaIssue, root: string) => string {
  return (issue, root) => {
    const inner = (outer: unknown, key: PropertyKey) => (typeof outer === 'object' && outer !== null ? Reflect.get(outer, key) : undefined)
    const found = keysOf(issue).reduce(inner, value)
    const shown = found === undefined ? 'nothing' : (JSON.stringify(found) ?? String(found)).slice(0, 80)
    // As zod words it, the expectation comes with the kind of fault before it and the type that was found behind it.
    const expected = issue.message.replace(/^[A-Z][a-z ]+: (?=expected )/, '').replace(/, received \w+$/, '')
    return `${pathText(root, keysOf(issue))}: found ${shown}, ${expected}`
  }
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

function readResult(result: SchemaResult<unknown>, textOf: (issue: SchemaIssue) => string): Parsed {
  if (result.issues === undefined) return { value: result.value }
  return { issues: result.issues.slice(0, issueLimit).map(textOf) }
}

function issueText(issue: SchemaIssue, root: string): string {
  return `${pathText(root, keysOf(issue))}: ${issue.message}`
}

function keysOf({ path = [] }: SchemaIssue): PropertyKey[] {
  return path.map((part) => (typeof part === 'object' ? part.key : part))
}
