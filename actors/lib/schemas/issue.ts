/** The languages of schemas that are judged. */
export const kinds = ['openapi', 'json_schema', 'graphql', 'sql'] as const
export type SchemaKind = (typeof kinds)[number]

/** What is wrong with a schema, and where. */
export interface Issue {
  /** A JSON pointer, a GraphQL name or the number of a statement; "/" is the whole. */
  readonly place: string
  readonly line: number | null
  readonly message: string
  /** Only errors make a schema invalid. */
  readonly severity: 'error' | 'note'
}

/** Validators quote what they judge, however long it is. */
const longest = 500
const short = (text: string) => (text.length > longest ? `${text.slice(0, longest)}…` : text)

export const error = (place: string, line: number | null, message: string): Issue => ({
  ...{ place: short(place), line, message: short(message), severity: 'error' },
})
export const note = (place: string, message: string): Issue => ({
  place: short(place),
  line: null,
  message: short(message),
  severity: 'note',
})
