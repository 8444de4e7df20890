import { randomUUID } from 'node:crypto'
import { afterEach, describe, expect, test } from 'vitest'
import type { Event } from '../../src/core/events.ts'
import { type Clock, systemClock } from '../../src/host/clock.ts'
import { createOutbox, type Entry, type Outbox, type Passengers } from '../../src/host/outbox.ts'
import { createPatience } from '../../src/host/patience.ts'
import type { Turn, TurnVerdict } from '../../src/store/functions/turns.ts'
import type { Store } from '../../src/store/store.ts'
import { storeError } from '../../src/store/store-error.ts'
import { createManualClock } from './manual-clock.ts'

type Batch = { turns: Turn[]; refills?: unknown[]; awaiting?: string[] }

const noPassengers: Passengers = {
  mark: (message) => message,
  stamps: () => ({}),
  areDue: () => false,
  refills: () => [],
  refilled() {},
  missed() {},
  delivered() {},
  awaiting: () => [],
  replied() {},
}

let opened: Outbox | undefined
afterEach(() => opened?.close({ grace: 0 }))

/** An outbox over a store that is a function of the batch. */
function over(
  commit: (batch: Batch, call: number) => TurnVerdict[] | Promise<TurnVerdict[]>,
  passengers: Partial<Passengers> = {},
  clock: Clock = systemClock,
) {
  const calls: Batch[] = []
  const events: Event[] = []
  const call = async (_name: string, { p_batch }: { p_batch: Batch }) => {
    calls.push(p_batch)
    return { turns: await commit(p_batch, calls.length), refills: [], replies: [] }
  }
  const store = { call } as unknown as Pick<Store, 'call'>
  const patience = createPatience({ clock, emit: (event) => events.push(event), random: () => 1 })
  const outbox = createOutbox({ store, passengers: { ...noPassengers, ...passengers }, patience, clock })
  opened = outbox
  const verdicts: string[] = []
  const owners = new Map<string, object>()
  return {
    calls,
    events,
    outbox,
    verdicts,
    /** The sizes of the calls so far, or the names of their turns. */
    names: () => calls.map(({ turns }) => turns.map(nameOf).join(' ')),
    add(agent: string, name: string, bytes = 100, onVerdict: Entry['onVerdict'] = () => {}) {
      const owner = owners.get(agent) ?? owners.set(agent, {}).get(agent) ?? {}
      const turn: Turn = { agent_id: agent, lease_token: 1, turn_id: randomUUID(), error: name }
      const take = (verdict: TurnVerdict) => {
        verdicts.push(`${name} ${verdict.verdict}${verdict.verdict === 'failed' ? ` ${verdict.code}` : ''}`)
        onVerdict(verdict)
      }
      outbox.commit({ owner, turn, bytes, onVerdict: take })
      return owner
    },
  }
}

const nameOf = (turn: Turn) => String(turn.error)
const ok = (turns: readonly Turn[]): TurnVerdict[] => turns.map(() => ({ verdict: 'ok' }))
const away = () => storeError('no answer', { kind: 'unavailable', code: '' })
const timeout = () => storeError('canceling statement due to statement timeout', { kind: 'unavailable', code: '57014' })
const dataError = () => storeError('22P05', { kind: 'data', code: '22P05' })

describe('group commit', () => {
  test('what comes while one call is under way goes together in the next one', async () => {
    const gate = Promise.withResolvers<void>()
    const { outbox, add, names, verdicts } = over(async ({ turns }, call) => {
      if (call === 1) await gate.promise
      return ok(turns)
    })
    add('a', 'a1')
    add('b', 'b1')
    await Promise.resolve().then(() => {})
    for (const name of ['a2', 'a3', 'b2']) add(name.charAt(0), name)
    gate.resolve()
    await outbox.flush()
    expect([names(), verdicts]).toEqual([
      ['a1 b1', 'a2 a3 b2'],
      ['a1 ok', 'b1 ok', 'a2 ok', 'a3 ok', 'b2 ok'],
    ])
  })

  test('takes 64 turns at most, or a megabyte', async () => {
    const { outbox, add, calls } = over(({ turns }) => ok(turns))
    for (let at = 0; at < 70; at++) add('a', `a${at}`)
    for (const bytes of [400_000, 400_000, 400_000, 3_000_000, 100]) add('b', 'b', bytes)
    await outbox.flush()
    expect(calls.map(({ turns }) => turns.length)).toEqual([64, 8, 1, 1, 1])
  })

  test('passengers ride on it, or go alone when nobody else goes', async () => {
    let refills = 1
    const asked = { agent_id: 'a', lease_token: 1 }
    const { outbox, add, calls } = over(({ turns }) => ok(turns), {
      areDue: () => refills > 0,
      refills: () => (refills-- > 0 ? [asked] : []),
      awaiting: () => (calls.length === 0 ? [randomUUID()] : []),
    })
    outbox.nudge()
    await outbox.flush()
    refills = 1
    add('a', 'a1')
    await outbox.flush()
    outbox.nudge()
    await outbox.flush()
    expect(calls.map((batch) => [batch.turns.length, batch.refills?.length, batch.awaiting?.length])).toEqual([
      [0, 1, 1],
      [1, 1, 0],
    ])
  })
})

describe('a store that is away', () => {
  test('gets the identical call again until it answers; people are told once', async () => {
    const { outbox, add, calls, events, verdicts } = over(({ turns }, call) => {
      if (call < 4) throw away()
      return ok(turns)
    })
    add('a', 'a1')
    await Promise.resolve().then(() => {})
    add('a', 'a2')
    await outbox.flush()
    expect([
      calls.slice(0, 4).map((batch) => batch === calls[0] || JSON.stringify(batch) === JSON.stringify(calls[0])),
      calls.length,
    ]).toEqual([[true, true, true, true], 5])
    expect([verdicts, events.map(({ name }) => name)]).toEqual([
      ['a1 ok', 'a2 ok'],
      ['store:failed', 'store:back'],
    ])
  })

  test('does not keep the process: what is left at the end is left', async () => {
    const { outbox, add, verdicts } = over(() => {
      throw away()
    })
    add('a', 'a1')
    const sent = outbox.send({ id: randomUUID(), from_agent: 'a', to_agent: 'b', type: 'note' })
    await outbox.close({ grace: 20 })
    expect([verdicts, await sent]).toMatchObject([[], { verdict: 'failed', error: 'The process ends' }])
  })

  test('at the end leaves nobody waiting for what was sent', async () => {
    const { outbox } = over(() => {
      throw away()
    })
    const send = () => outbox.send({ id: randomUUID(), from_agent: 'a', to_agent: 'b', type: 'note' })
    const sent = [send(), send()]
    await Promise.resolve().then(() => {})
    await outbox.close({ grace: 20 })
    expect(await Promise.all([...sent, send()])).toMatchObject(Array(3).fill({ verdict: 'failed', error: 'The process ends' }))
  })
})

describe('a call that the database refuses for its data', () => {
  const refusing =
    (...bad: string[]) =>
    ({ turns }: Batch) => {
      if (turns.some((turn) => bad.includes(nameOf(turn)))) throw dataError()
      return ok(turns)
    }

  test('is divided until the one bad turn is found; the others stand, but for those that follow it, which are told so', async () => {
    const { outbox, add, verdicts } = over(refusing('a2', 'c1'))
    for (const name of ['a1', 'b1', 'a2', 'b2', 'a3', 'c1', 'b3']) add(name.charAt(0), name)
    await outbox.flush()
    expect(verdicts).toEqual(['a1 ok', 'b1 ok', 'a2 failed STORE_FAILED', 'b2 ok', 'a3 stale', 'c1 failed STORE_FAILED', 'b3 ok'])
  })

  test('because of a passenger does not cost a turn', async () => {
    const missed: unknown[] = []
    const { outbox, add, verdicts } = over(
      ({ turns, refills = [] }) => {
        if (refills.length > 0) throw dataError()
        return ok(turns)
      },
      { areDue: () => true, refills: () => [{ agent_id: 'x', lease_token: 1 }], missed: (refills) => missed.push(...refills) },
    )
    add('a', 'a1')
    await outbox.flush()
    expect([verdicts, missed.length]).toEqual([['a1 ok'], 1])
  })

  test('what is withdrawn while it is under way does not follow', async () => {
    const { outbox, add, verdicts, names } = over(({ turns }) => turns.map(() => ({ verdict: 'failed', code: '23514', error: 'no' })))
    const owner = add('a', 'a1', 100, () => outbox.discard(owner))
    await Promise.resolve().then(() => {})
    add('a', 'a2')
    add('b', 'b1')
    await outbox.flush()
    expect([names(), verdicts]).toEqual([
      ['a1', 'b1'],
      ['a1 failed 23514', 'b1 failed 23514'],
    ])
  })
})

describe('a call that the database gives up for its time', () => {
  test('is repeated like one that nobody answers', async () => {
    const { outbox, add, verdicts } = over(({ turns }, call) => {
      if (call < 4) throw timeout()
      return ok(turns)
    })
    add('a', 'a1')
    await outbox.flush()
    expect(verdicts).toEqual(['a1 ok'])
  })

  test('again and again is divided, and costs the one turn that takes too long; the others stand', async () => {
    const clock = createManualClock()
    const { add, calls, verdicts } = over(
      ({ turns }) => {
        if (turns.some((turn) => nameOf(turn) === 'b1')) throw timeout()
        return ok(turns)
      },
      {},
      clock,
    )
    for (const name of ['a1', 'b1', 'a2', 'c1']) add(name.charAt(0), name)
    await clock.pass(60_000)
    expect(verdicts).toEqual(['a1 ok', 'b1 failed STORE_FAILED', 'a2 ok', 'c1 ok'])
    expect(calls.filter(({ turns }) => turns.length === 1 && turns.map(nameOf).includes('b1')).length).toBe(10)
  })
})
