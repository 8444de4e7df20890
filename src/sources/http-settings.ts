import * as z from 'zod'
import { isOriginPattern, originOf } from '../core/origin.ts'
import { httpDefaults } from '../services/http-policy.ts'
import { duration } from './units.ts'

const sockets = z.int().positive().max(1_000)
const retries = z.int().nonnegative().max(10)

/** Where an agent may connect. */
export const originPattern = z
  .string()
  .refine(isOriginPattern, { error: 'expected an origin like https://api.example.com, https://*.example.com, or * for everywhere' })

const origin = z.string().refine((text) => originOf(text) === text, { error: 'expected an origin like https://api.example.com' })

/** The pool that all actors share; what stands at an origin is for that one. */
export const httpSettings = z
  .strictObject({
    connections: sockets.default(httpDefaults.connections).describe('Sockets to one origin, of all actors together'),
    keepAlive: duration.default(httpDefaults.keepAlive).describe('How long an idle socket is kept, unless the server says less'),
    retries: retries.default(httpDefaults.retries).describe('How often a request that may be repeated is repeated'),
    origins: z
      .record(
        origin,
        z.strictObject({
          connections: sockets.optional(),
          retries: retries.optional(),
          headers: z
            .record(
              z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, { error: 'expected the name of a header' }),
              z.string().regex(/^[\t\x20-\x7e\x80-\xff]*$/, { error: 'expected the value of a header, without line ends' }),
            )
            .optional()
            .describe('Sent with every request to it; no actor sees them: a key of the environment, as in authorization'),
        }),
      )
      .default({}),
  })
  .prefault({})
