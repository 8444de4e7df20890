import type { Definition } from '../actor.ts'
import { ActorError } from '../core/errors.ts'
import { isOriginPattern } from '../core/origin.ts'
import { isSchema } from './schema.ts'

type Fields = Readonly<Record<string, unknown>>

/** What each field of a definition has to be; says what is wrong with one, or nothing. */
const fields: Readonly<Record<keyof Definition, (value: unknown, name: string) => readonly string[]>> = {
  args: (value, name) => (isSchema(value) ? [] : [`${name} is ${kindOf(value)}, expected a schema`]),
  messages: faultsOfSchemas,
  jobs: faultsOfSchemas,
  sql: faultsOfNames,
  origins: faultsOfOrigins,
  persist: (value, name) => (typeof value === 'boolean' ? [] : [`${name} is ${kindOf(value)}, expected true or false`]),
  init: faultsOfFunction,
  receive: (value, name) => faultsOfEach(value, name, faultsOfFunction),
  run: (value, name) => faultsOfEach(value, name, faultsOfFunction),
  stop: faultsOfFunction,
}

/** Takes an actor file's exports for a definition, or says everything that is wrong with them as MODULE_INVALID. */
export function readDefinition(exports: Fields, file: string): Definition {
  const faults = faultsOfExports(exports)
  if (faults.length === 0) return exports.default as Definition
  throw new ActorError('MODULE_INVALID', `${file} is not an actor file: ${faults.join('; ')}`, { details: { file, faults } })
}

function faultsOfExports(exports: Fields): readonly string[] {
  const expected = "expected `export default defineActor({ … })` of 'troupe/actor'"
  if (!('default' in exports)) {
    const others = Object.keys(exports)
    return [`it has no default export${others.length > 0 ? ` (but ${others.join(', ')})` : ''}, ${expected}`]
  }
  const definition = exports.default
  if (!isObject(definition)) return [`its default export is ${kindOf(definition)}, ${expected}`]
  const unknown = Object.keys(definition).filter((name) => !(name in fields))
  return [
    ...unknown.map((name) => `it has an unknown field "${name}", expected ${Object.keys(fields).join(', ')}`),
    ...Object.entries(fields).flatMap(([name, faultsOf]) => (definition[name] === undefined ? [] : faultsOf(definition[name], name))),
    ...missingHandlers(definition, 'messages', 'receive'),
    ...missingHandlers(definition, 'jobs', 'run'),
  ]
}

function missingHandlers(definition: Fields, schemas: string, handlers: string): string[] {
  const listed = isObject(definition[schemas]) ? definition[schemas] : {}
  const handled = isObject(definition[handlers]) ? definition[handlers] : {}
  return Object.keys(listed)
    .filter((type) => !Object.hasOwn(handled, type))
    .map((type) => `${schemas}.${type} has no handler ${handlers}.${type}`)
}

function faultsOfOrigins(value: unknown, name: string): readonly string[] {
  const faults = faultsOfNames(value, name)
  const wrong = faults.length > 0 ? [] : (value as readonly string[]).filter((one) => !isOriginPattern(one))
  return [
    ...faults,
    ...wrong.map((one) => `${name} has "${one}", expected an origin like https://api.example.com, https://*.example.com, or *`),
  ]
}

function faultsOfSchemas(value: unknown, name: string): readonly string[] {
  return faultsOfEach(value, name, (one, path) =>
    one === undefined || one === true || isSchema(one) ? [] : [`${path} is ${kindOf(one)}, expected a schema or true`],
  )
}

function faultsOfEach(value: unknown, name: string, faultsOf: (value: unknown, path: string) => readonly string[]): readonly string[] {
  if (!isObject(value)) return [`${name} is ${kindOf(value)}, expected an object`]
  return Object.entries(value).flatMap(([key, one]) => faultsOf(one, `${name}.${key}`))
}

function faultsOfNames(value: unknown, name: string): readonly string[] {
  const isFine = Array.isArray(value) && value.every((one) => typeof one === 'string')
  return isFine ? [] : [`${name} is ${kindOf(value)}, expected a list of strings`]
}

function faultsOfFunction(value: unknown, name: string): readonly string[] {
  return typeof value === 'function' ? [] : [`${name} is ${kindOf(value)}, expected a function`]
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function kindOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'function') return /^class\b/.test(Function.prototype.toString.call(value)) ? 'a class' : 'a function'
  return typeof value === 'object' ? 'an object' : `${typeof value} (${String(value)})`
}
