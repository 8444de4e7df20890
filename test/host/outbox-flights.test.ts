import { setImmediate as tick } from 'node:timers/promises'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../src/host/clock.ts'
import { createOutbox, type Passengers } from '../../src/host/outbox.ts'
import { createPatience } from '../../src/host/patience.ts'
import type { OutgoingMessage, Refill } from '../../src/store/functions/messages.ts'
import type { Turn } from '../../src/store/functions/turns.ts'
import type { Store } from '../../src/store/store.ts'
import { storeError } from '../../src/store/store-error.ts'
import { again, runs } from '../seed.ts'

type Batch = { readonly turns?: readonly Turn[]; readonly messages?: readonly OutgoingMessage[]; readonly refills?: readonly Refill[] }
/** A call that the store has not answered. */
type Call = { readonly name: string; readonly batch: Batch; answer(): void; refuse(): void }

/** An outbox over a store that answers when it is told to. */
function open() {
  const underWay: Call[] = []
  const committed: string[] = []
  const refills: Refill[] = []
  let seen = 0
  const passengers: Passengers = {
    mark: (message) => message,
    stamps: () => ({}),
    areDue: () => refills.length > 0,
    refills: () => refills.splice(0),
    refilled() {},
    missed() {},
    delivered() {},
    awaiting: () => [],
    replied() {},
  }
  const call = (name: string, { p_batch: batch }: { p_batch: Batch }) => {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    const leave = () => underWay.splice(underWay.indexOf(one), 1)
    const one: Call = {
      name,
      batch,
      answer() {
        leave()
        committed.push(...(batch.turns ?? []).map(nameOf))
        const answers = (batch.turns ?? batch.messages ?? []).map(() => ({ verdict: 'ok', deliveries: [] }))
        resolve(batch.turns ? { turns: answers, refills: [], replies: [] } : answers)
      },
      refuse() {
        leave()
        reject(storeError('22P05', { kind: 'data', code: '22P05' }))
      },
    }
    underWay.push(one)
    seen += 1
    return promise
  }
  const patience = createPatience({ clock: systemClock, emit() {} })
  const outbox = createOutbox({ store: { call } as unknown as Pick<Store, 'call'>, passengers, patience, clock: systemClock })
  const owners: Record<string, object> = {}
  const verdicts: string[] = []
  return {
    underWay,
    committed,
    verdicts,
    seen: () => seen,
    add(agent: string, ...names: readonly string[]) {
      owners[agent] ??= {}
      for (const name of names) {
        const turn: Turn = { agent_id: agent, lease_token: 1, turn_id: name }
        outbox.commit({ owner: owners[agent], turn, bytes: 100, onVerdict: ({ verdict }) => verdicts.push(`${name} ${verdict}`) })
      }
    },
    send: (from: string) => void outbox.send({ id: `${from}${seen}`, from_agent: from, to_agent: 'x', type: 'note' }),
    want(agent: string) {
      refills.push({ agent_id: agent, lease_token: 1 })
      outbox.nudge()
    },
    sizes: () => underWay.map(({ batch }) => batch.turns?.length),
  }
}

const nameOf = ({ turn_id }: Turn) => String(turn_id)
const many = (agent: string, count: number) => Array.from({ length: count }, (_, nth) => `${agent}${nth}`)

describe('two commits at a time', () => {
  test('a second one leaves beside the first once half of one waits, a third one does not', async () => {
    const { add, sizes, underWay } = open()
    add('a', 'a0')
    await tick()
    add('b', ...many('b', 31))
    await tick()
    expect(sizes()).toEqual([1])
    add('c', 'c0')
    await tick()
    expect(sizes()).toEqual([1, 32])
    add('d', ...many('d', 64))
    await tick()
    expect(sizes()).toEqual([1, 32])
    underWay[0]?.answer()
    await tick()
    expect(sizes()).toEqual([32, 64])
  })

  test('turns of an agent of which some are under way wait for these', async () => {
    const { add, sizes, underWay } = open()
    add('a', 'a0')
    await tick()
    add('a', ...many('a', 40))
    add('b', ...many('b', 31))
    await tick()
    expect(sizes()).toEqual([1])
    add('b', 'b31')
    await tick()
    expect(underWay[1]?.batch.turns?.map(({ agent_id }) => agent_id)).toEqual(Array(32).fill('b'))
    underWay[0]?.answer()
    await tick()
    expect(sizes()).toEqual([32, 40])
  })

  test('what takes mail waits for them, and they for it', async () => {
    const { add, want, sizes, underWay } = open()
    add('a', 'a0')
    await tick()
    want('x')
    add('b', ...many('b', 64))
    add('c', ...many('c', 64))
    await tick()
    expect(sizes()).toEqual([1])
    underWay[0]?.answer()
    await tick()
    expect([sizes(), underWay[0]?.batch.refills?.length]).toEqual([[64], 1])
    underWay[0]?.answer()
    await tick()
    expect([sizes(), underWay[0]?.batch.refills]).toEqual([[64], []])
  })
})

const agents = ['a', 'b', 'c', 'd']
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('add' as const), agent: fc.constantFrom(...agents), count: fc.integer({ min: 1, max: 40 }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('send' as const), agent: fc.constantFrom(...agents) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('want' as const), agent: fc.constantFrom(...agents) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('answer' as const, 'refuse' as const), which: fc.nat({ max: 1 }) }) },
)

/** How often something came up: runs that leave it out by mistake would pass as well. */
const seen = { two: 0, alone: 0, refused: 0 }

test('whatever comes and whenever it is answered: an agent has one call at a time, its turns stand in their order, each has one verdict', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 80, size: 'max' }), async (steps) => {
      const { add, send, want, underWay, committed, verdicts } = open()
      const added: Record<string, string[]> = {}
      const refuse = (call: Call | undefined) => {
        seen.refused += 1
        call?.refuse()
      }
      const check = () => {
        const flying = underWay.map(({ batch: { turns = [], messages = [], refills = [] } }) => ({
          isAlone: messages.length + refills.length > 0,
          agents: new Set([...turns.map(({ agent_id }) => agent_id)]),
        }))
        expect(flying.length).toBeLessThanOrEqual(flying.some(({ isAlone }) => isAlone) ? 1 : 2)
        if (flying[0]?.isAlone) seen.alone += 1
        if (flying[0] && flying[1]) seen.two += 1
        if (flying[0] && flying[1]) expect(flying[0].agents.isDisjointFrom(flying[1].agents)).toBe(true)
      }
      for (const one of steps) {
        if (one.kind === 'add') {
          const names = many(`${one.agent}${added[one.agent]?.length ?? 0}-`, one.count)
          added[one.agent] = [...(added[one.agent] ?? []), ...names]
          add(one.agent, ...names)
        } else if (one.kind === 'send') send(one.agent)
        else if (one.kind === 'want') want(one.agent)
        else if (one.kind === 'refuse' && (underWay[one.which]?.batch.turns?.length ?? 0) > 1) refuse(underWay[one.which])
        else underWay[one.which]?.answer()
        await tick()
        check()
      }
      while (underWay.length > 0) {
        underWay[0]?.answer()
        await tick()
        check()
      }
      for (const agent of agents) expect(committed.filter((name) => name.startsWith(agent))).toEqual(added[agent] ?? [])
      expect(verdicts.toSorted()).toEqual(committed.map((name) => `${name} ok`).toSorted())
    }),
    runs(200),
  )
  expect(
    Object.entries(seen).filter(([, count]) => count < 20),
    again,
  ).toEqual([])
})
