import * as z from 'zod'
import { computeDefaults } from '../core/compute-limits.ts'
import { size, span } from './units.ts'

/** The least that a thread needs to load a task, and to do anything with it. */
const leastMemory = 32 * 2 ** 20

/** What a config may say of actors' CPU work. */
export const computeSettings = z
  .strictObject({
    threads: z.int().positive().max(1024).optional().describe('Threads at most; as many as there are cores by default, and never more'),
    queue: z
      .int()
      .nonnegative()
      .max(1_000_000)
      .default(computeDefaults.queue)
      .describe('Tasks that may wait for a thread; one more is refused'),
    timeout: span.default(computeDefaults.timeout).describe('For a task that is given no timeout of its own'),
    memory: size
      .refine((bytes) => bytes >= leastMemory, { error: 'expected 32MB or more' })
      .default(computeDefaults.memory)
      .describe('What a thread may hold before it is ended, and the task in it'),
  })
  .prefault({})
export type ComputeSettings = z.output<typeof computeSettings>
