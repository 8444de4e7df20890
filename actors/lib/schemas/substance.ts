import { error, type Issue, type SchemaKind } from './issue.ts'

const something: Readonly<Record<SchemaKind, RegExp>> = {
  openapi: /^[ \t]*["']?(?:get|put|post|delete|patch|head|options|trace)["']?\s*:/m,
  json_schema: /["']?(?:properties|items|prefixItems|enum|const|\$ref|allOf|anyOf|oneOf|pattern)["']?\s*:/,
  graphql: /\b(?:type|interface|input|enum|union)\s+\w+/,
  sql: /\bcreate\s+(?:\w+\s+){0,4}(?:table|view|type)\b/i,
}

/** A schema that says nothing is valid in every language, and still no design. */
export function lacksSubstance(kind: SchemaKind, text: string): Issue | undefined {
  return something[kind].test(text) ? undefined : error('/', null, 'is well formed and says nothing: it has no operation, type or table')
}
