import { pathToFileURL } from 'node:url'
import { ActorError } from '../core/errors.ts'

/** Imports a file; MODULE_INVALID with its cause and place when it cannot be loaded. `file` is a path or a file URL. */
export async function importFile(file: string): Promise<Readonly<Record<string, unknown>>> {
  try {
    return await import(file.startsWith('file:') ? file : pathToFileURL(file).href)
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause)
    const place = cause instanceof Error ? placeOf(cause) : undefined
    const says = `${file} cannot be loaded: ${message}${place === undefined ? '' : ` (${place})`}`
    throw new ActorError('MODULE_INVALID', says, { cause, details: { file, ...(place !== undefined && { place }) } })
  }
}

/** File and line: a syntax error's stack begins with them, any other error's first frame in a file has them. */
function placeOf({ stack = '' }: Error): string | undefined {
  const [, syntax] = /^((?:file:\/\/)?[/A-Za-z].*:\d+)\n/.exec(stack) ?? []
  const [, thrown] = /^ +at .*?(file:\/\/[^\s()]+:\d+):\d+\)?$/m.exec(stack) ?? []
  return (syntax ?? thrown)?.replace(/^file:\/\//, '')
}
