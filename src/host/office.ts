import type { Event } from '../core/events.ts'
import type { Services } from '../services/service.ts'
import type { Store } from '../store/store.ts'
import { type Asks, createAsks } from './asks.ts'
import { type Clock, systemClock } from './clock.ts'
import type { Office } from './desk.ts'
import { createOutbox, type Outbox, type Passengers } from './outbox.ts'
import { createPatience, type Patience } from './patience.ts'
import { createRequests } from './requests.ts'
import { createRouter } from './router.ts'

export type OfficeOptions = {
  readonly store: Pick<Store, 'call' | 'read'>
  readonly emit: (event: Event) => void
  /** Whether an agent is known not to run, such as in quarantine: whoever asks it is told at once. */
  readonly isDown: (agent: string) => boolean
  readonly services?: Services
  readonly clock?: Clock
  readonly random?: () => number
  /** Ms between two looks at the table, at random between these. */
  readonly poll?: { readonly min: number; readonly max: number }
}

/** The message path of a process, which its desks share. */
export type OpenOffice = Office & {
  readonly patience: Patience
  /** Waits up to `grace` ms for what is to be committed. */
  close(options: { readonly grace: number }): Promise<void>
}

export function createOffice({
  store,
  emit,
  isDown,
  services = {},
  clock = systemClock,
  random = Math.random,
  poll,
}: OfficeOptions): OpenOffice {
  const patience = createPatience({ clock, emit, random })
  const nudge = () => outbox.nudge()
  const router = createRouter({ clock, nudge, random, ...(poll && { poll }) })
  const passengers: Passengers = { ...router, awaiting: () => asks.awaiting(), replied: (replies) => asks.replied(replies) }
  const outbox: Outbox = createOutbox({ store, passengers, patience, clock })
  const asks: Asks = createAsks({ outbox, clock, isLocal: router.has, isDown, random })
  const requests = createRequests({ store, patience })
  return {
    outbox,
    router,
    asks,
    requests,
    services,
    patience,
    clock,
    emit,
    random,
    async close(options) {
      await outbox.close(options)
      asks.close()
      requests.close()
      router.close()
    },
  }
}
