import { ActorError } from '../core/errors.ts'
import type { JsonText } from '../core/message.ts'
import { pathText } from './path.ts'

/** Bytes of one body, reply, state or step result. */
const sizeLimit = 2 ** 20
const depthLimit = 500

/** Writes a value as JSON text and refuses what would come back as something else. `what` names the value in the error. */
export function toJson(value: unknown, what: string): JsonText {
  if (value === undefined) return 'null'
  const place: Place = { keys: [], above: [] }
  const fault = faultOf(value, place)
  if (fault !== undefined) throw invalid(what, pathText(what, place.keys), fault)
  const text = JSON.stringify(value)
  if (isTooLong(text)) throw invalid(what, what, `is more than 1 MiB of JSON (${text.length} characters)`)
  return text
}

/** Reads JSON text that came through the host, which only passes on what toJson wrote. */
export function fromJson(text: JsonText): unknown {
  return JSON.parse(text)
}

/** Whether PostgreSQL can hold this string: it holds neither NUL nor half a surrogate pair. */
export function isStorable(text: string): boolean {
  return text.isWellFormed() && !text.includes('\0')
}

function invalid(what: string, path: string, fault: string): ActorError {
  return new ActorError('BODY_INVALID', `${path} ${fault}`, { details: { what, path } })
}

function isTooLong(text: string): boolean {
  // A character is one to three bytes of UTF-8: most texts need no count.
  return text.length > sizeLimit || (text.length * 3 > sizeLimit && Buffer.byteLength(text) > sizeLimit)
}

/** The way down to the value that is looked at; after a fault it leads there. */
type Place = { readonly keys: PropertyKey[]; readonly above: object[] }

function faultOf(value: unknown, place: Place): string | undefined {
  switch (typeof value) {
    case 'string':
      return faultOfText(value)
    case 'number':
      return Number.isFinite(value) ? undefined : `is ${value}, which JSON has no word for`
    case 'object':
      return value === null ? undefined : faultOfObject(value, place)
    case 'boolean':
    case 'undefined':
      return undefined
    case 'bigint':
      return 'is a BigInt: send it as a string'
    case 'function':
    case 'symbol':
      return `is a ${typeof value}, which is not JSON`
  }
}

function faultOfText(text: string): string | undefined {
  if (isStorable(text)) return undefined
  return text.includes('\0') ? 'contains a NUL character' : 'contains half of a surrogate pair'
}

function faultOfObject(value: object, place: Place): string | undefined {
  if (place.above.includes(value)) return 'is part of itself'
  if (place.above.length > depthLimit) return 'is nested too deeply'
  if ('toJSON' in value && typeof value.toJSON === 'function') {
    const json: unknown = value.toJSON(String(place.keys.at(-1) ?? ''))
    return typeof json === 'object' && json !== null ? faultOfMembers(json, place) : faultOf(json, place)
  }
  return faultOfKind(value) ?? faultOfMembers(value, place)
}

/** Of a Map, a Set, an Error or a Promise JSON would keep nothing, and say nothing. */
function faultOfKind(value: object): string | undefined {
  if (Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype) return undefined
  const kind = Object.prototype.toString.call(value).slice('[object '.length, -1)
  if (kind === 'Object') return undefined
  return kind === 'Promise' ? 'is a Promise: await it' : `is of the kind ${kind}, which is not JSON`
}

function faultOfMembers(value: object, place: Place): string | undefined {
  place.above.push(value)
  const keys: readonly PropertyKey[] = Array.isArray(value) ? [...value.keys()] : Object.keys(value)
  for (const key of keys) {
    place.keys.push(key)
    const fault = (typeof key === 'string' ? faultOfText(key) : undefined) ?? faultOf((value as Record<PropertyKey, unknown>)[key], place)
    if (fault !== undefined) return fault
    place.keys.pop()
  }
  place.above.pop()
  return undefined
}
