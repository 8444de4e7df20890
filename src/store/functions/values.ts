import * as z from 'zod'

/** Values that several functions of the schema share. */
export const token = z.int().positive()
/** As PostgreSQL understands it: of any version, and of none. */
export const uuid = z.guid()
/** JSON text: bodies, states and step results stay text from end to end, so that a repeat sees the same value. */
export const jsonText = z.string().max(1_048_576)
/** A jsonb value that people and other languages read too: job payloads, arguments. */
export const jsonb = z.json()
/** The same in an answer: it is JSON, and a look into it would only end where it is nested deeper than a stack. */
export const answeredJsonb = z.custom<z.output<typeof jsonb>>()
export const jsonObject = z.record(z.string(), jsonb)
/** A time to wait; the database takes parts of a millisecond too. */
export const milliseconds = z.number().nonnegative()
/** The same where it takes whole ones only. */
export const wholeMilliseconds = z.int().nonnegative()
/** As the database writes it, which also knows `infinity`. */
export const timestamp = z.string().min(1)
export const priority = z.enum(['low', 'normal', 'high', 'urgent'])

/** What an element of a batch got: done, done before, not the caller's any more, or no such row. */
export const rowVerdict = z.enum(['ok', 'repeat', 'stale', 'not_found'])

/** Wraps the elements of a batch as the functions take them. */
export const batchOf = <Element extends z.ZodType>(element: Element) => z.object({ p_batch: z.array(element).max(1000) })
