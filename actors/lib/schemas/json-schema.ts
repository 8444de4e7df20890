import { Ajv, type ErrorObject } from 'ajv'
import { Ajv2019 } from 'ajv/dist/2019.js'
import { Ajv2020 } from 'ajv/dist/2020.js'
import draft6 from 'ajv/dist/refs/json-schema-draft-06.json' with { type: 'json' }
import formats from 'ajv-formats'
import { readDocument } from './document.ts'
import { error, type Issue } from './issue.ts'

const most = 30

/** Judges a JSON Schema of draft 6, 7, 2019-09 or 2020-12 (the one taken unless it says another): its own form, and that its references resolve. */
export function checkJsonSchema(text: string): readonly Issue[] {
  const { value, issues, lineOf } = readDocument(text)
  if (issues.length > 0) return issues
  if (typeof value === 'boolean') return []
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [error('/', 1, 'a JSON Schema is an object or a boolean')]
  const ajv = validatorFor(String(Reflect.get(value, '$schema') ?? ''))
  if (ajv === undefined)
    return [error('/$schema', lineOf('/$schema'), 'of a draft that is not known: draft-06, draft-07, 2019-09 and 2020-12 are')]
  formats.default(ajv)
  try {
    if (ajv.validateSchema(value) !== true) return (ajv.errors ?? []).slice(0, most).map((one) => fromAjv(one, lineOf))
    ajv.compile(value)
    return []
  } catch (thrown) {
    return [error('/', null, (thrown as Error).message)]
  }
}

function validatorFor(schema: string): Ajv | undefined {
  // Not strict: a keyword of one's own is allowed by the specification.
  const options = { allErrors: true, strict: false, logger: false } as const
  if (schema.includes('draft-07')) return new Ajv(options)
  if (schema.includes('draft-06')) return new Ajv(options).addMetaSchema(draft6)
  if (schema.includes('2019-09')) return new Ajv2019(options)
  return schema === '' || schema.includes('2020-12') ? new Ajv2020(options) : undefined
}

function fromAjv({ instancePath, message = 'does not fit', params }: ErrorObject, lineOf: (pointer: string) => number | null): Issue {
  const allowed = Reflect.get(params, 'allowedValues')
  return error(instancePath || '/', lineOf(instancePath), allowed ? `${message}: ${JSON.stringify(allowed)}` : message)
}
