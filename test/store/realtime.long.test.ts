import { setTimeout as delay } from 'node:timers/promises'
import { expect, test, vi } from 'vitest'
import { nextEvent } from '../helpers.ts'
import { eventually, openBench, subscribe, woken } from './realtime-bench.ts'
import { createRealtimeDouble } from './realtime-double.ts'

test.concurrent('a change wakes at once', async () => {
  await using double = await createRealtimeDouble()
  await using bench = openBench(double)
  await subscribe(bench)
  const changed = woken(bench, 'changed')
  bench.write(1)
  await changed
  expect({
    handled: bench.handled,
    told: bench.told.map(({ kind }) => kind),
    watched: double.seen.joins.map(({ watched }) => watched.length),
  }).toEqual({
    handled: [1],
    told: ['realtime:subscribed'],
    watched: [4],
  })
})

test.concurrent('a write in the first seconds after SUBSCRIBED, announced to nobody, is found (case 47)', async () => {
  await using double = await createRealtimeDouble()
  double.faults.flow = 'held'
  await using bench = openBench(double, { settle: 100 })
  const subscribed = woken(bench, 'subscribed')
  bench.hint.start()
  await subscribed
  const settled = woken(bench, 'settled')
  bench.write(1)
  expect(bench.handled).toEqual([])
  await settled
  expect({ handled: bench.handled, wakes: bench.wakes }).toEqual({ handled: [1], wakes: ['subscribed', 'settled'] })
})

test.concurrent('a write before the changes flow is found when the server says that they do (case 47)', async () => {
  await using double = await createRealtimeDouble()
  double.faults.flow = 'held'
  await using bench = openBench(double)
  const subscribed = woken(bench, 'subscribed')
  bench.hint.start()
  await subscribed
  bench.write(1)
  const settled = woken(bench, 'settled')
  double.release()
  await settled
  expect(bench.handled).toEqual([1])
})

test.concurrent('what was written while the socket was cut is found when it is back (case 48)', async () => {
  await using double = await createRealtimeDouble()
  await using bench = openBench(double)
  await subscribe(bench)
  const back = woken(bench, 'subscribed')
  double.cut()
  bench.write(1)
  await back
  expect({ handled: bench.handled, sockets: double.sockets(), channels: bench.client.getChannels().length }).toEqual({
    handled: [1],
    sockets: 1,
    channels: 1,
  })
})

test.concurrent.for([
  ['before realtime-js does', 900],
  ['when realtime-js says so', 60_000],
] as const)('a half-open socket is noticed %s and replaced by one (case 49)', async ([_name, silence]) => {
  await using double = await createRealtimeDouble()
  await using bench = openBench(double, { silence, realtime: { heartbeatIntervalMs: 500 } })
  await subscribe(bench)
  const back = woken(bench, 'subscribed')
  const frozenAt = double.seen.upgrades
  double.freeze()
  bench.write(1)
  await back
  // Answered heartbeats: the new socket is healthy, and nothing of the old one opens another.
  for (let beat = 0; beat < 2; beat += 1) await nextEvent(double.events, 'heartbeat')
  expect({ handled: bench.handled, upgrades: double.seen.upgrades - frozenAt, channels: double.channels() }).toEqual({
    handled: [1],
    upgrades: 1,
    channels: 2,
  })
})

test.concurrent('a stop while a heartbeat is unanswered is final', async () => {
  await using double = await createRealtimeDouble()
  await using bench = openBench(double, { realtime: { heartbeatIntervalMs: 100 } })
  await subscribe(bench)
  await nextEvent(double.events, 'heartbeat')
  double.freeze()
  await bench.hint.stop()
  await expect(nextEvent(double.events, 'upgrade', { timeout: 500 })).rejects.toThrow('No "upgrade"')
})

test.concurrent('a stop while realtime-js itself gives up a half-open socket is final', async () => {
  await using double = await createRealtimeDouble()
  // Our own next try is far away: one that was under way before the stop would be no fault.
  await using bench = openBench(double, { realtime: { heartbeatIntervalMs: 100 }, retry: { min: 5_000, max: 5_000 } })
  await subscribe(bench)
  const lost = nextEvent(bench.seen, 'told')
  double.freeze()
  expect(await lost).toMatchObject({ reason: 'heartbeat timeout' })
  await bench.hint.stop()
  await expect(nextEvent(double.events, 'upgrade', { timeout: 500 })).rejects.toThrow('No "upgrade"')
})

test.concurrent('a stop is final also when realtime-js gave its socket up before, and connects again sooner than the old one is gone', async () => {
  await using double = await createRealtimeDouble()
  await using bench = openBench(double, { realtime: { heartbeatIntervalMs: 100 }, retry: { min: 60_000, max: 60_000 } })
  await subscribe(bench)
  const lost = nextEvent(bench.seen, 'told')
  const { upgrades } = double.seen
  double.freeze()
  await lost
  await delay(300) // of the two that wait for the old socket to close, realtime-js is to be done first
  await bench.hint.stop()
  await expect(nextEvent(double.events, 'upgrade', { timeout: 500 })).rejects.toThrow('No "upgrade"')
  expect(double.seen.upgrades).toBe(upgrades)
})

test.concurrent('a server that refuses every join is asked ever less often (case 50)', async () => {
  await using double = await createRealtimeDouble()
  double.faults.join = 'error'
  await using bench = openBench(double, { retry: { min: 10, max: 80 }, random: () => 0.99 })
  const times: number[] = []
  double.events.on('join', () => times.push(performance.now()))
  bench.hint.start()
  await eventually(() => expect(times.length).toBeGreaterThanOrEqual(6))
  const gaps = times.slice(1).map((time, index) => time - (times[index] ?? 0))
  expect(gaps.map((gap, index) => gap >= Math.min(80, 10 * 2 ** index) * 0.9)).not.toContain(false)
  expect({ told: bench.told.length, channels: bench.client.getChannels().length <= 1 }).toEqual({ told: 1, channels: true })
})

test.concurrent.for(['joins', 'upgrades'] as const)(
  'a server that never answers %s: the try is given up and made anew',
  async (unanswered) => {
    await using double = await createRealtimeDouble()
    double.faults.join = unanswered === 'joins' ? 'no answer' : 'ok'
    double.faults.upgrade = unanswered === 'upgrades' ? 'no answer' : 'accept'
    await using bench = openBench(double, { joinTimeout: 100 })
    bench.hint.start()
    await eventually(() => expect(double.seen.upgrades).toBeGreaterThanOrEqual(2))
    double.faults.join = 'ok'
    double.faults.upgrade = 'accept'
    await woken(bench, 'settled')
    await eventually(() => expect([double.sockets(), double.channels(), bench.client.getChannels().length]).toEqual([1, 1, 1]))
  },
)

test.concurrent('bindings that the server mixes up are refused by realtime-js and tried again', async () => {
  await using double = await createRealtimeDouble()
  double.faults.join = 'mismatch'
  await using bench = openBench(double)
  const lost = nextEvent(bench.seen, 'told')
  bench.hint.start()
  expect(await lost).toMatchObject({ kind: 'realtime:lost', reason: 'CLOSED' })
  double.faults.join = 'ok'
  await woken(bench, 'settled')
  await eventually(() => expect([double.sockets(), double.channels(), bench.client.getChannels().length]).toEqual([1, 1, 1]))
})

test.concurrent('a channel that the server closes as its token expires comes back with a fresh one (case 51)', async () => {
  await using double = await createRealtimeDouble()
  let current = 'token-1'
  double.faults.isTokenGood = (token) => token === current
  await using bench = openBench(double, { token: async () => current })
  await subscribe(bench)
  current = 'token-2'
  const back = woken(bench, 'settled')
  double.shutDown('Token has expired 0 seconds ago')
  bench.write(1)
  await back
  expect({ tokens: double.seen.joins.map(({ token }) => token), handled: bench.handled, channels: double.channels() }).toEqual({
    tokens: ['token-1', 'token-2'],
    handled: [1],
    channels: 1,
  })
})

test.concurrent('a token that cannot be had is one more reason to try again (case 51)', async () => {
  await using double = await createRealtimeDouble()
  double.faults.isTokenGood = (token) => token === 'good'
  const answers = [() => Promise.reject(new Error('no token today')), () => Promise.resolve('stale'), () => new Promise<never>(() => {})]
  await using bench = openBench(double, { joinTimeout: 200, token: () => answers.shift()?.() ?? Promise.resolve('good') })
  await subscribe(bench)
  expect(double.seen.joins.at(-1)?.token).toBe('good')
})

test.concurrent('a table that is not published: polls fast, one line', async () => {
  await using double = await createRealtimeDouble()
  double.faults.flow = 'error'
  await using bench = openBench(double, { poll: { min: 20, max: 20, healthy: 60_000 }, retry: { min: 100, max: 100 } })
  bench.hint.start()
  await eventually(() => expect(double.seen.joins.length).toBeGreaterThan(2))
  await woken(bench, 'poll')
  expect(bench.told).toMatchObject([{ kind: 'realtime:lost', reason: 'Unable to subscribe to changes' }])
})

test.concurrent('a client that others use keeps its socket and their channels', async () => {
  await using double = await createRealtimeDouble()
  await using bench = openBench(double)
  const theirs = bench.client.channel('theirs')
  const joined = nextEvent(double.events, 'join')
  theirs.on('broadcast', { event: 'x' }, () => {}).subscribe()
  await joined
  await subscribe(bench)
  await bench.hint.stop()
  expect({ channels: bench.client.getChannels().map(({ topic }) => topic), sockets: double.sockets() }).toEqual({
    channels: ['realtime:theirs'],
    sockets: 1,
  })
  await bench.client.removeAllChannels()
})

test.concurrent('a start right after a stop is a fresh start', async () => {
  await using double = await createRealtimeDouble()
  await using bench = openBench(double)
  await subscribe(bench)
  const stopped = bench.hint.stop()
  await subscribe(bench)
  await stopped
  expect({ told: bench.told.map(({ kind }) => kind), upgrades: double.seen.upgrades, channels: double.channels() }).toEqual({
    told: ['realtime:subscribed', 'realtime:subscribed'],
    upgrades: 2,
    channels: 1,
  })
})

// Alone from here on: these listen to the console, or wait for nothing to happen.

test.for([404, 503, 'nothing listens'] as const)('without Realtime (%s) the poll remains, and one line (case 52)', async (absence) => {
  await using double = await createRealtimeDouble()
  if (absence === 'nothing listens') await double[Symbol.asyncDispose]()
  else double.faults.upgrade = absence
  const printed = (['log', 'info', 'warn', 'error', 'debug'] as const).map((method) => vi.spyOn(console, method))
  await using bench = openBench(double, { poll: { min: 10, max: 30, healthy: 60_000 } })
  bench.hint.start()
  bench.write(1)
  await eventually(() => expect(bench.wakes.length).toBeGreaterThan(20))
  const lines = printed.flatMap((spy) => spy.mock.calls)
  vi.restoreAllMocks()
  // The join of the try under way at most: what is not sent to a server that is not there must not pile up.
  expect(bench.client.realtime.sendBuffer.length).toBeLessThanOrEqual(1)
  expect({ wakes: [...new Set(bench.wakes)], handled: bench.handled, told: bench.told.map(({ kind }) => kind), lines }).toEqual({
    wakes: ['poll'],
    handled: [1],
    told: ['realtime:lost'],
    lines: [],
  })
  if (absence !== 'nothing listens') expect(double.seen.upgrades).toBeGreaterThan(2)
})

test('duplicate and many events during a wake-up: one further wake-up, one handling (case 45)', async () => {
  await using double = await createRealtimeDouble()
  let open = Promise.withResolvers<void>()
  open.resolve()
  await using bench = openBench(double, { look: () => open.promise })
  await subscribe(bench)
  open = Promise.withResolvers<void>()
  const changed = woken(bench, 'changed')
  for (let id = 1; id <= 20; id += 1) bench.write(id, 3)
  await changed
  // The server answers in order: when the answer to this is here, so are all the changes.
  const beat = nextEvent(double.events, 'heartbeat')
  await bench.client.realtime.sendHeartbeat()
  await beat
  await eventually(() => expect(bench.client.realtime.pendingHeartbeatRef).toBe(null))
  expect(bench.wakes).toEqual(['subscribed', 'settled', 'changed'])
  const further = woken(bench, 'changed')
  open.resolve()
  await further
  expect({ wakes: bench.wakes, handled: bench.handled.length }).toEqual({
    wakes: ['subscribed', 'settled', 'changed', 'changed'],
    handled: 20,
  })
})

test('a wake-up that fails or hangs is told and does not end the polling', async () => {
  await using double = await createRealtimeDouble()
  const looks = [() => Promise.reject(new Error('store away')), () => new Promise<void>(() => {})]
  const poll = { min: 10, max: 10, healthy: 10 }
  await using bench = openBench(double, { poll, wakeLimit: 50, look: () => looks.shift()?.() })
  bench.hint.start()
  await eventually(() => expect(bench.wakes.length).toBeGreaterThan(5))
  const failures = bench.told.flatMap((event) => (event.kind === 'realtime:wakeFailed' ? [String(event.error)] : []))
  expect(failures).toEqual(['Error: store away', 'Error: the wake-up took longer than 50 ms'])
})

test('a wake-up may stop the hint in the middle of a decision to try again', async () => {
  await using double = await createRealtimeDouble()
  double.faults.upgrade = 404
  let time = 0
  let alarm = (): void => {}
  const clock = {
    now: () => time,
    after(_ms: number, callback: () => void): () => void {
      alarm = callback
      return () => {}
    },
  }
  await using bench = openBench(double, { clock, look: (): Promise<void> => bench.hint.stop() })
  const lost = nextEvent(bench.seen, 'told')
  bench.hint.start()
  await lost
  const polled = woken(bench, 'poll')
  // Now the poll and the retry are both due.
  time = 100_000
  alarm()
  await polled
  await expect(nextEvent(double.events, 'upgrade', { timeout: 300 })).rejects.toThrow('No "upgrade"')
})
