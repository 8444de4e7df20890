import { startRaw } from './raw.ts'
import { type Figure, say } from './report.ts'
import type { Sizes } from './runtime.ts'
import { openStage } from './stage.ts'
import { median, spread } from './statistics.ts'

/** A team from nothing to all running, beside as many bare threads. */
export async function measureStart({ agents, rounds }: Sizes): Promise<Figure[]> {
  const ours: number[] = []
  const store: number[] = []
  const oneByOne: number[] = []
  const atOnce: number[] = []
  for (let round = 0; round < Math.min(rounds, 3); round++) {
    say(`start: ${agents} agents, round ${round + 1}`)
    oneByOne.push(await timeBare(agents, 1))
    atOnce.push(await timeBare(agents, 8))
    store.push(await timeTeam(1))
    ours.push(await timeTeam(agents))
  }
  const value = median(ours)
  return [
    { name: `${agents} agents to all running, embedded store`, value, unit: 's', note: spread(ours) },
    { name: 'the same with one agent', value: median(store), unit: 's', note: spread(store) },
    { name: `${agents} bare threads, one after the other`, value: median(oneByOne), unit: 's', note: spread(oneByOne) },
    { name: `${agents} bare threads, 8 at a time`, value: median(atOnce), unit: 's', note: spread(atOnce) },
    { name: 'all running, against bare threads one after the other', value: value / median(oneByOne), unit: 'times' },
  ]
}

async function timeTeam(agents: number): Promise<number> {
  const began = performance.now()
  await using stage = await openStage([{ id: 'idle', type: 'idle', replicas: agents }])
  const took = (performance.now() - began) / 1000
  const { running } = stage.troupe.status().agents
  if (running !== agents) throw new Error(`${running} of ${agents} agents run`)
  return took
}

async function timeBare(count: number, width: number): Promise<number> {
  const began = performance.now()
  let left = count
  const startSome = async () => {
    const workers = []
    for (; left > 0; ) {
      left -= 1
      workers.push(await startRaw())
    }
    return workers
  }
  const workers = (await Promise.all(Array.from({ length: width }, startSome))).flat()
  const took = (performance.now() - began) / 1000
  await Promise.all(workers.map((worker) => worker.terminate()))
  return took
}
