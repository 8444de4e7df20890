import type { SchemaKind } from './issue.ts'

/** Tells the language of a schema by its name and its text; undefined: it is none of those that are known. */
export function kindOf(name: string, text: string): SchemaKind | undefined {
  if (/\.(?:graphqls?|gql)$/i.test(name)) return 'graphql'
  if (/\.sql$/i.test(name)) return 'sql'
  if (/^[ \t]*["']?(?:openapi|swagger)["']?\s*:/m.test(text)) return 'openapi'
  if (/\$schema["']?\s*:/.test(text)) return 'json_schema'
  if (/^\s*\{/.test(text) && /"(?:properties|\$defs|definitions|allOf|anyOf|oneOf)"\s*:/.test(text)) return 'json_schema'
  if (
    /^[ \t]*(?:create|alter)\s+(?:or\s+replace\s+)?(?:\w+\s+)?(?:table|type|view|index|schema|function|extension|sequence|domain)\b/im.test(
      text,
    )
  )
    return 'sql'
  return /^[ \t]*(?:extend\s+)?(?:type|interface|enum|input|union|scalar|schema|directive)\b[^;{=@]{0,1000}[{=@]/m.test(text)
    ? 'graphql'
    : undefined
}
