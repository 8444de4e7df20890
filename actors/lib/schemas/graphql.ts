import { buildASTSchema, GraphQLError, parse, validateSchema } from 'graphql'
import { error, type Issue, note } from './issue.ts'

const most = 30

/** Judges a GraphQL schema in its definition language: its syntax, its names, and the rules between its types. */
export function checkGraphql(text: string): readonly Issue[] {
  try {
    const schema = buildASTSchema(parse(text, { maxTokens: 100_000 }))
    const found = validateSchema(schema).slice(0, most)
    const lacksQuery = ({ message }: GraphQLError) => message.includes('Query root type must be provided')
    // A part of a schema has no Query: that is for the whole to have.
    return found.map((one) => (lacksQuery(one) ? note('/', one.message) : fromError(one)))
  } catch (thrown) {
    if (thrown instanceof GraphQLError) return [fromError(thrown)]
    // What several rules found comes as one Error, a paragraph each.
    return (thrown as Error).message
      .split('\n\n')
      .slice(0, most)
      .map((message) => error(nameIn(message), lineIn(text, nameIn(message)), message))
  }
}

function fromError({ message, locations }: GraphQLError): Issue {
  return error(nameIn(message), locations?.[0]?.line ?? null, message)
}

function nameIn(message: string): string {
  return /"@?([\w.]+)/.exec(message)?.[1] ?? '/'
}

function lineIn(text: string, name: string): number | null {
  const at = text.search(new RegExp(`\\b${name.split('.').at(-1)?.replaceAll(/\W/g, '')}\\b`))
  return name === '/' || at < 0 ? null : text.slice(0, at).split('\n').length
}
