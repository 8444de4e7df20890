import { error, type Issue, type SchemaKind } from './issue.ts'
import { kindOf } from './kind.ts'

const most = 30

/** A schema as it was judged. */
export interface Checked {
  readonly name: string
  readonly kind: SchemaKind | null
  readonly isValid: boolean
  readonly issues: readonly Issue[]
}

/** Judges one schema. A task of the compute pool: each library is loaded when its language comes for the first time. */
export async function check(given: { readonly name: string; readonly text: string; readonly kind?: SchemaKind }): Promise<Checked> {
  const { name, text, kind = kindOf(name, text) } = given
  if (kind === undefined) return judged(name, null, [error('/', null, 'is neither OpenAPI, JSON Schema, GraphQL nor SQL')])
  try {
    return judged(name, kind, await issuesOf(kind, text))
  } catch (thrown) {
    // A library that stumbles over a text has not found it valid.
    return judged(name, kind, [error('/', null, `could not be judged: ${(thrown as Error).message}`)])
  }
}

function judged(name: string, kind: SchemaKind | null, found: readonly Issue[]): Checked {
  const errors = found.filter(({ severity }) => severity === 'error')
  const notes = found.filter(({ severity }) => severity !== 'error')
  return { name, kind, isValid: errors.length === 0, issues: [...errors, ...notes].slice(0, most) }
}

async function issuesOf(kind: SchemaKind, text: string): Promise<readonly Issue[]> {
  switch (kind) {
    case 'openapi':
      return (await import('./openapi.ts')).checkOpenapi(text)
    case 'json_schema':
      return (await import('./json-schema.ts')).checkJsonSchema(text)
    case 'graphql':
      return (await import('./graphql.ts')).checkGraphql(text)
    case 'sql':
      return (await import('./sql.ts')).checkSql(text)
  }
}
