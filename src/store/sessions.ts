import postgres, { type ReservedSql, type Sql } from 'postgres'

type Run = (sql: string, parameters?: readonly unknown[], options?: object) => PromiseLike<unknown>

/** A client of one connection, which it makes anew when it has lost it. */
type Slot = { readonly client: Sql; readonly bornAt: number; onClose: () => void }

export type SessionsOptions = {
  /** How many there may be at a time; who wants one more waits. */
  readonly width: number
  /** Ms after which a connection is replaced: a server's process for it only grows. */
  readonly lifetime?: number
}

const defaultLifetime = 30 * 60_000

/**
 * Gives lite sessions of our own instead of those that the driver reserves. Once a connection of its pool was lost, the driver may
 * hand on what is left of it, or forget who waits for one: such a request waits for ever. Here a session that loses its connection fails
 * (a statement on another connection would be outside of its transaction), and its client is thrown away.
 */
export function ownSessions(
  driver: Pick<Sql, 'reserve' | 'end' | 'options'>,
  { width, lifetime = defaultLifetime }: SessionsOptions,
): void {
  const idle: Slot[] = []
  const all = new Set<Slot>()
  const waiting: (() => void)[] = []

  function open(): Slot {
    const options = { ...driver.options, max: 1, max_lifetime: null, onclose: () => slot.onClose() }
    const slot: Slot = { client: postgres(options as never), bornAt: performance.now(), onClose() {} }
    all.add(slot)
    return slot
  }

  async function take(): Promise<Slot> {
    while (idle.length === 0 && all.size >= width) await new Promise<void>((resolve) => waiting.push(resolve))
    return idle.pop() ?? open()
  }

  function giveBack(slot: Slot, isLost: boolean): void {
    slot.onClose = () => {}
    if (isLost || performance.now() - slot.bornAt > lifetime) {
      all.delete(slot)
      void slot.client.end({ timeout: 0 })
    } else idle.push(slot)
    waiting.shift()?.()
  }

  driver.reserve = async () => {
    const slot = await take()
    const run = slot.client.unsafe as unknown as Run
    const loss = Promise.withResolvers<never>()
    loss.promise.catch(() => {}) // perhaps nobody runs anything then
    let isLost = false
    slot.onClose = () => {
      isLost = true
      loss.reject(Object.assign(new Error('The connection was closed'), { code: 'CONNECTION_CLOSED' }))
    }
    const unsafe: Run = (...statement) => (isLost ? loss.promise : Promise.race([run(...statement), loss.promise]))
    return { unsafe, release: () => giveBack(slot, isLost) } as unknown as ReservedSql
  }

  const end = driver.end.bind(driver)
  driver.end = async (options) => {
    await Promise.all([...all].map(({ client }) => client.end(options)))
    await end(options)
  }
}
