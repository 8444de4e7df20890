import { Validator } from '@seriousme/openapi-schema-validator'
import type { ErrorObject } from 'ajv'
import { readDocument } from './document.ts'
import { error, type Issue, note } from './issue.ts'

const most = 30

/** Judges an OpenAPI document (3.0, 3.1, 3.2, Swagger 2.0) by the specification's own schema; references within it have to lead somewhere. */
export async function checkOpenapi(text: string): Promise<readonly Issue[]> {
  const { value, issues, lineOf } = readDocument(text)
  if (issues.length > 0) return issues
  if (typeof value !== 'object' || value === null) return [error('/', 1, 'an OpenAPI document is an object')]
  const foreign: string[] = []
  const specification = withoutForeign(value, foreign) as Record<string, unknown>
  // All errors: the first one is often about a branch of the schema that nobody meant.
  const { valid, errors } = await new Validator({ allErrors: true }).validate(specification)
  const notes = foreign.map((reference) => note('/', `refers to ${reference}, another document, which was not read`))
  if (valid) return notes
  if (!Array.isArray(errors)) return [fromText(errors ?? 'no OpenAPI document', lineOf), ...notes]
  return [
    ...telling(errors)
      .slice(0, most)
      .map((one) => fromSchema(one, lineOf)),
    ...notes,
  ].slice(0, most)
}

/** A copy whose references to other documents lead to this one: nothing is fetched, so nothing can be said of them. */
function withoutForeign(value: unknown, foreign: string[]): unknown {
  if (Array.isArray(value)) return value.map((one) => withoutForeign(one, foreign))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, one]) => {
      if (key !== '$ref' || typeof one !== 'string' || !/^[a-z][a-z\d+.-]*:|^[^#]/i.test(one)) return [key, withoutForeign(one, foreign)]
      foreign.push(one)
      return [key, '#']
    }),
  )
}

/** Drops the errors that only say that a part or a branch of the schema failed, as long as others say why. */
function telling(errors: readonly ErrorObject[]): readonly ErrorObject[] {
  const why = errors.filter(({ keyword }) => !['if', 'anyOf', 'oneOf', 'allOf', 'unevaluatedProperties'].includes(keyword))
  const chosen = why.length > 0 ? why : errors
  return [...new Map(chosen.map((one) => [`${one.instancePath} ${one.message} ${JSON.stringify(one.params)}`, one])).values()]
}

function fromSchema(
  { instancePath, message = 'does not fit', params, keyword }: ErrorObject,
  lineOf: (pointer: string) => number | null,
): Issue {
  const what = { unevaluatedProperties: 'unevaluatedProperty', additionalProperties: 'additionalProperty', enum: 'allowedValues' }[keyword]
  const named = what === undefined ? '' : `: ${JSON.stringify(Reflect.get(params, what))}`
  return error(instancePath || '/', lineOf(instancePath), `${message}${named}`)
}

function fromText(text: string, lineOf: (pointer: string) => number | null): Issue {
  const pointer = /#(\/\S*?)[,\s]/.exec(`${text} `)?.[1]
  return error(pointer ?? '/', pointer === undefined ? null : lineOf(pointer), text)
}
