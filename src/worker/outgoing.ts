import type { JobOptions, SendOptions } from '../actor.ts'
import type { NewJob } from '../core/frames.ts'
import type { JsonText, Outgoing } from '../core/message.ts'
import { checkName, checkNumber, checkWord } from './checks.ts'

/** As the table of jobs has them. */
const jobLimits = { type: 200, attempts: 100 } as const
const priorities = ['low', 'normal', 'high', 'urgent']

/** What is said, to whom; `by` names the call in errors. */
export type Saying = {
  readonly by: string
  readonly id: string
  readonly to: string | null
  readonly type: string
  readonly body: JsonText
}

/** Makes a message for the host, checking what the database would refuse. */
export function makeMessage({ by, id, to, type, body }: Saying, { priority, expiresIn, delay }: SendOptions = {}): Outgoing {
  if (to !== null) checkName(to, `The receiver of ${by}`)
  checkName(type, `The type of ${by}`)
  checkWord(priority, `The priority of ${by}`, priorities)
  checkNumber(expiresIn, `expiresIn of ${by}`)
  checkNumber(delay, `delay of ${by}`)
  return {
    id,
    to,
    type,
    body,
    ...(priority !== undefined && { priority }),
    ...(expiresIn !== undefined && { expiresIn: Math.ceil(expiresIn) }),
    ...(delay !== undefined && { delay: Math.ceil(delay) }),
  }
}

/** Makes a job for the host, checking what the database would refuse. */
export function makeJob(id: string, type: string, payload: JsonText, options: JobOptions = {}): NewJob {
  const { priority, dedupeKey, delay, maxAttempts, target } = options
  checkName(type, 'The type of ctx.jobs.create', jobLimits.type)
  checkNumber(priority, 'The priority of ctx.jobs.create', { least: 1, most: 10 })
  if (dedupeKey !== undefined) checkName(dedupeKey, 'The dedupeKey of ctx.jobs.create')
  checkNumber(delay, 'delay of ctx.jobs.create')
  if (target !== undefined) checkName(target, 'The target of ctx.jobs.create')
  checkNumber(maxAttempts, 'maxAttempts of ctx.jobs.create', { least: 1, most: jobLimits.attempts })
  return {
    id,
    type,
    payload,
    ...(priority !== undefined && { priority: Math.round(priority) }),
    ...(dedupeKey !== undefined && { dedupeKey }),
    ...(delay !== undefined && { delay: Math.ceil(delay) }),
    ...(maxAttempts !== undefined && { maxAttempts: Math.round(maxAttempts) }),
    ...(target !== undefined && { target }),
  }
}
