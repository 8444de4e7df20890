import { expect, test } from 'vitest'
import { createUpkeep } from '../../src/host/upkeep.ts'
import type { Store } from '../../src/store/store.ts'
import { createManualClock } from './manual-clock.ts'

const seconds = (n: number) => n * 1_000
type Counts = Record<string, number>

/** Upkeep of a store that says what the test wants, on a clock that the test moves. */
function keep(answer: (name: string) => Counts | Error, mayRun = () => true) {
  const clock = createManualClock()
  const calls: [seconds: number, name: string][] = []
  let freed = 0
  const call = async (name: string) => {
    calls.push([clock.now() / 1_000, name])
    const answered = answer(name)
    if (answered instanceof Error) throw answered
    return answered
  }
  const onFreed = () => {
    freed += 1
  }
  const store = { call } as unknown as Pick<Store, 'call'>
  const upkeep = createUpkeep({ store, mayRun, onFreed, clock, random: () => 0.5 })
  upkeep.start()
  return { clock, calls, upkeep, freed: () => freed }
}

test('sweeps every half minute and prunes every five, a first time somewhere in between', async () => {
  const { clock, calls } = keep(() => ({ jobs: 0 }))
  await clock.pass(seconds(460))
  const at = (name: string) => calls.flatMap(([time, called]) => (called === name ? [time] : []))
  expect([at('sweep_rows').slice(0, 3), at('prune_rows')]).toEqual([
    [15, 45, 75],
    [150, 450],
  ])
})

test('goes on at once while there is more, and leaves the rest for the next time', async () => {
  let left = 3
  const { clock, calls, freed } = keep((name) => {
    if (name === 'prune_rows') return { jobs: 500, messages: 0 }
    left -= 1
    return { jobs: 1, messages: left >= 0 ? 500 : 499 }
  })
  await clock.pass(seconds(20))
  expect([calls, freed()]).toEqual([Array(4).fill([15, 'sweep_rows']), 4])
  await clock.pass(seconds(140))
  expect(calls.filter(([, name]) => name === 'prune_rows')).toEqual(Array(20).fill([150, 'prune_rows']))
})

test('does nothing while the leases are in doubt, and tries again after a failure', async () => {
  let isFit = false
  const { clock, calls } = keep(
    () => new Error('no answer, as asked'),
    () => isFit,
  )
  await clock.pass(seconds(40))
  isFit = true
  await clock.pass(seconds(50))
  expect(calls).toEqual([
    [45, 'sweep_rows'],
    [75, 'sweep_rows'],
  ])
})

test('ends between two calls, and is not woken any more', async () => {
  const { clock, calls, upkeep } = keep(() => ({ jobs: 500 }))
  await clock.pass(seconds(14))
  await upkeep.close()
  await clock.pass(seconds(500))
  expect(calls).toEqual([])
})
