import type { ServiceName } from '../core/frames.ts'
import type { UseOptions } from './calls.ts'
import { assertOpen, type Resident, type Turn } from './turn.ts'

/** Asks a service of the host, within one turn. */
export type Use = (service: ServiceName, input: unknown, options?: UseOptions) => Promise<unknown>

/** Lets one turn use the host's services; what it uses ends with it. */
export function createUse(actor: Resident, turn: Turn): Use {
  return async (service, input, options) => {
    assertOpen(turn, `ctx.${service}`)
    if (turn.abort.reason) throw turn.abort.reason
    return actor.calls.use(turn.number, service, input, options)
  }
}
