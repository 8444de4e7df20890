import * as z from 'zod'

/** The settings that a schema has at a path. */
export function settingsAt(schema: z.core.$ZodType, path: readonly PropertyKey[]): string[] {
  const inner = unwrapped(schema)
  const [key, ...rest] = path
  if (inner instanceof z.core.$ZodArray && key !== undefined) return settingsAt(inner._zod.def.element, rest)
  if (!(inner instanceof z.core.$ZodObject)) return []
  const { shape } = inner._zod.def
  if (key === undefined) return Object.keys(shape)
  const next = shape[String(key)]
  return next === undefined ? [] : settingsAt(next, rest)
}

/** What is left without defaults and the like. */
function unwrapped(schema: z.core.$ZodType): z.core.$ZodType {
  const { def } = schema._zod
  return 'innerType' in def ? unwrapped(def.innerType as z.core.$ZodType) : schema
}
