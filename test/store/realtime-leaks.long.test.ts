import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import type { RealtimeEvent } from '../../src/store/realtime.ts'
import { nextEvent } from '../helpers.ts'
import { eventually, openBench, subscribe, woken } from './realtime-bench.ts'
import { createRealtimeDouble } from './realtime-double.ts'

const root = join(import.meta.dirname, '../..')

/** What the process holds open, both ends of every connection included. */
function activeResources(): { sockets: number; timers: number } {
  const kinds = process.getActiveResourcesInfo()
  const count = (kind: string) => kinds.filter((found) => found === kind).length
  return { sockets: count('TCPSocketWrap'), timers: count('Timeout') }
}

/** The test runner has timers of its own that come and go, so fewer are fine. */
function noMoreThan({ sockets, timers }: ReturnType<typeof activeResources>): object {
  const atMost = (limit: number) => expect.toSatisfy((count: number) => count <= limit, `at most ${limit}`)
  return { sockets: atMost(sockets), timers: atMost(timers) }
}

test('100 reconnects of every kind leave nothing behind (case 50)', async () => {
  await using double = await createRealtimeDouble()
  const before = activeResources()
  await using bench = openBench(double)
  await subscribe(bench)
  const faults = [() => double.cut(), () => double.crash(), () => double.shutDown('Too many messages per second'), refuseOnce]
  await reconnect(faults[0])
  await eventually(() => expect(double.sockets()).toBe(1))
  const first = held()
  for (let round = 0; round < 100; round += 1) await reconnect(faults[round % faults.length])
  await eventually(() => expect(held()).toEqual({ ...first, resources: noMoreThan(first.resources) }))
  expect(first).toMatchObject({ channels: 1, onServer: 1, sockets: 1, unsent: 0 })
  // Each refusal is a join more, each cut a socket more.
  expect([double.seen.joins.length, double.seen.upgrades]).toEqual([127, 27])
  await bench.hint.stop()
  await eventually(() =>
    expect({ ...held(), resources: activeResources() }).toMatchObject({ channels: 0, sockets: 0, resources: noMoreThan(before) }),
  )

  async function reconnect(fault: (() => void) | undefined): Promise<void> {
    const back = woken(bench, 'settled')
    fault?.()
    await back
  }

  function refuseOnce(): void {
    double.faults.join = 'error'
    double.events.once('join', () => {
      double.faults.join = 'ok'
    })
    double.crash()
  }

  function held() {
    const { stateChangeCallbacks, sendBuffer } = bench.client.realtime
    return {
      channels: bench.client.getChannels().length,
      onServer: double.channels(),
      sockets: double.sockets(),
      unsent: sendBuffer.length,
      listeners: Object.values(stateChangeCallbacks).map(({ length }) => length),
      resources: activeResources(),
    }
  }
})

test('start and stop are safe twice, in either order, and at any moment', async () => {
  await using double = await createRealtimeDouble()
  const before = activeResources()
  await using bench = openBench(double)
  await bench.hint.stop()
  bench.hint.start()
  await Promise.all([bench.hint.stop(), bench.hint.stop()])
  bench.hint.start()
  bench.hint.start()
  const asked = nextEvent(double.events, 'upgrade')
  await asked
  await bench.hint.stop()
  await subscribe(bench)
  expect(double.sockets()).toBe(1)
  await bench.hint.stop()
  await bench.hint.stop()
  const wakes = bench.wakes.length
  bench.write(1)
  await eventually(() =>
    expect({ sockets: double.sockets(), resources: activeResources() }).toEqual({ sockets: 0, resources: noMoreThan(before) }),
  )
  expect({ channels: bench.client.getChannels().length, wakes: bench.wakes.length - wakes }).toEqual({ channels: 0, wakes: 0 })
})

test('a process that stops its hint ends at once', async () => {
  await using double = await createRealtimeDouble()
  const program = `
    import { createClient } from '@supabase/supabase-js'
    import { createRealtimeHint } from './src/store/realtime.ts'
    const client = createClient('${double.url}', 'a-service-key', { auth: { persistSession: false, autoRefreshToken: false } })
    const hint = createRealtimeHint({ client, onWake: (reason) => reason === 'settled' && hint.stop().then(() => console.log('stopped')) })
    hint.start()
  `
  const run = promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program], { cwd: root, timeout: 5_000 })
  expect(await run).toEqual({ stdout: 'stopped\n', stderr: '' })
})

test('an event may stop the hint', async () => {
  await using double = await createRealtimeDouble()
  double.faults.upgrade = 404
  const before = activeResources()
  const told = Promise.withResolvers<RealtimeEvent>()
  await using bench = openBench(double, {
    onEvent(event) {
      told.resolve(event)
      void bench.hint.stop()
    },
  })
  bench.hint.start()
  expect(await told.promise).toMatchObject({ kind: 'realtime:lost' })
  await bench.hint.stop()
  await eventually(() => expect(activeResources()).toEqual(noMoreThan(before)))
  expect(double.seen.upgrades).toBe(1)
})
