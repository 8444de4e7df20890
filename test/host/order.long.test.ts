import { afterAll, beforeAll, expect, test } from 'vitest'
import { again, seed } from '../seed.ts'
import { chanceOf } from './chance.ts'
import { FakeEnding } from './fake-child.ts'
import { type Fault, faultyStore } from './faulty-store.ts'
import { openTestStore, startNode } from './path.ts'

let opened: Awaited<ReturnType<typeof openTestStore>>
beforeAll(async () => {
  opened = await openTestStore()
})
afterAll(() => opened?.[Symbol.asyncDispose]())

const senders = ['s1', 's2', 's3'] as const
const bursts = 12
const perBurst = 5

type Numbered = { readonly from: string; readonly n: number }

test('each sender is heard in its order: through a small mailbox, lost answers, retries and restarts', async () => {
  const chance = chanceOf(seed)
  const faultOf = (): Fault => (chance(0.08) ? 'lost' : chance(0.04) ? 'away' : 'none')
  await using node = startNode(faultyStore(opened.store, faultOf), 'n1')
  const all = Promise.withResolvers<readonly Numbered[]>()
  await node.start(
    'receiver',
    {
      init: () => ({ state: [] }),
      receive: {
        note(body: Numbered, ctx) {
          if (chance(0.05)) throw new FakeEnding('by chance', { retryIn: 10 })
          if (chance(0.01)) ctx.die()
          const heard = [...(ctx.state as Numbered[]), body]
          ctx.state = heard
          if (heard.length >= senders.length * bursts * perBurst) all.resolve(heard)
        },
      },
    },
    { mailbox: 10, maxAttempts: 50 },
  )
  for (const id of senders) {
    await node.start(
      id,
      {
        receive: {
          burst(first: number, ctx) {
            for (let n = first; n < first + perBurst; n++) ctx.tell('receiver', 'note', { from: id, n })
            if (chance(0.1)) throw new FakeEnding('by chance', { retryIn: 5 })
          },
        },
      },
      { maxAttempts: 50 },
    )
  }
  const firsts = Array.from({ length: bursts }, (_, burst) => burst * perBurst)
  await Promise.all(senders.flatMap((id) => firsts.map((first) => node.tell(id, 'burst', first))))
  const heard = await all.promise
  const numbers = Array.from({ length: bursts * perBurst }, (_, n) => n)
  expect(
    senders.map((id) => heard.filter(({ from }) => from === id).map(({ n }) => n)),
    `${again}`,
  ).toEqual(senders.map(() => numbers))
}, 60_000)
