import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Store } from '../../src/store/store.ts'
import { FakeEnding } from './fake-child.ts'
import { faultyStore } from './faulty-store.ts'
import { openTestStore, startNode } from './path.ts'

let opened: Awaited<ReturnType<typeof openTestStore>>
beforeAll(async () => {
  opened = await openTestStore()
})
afterAll(() => opened?.[Symbol.asyncDispose]())

const rows = async (sql: string) => (await opened.backend.query(sql)).rows
const jobs = (type: string) =>
  rows(`select status, attempt, dead_reason, result, assigned_to from agent_jobs where job_type = '${type}' order by seq`)

test('a job of a turn is claimed, run and completed with its result in one commit', async () => {
  await using node = startNode(opened.store, 'n1')
  const done = node.next('turn:committed', ({ source }) => source === 'job')
  await node.start('worker1', {
    init: () => ({ state: 0 }),
    run: {
      double1: ({ n }: { n: number }, ctx) => {
        ctx.state = (ctx.state as number) + 1
        return { doubled: n * 2 }
      },
    },
  })
  await node.start('maker1', { receive: { go: (n: number, ctx) => ctx.job('double1', { n }) } })
  await node.tell('maker1', 'go', 21)
  await done
  expect([await jobs('double1'), await rows(`select state from agent_state where agent_id = 'worker1'`)]).toEqual([
    [['completed', 1, null, { doubled: 42 }, 'worker1']],
    [['1']],
  ])
})

test('a job that throws comes again as it asks, one that is hopeless does not', async () => {
  await using node = startNode(opened.store, 'n2')
  const ended = node.next('turn:committed', ({ type }) => type === 'flaky2')
  const log: string[] = []
  await node.start('worker2', {
    run: {
      flaky2: (_: unknown, { attempt }) => {
        log.push(`flaky ${attempt}`)
        if (attempt === 1) throw new FakeEnding('later', { retryIn: 20 })
      },
      hopeless2: () => {
        throw new FakeEnding('no use', { isFinal: true })
      },
    },
  })
  await opened.store.call('create_jobs', { p_batch: [{ job_type: 'flaky2' }, { job_type: 'hopeless2' }] })
  await ended
  await node.outbox.flush()
  expect([log, await jobs('flaky2'), await jobs('hopeless2')]).toEqual([
    ['flaky 1', 'flaky 2'],
    [['completed', 2, null, null, 'worker2']],
    [['failed', 1, 'fatal', null, 'worker2']],
  ])
})

test('a job keeps its steps when another agent goes on with it', async () => {
  await using node = startNode(opened.store, 'n3')
  const steps: string[] = []
  const finished = node.next('turn:committed', ({ type }) => type === 'long3')
  const actor = {
    run: {
      long3: async (_: unknown, ctx: { attempt: number; step(name: string, fn: () => unknown): Promise<unknown>; die(): never }) => {
        await ctx.step('first', () => steps.push('first'))
        if (ctx.attempt === 1) ctx.die()
        await ctx.step('second', () => steps.push('second'))
      },
    },
  }
  await opened.store.call('create_jobs', { p_batch: [{ job_type: 'long3', backoff_ms: 10 }] })
  await node.start('worker3a', actor)
  await node.start('worker3b', actor)
  await finished
  expect([steps, (await jobs('long3'))[0]?.slice(0, 2)]).toEqual([
    ['first', 'second'],
    ['completed', 2],
  ])
})

test('a stop gives back what has not begun, and what it interrupts, without an attempt', async () => {
  const began = Promise.withResolvers<void>()
  {
    await using node = startNode(opened.store, 'n4')
    await opened.store.call('create_jobs', { p_batch: Array.from({ length: 4 }, () => ({ job_type: 'wait4' })) })
    await node.start(
      'worker4',
      {
        run: {
          wait4: async (_: unknown, ctx: { aborted: Promise<string> }) => {
            began.resolve()
            throw new Error(await ctx.aborted)
          },
        },
      },
      { maxLoad: 3 },
    )
    await began.promise
    expect((await jobs('wait4')).map(([status]) => status).toSorted()).toEqual(['assigned', 'assigned', 'assigned', 'pending'])
  }
  expect((await jobs('wait4')).map(([status, attempt]) => [status, attempt])).toEqual(Array.from({ length: 4 }, () => ['pending', 0]))
})

test('a job that was claimed again is not lost with its former claim', async () => {
  await using node = startNode(opened.store, 'n9')
  const began = Promise.withResolvers<void>()
  const gate = Promise.withResolvers<string>()
  const ends: string[] = []
  const again9 = async (_: unknown, { aborted }: { aborted: Promise<string> }) => {
    began.resolve()
    ends.push(await Promise.race([aborted, gate.promise]))
  }
  await opened.store.call('create_jobs', { p_batch: [{ job_type: 'again9' }] })
  const { desk } = await node.start('worker9', { run: { again9 } })
  await began.promise
  const [held] = desk.jobs()
  desk.loseJob(held?.id ?? '', (held?.token ?? 0) - 1)
  const after = desk.jobs().length
  gate.resolve('ended')
  await node.next('turn:committed')
  expect([after, ends, (await jobs('again9'))[0]?.[0]]).toEqual([1, ['ended'], 'completed'])
})

test('a job that was claimed again is held, though its last turn is known to stand only after that', async () => {
  await using node = startNode(opened.store, 'n10')
  const began = Promise.withResolvers<void>()
  const gate = Promise.withResolvers<void>()
  const again10 = () => {
    began.resolve()
    return gate.promise
  }
  await opened.store.call('create_jobs', { p_batch: [{ job_type: 'again10' }] })
  const { desk } = await node.start('worker10', { run: { again10 } })
  await began.promise
  const [held] = desk.jobs()
  const next = { id: held?.id ?? '', token: (held?.token ?? 0) + 1 }
  desk.give([{ ...next, type: 'again10', payload: '{}', attempt: 2, maxAttempts: 3 }])
  const tokens = new Promise((resolve) => node.events.once('turn:committed', () => resolve(desk.jobs().map(({ token }) => token))))
  gate.resolve()
  expect(await tokens).toEqual([next.token])
})

test('a job that was cancelled is told so, and leaves nothing', async () => {
  await using node = startNode(opened.store, 'n5', { lease: 900 })
  const began = Promise.withResolvers<void>()
  const aborted = Promise.withResolvers<string>()
  const [created] = await opened.store.call('create_jobs', { p_batch: [{ job_type: 'cancel5' }] })
  await node.start('worker5', {
    receive: { note: () => 'fine' },
    run: {
      cancel5: async (_: unknown, ctx) => {
        began.resolve()
        aborted.resolve(await ctx.aborted)
        throw new Error('aborted')
      },
    },
  })
  await began.promise
  await opened.store.call('cancel_jobs', { p_batch: [{ job_id: created?.job_id ?? '' }] })
  expect([
    await aborted.promise,
    await node.ask('worker5', 'note'),
    (await jobs('cancel5'))[0]?.[0],
    node.runners.get('worker5')?.incarnations,
  ]).toEqual(['LEASE_LOST', { ok: true, value: '"fine"' }, 'cancelled', 1])
})

test('nothing is claimed for an agent before its init is committed, and then at once', async () => {
  const claimed: string[] = []
  const store: Store = {
    ...opened.store,
    async call(name, args, options) {
      if (name === 'claim_jobs') claimed.push('claim')
      if (name === 'commit_turns' && JSON.stringify(args).includes('"state"')) {
        for (let looks = 0; looks < 20; looks++) await opened.store.read('agent_jobs', {})
        claimed.push('init')
      }
      return opened.store.call(name, args, options)
    },
  }
  const hour = 3_600_000
  await using node = startNode(store, 'n7', { poll: { min: hour, max: hour } })
  await opened.store.call('create_jobs', { p_batch: Array.from({ length: 10 }, () => ({ job_type: 'early7' })) })
  const done = node.next('turn:committed', ({ source }) => source === 'job')
  await node.start('worker7', { init: () => ({ state: 0 }), run: { early7: () => {} } })
  await done
  expect(claimed.slice(0, 2)).toEqual(['init', 'claim'])
})

test('a claim whose answer is lost is the same claim when it is repeated', async () => {
  let losses = 3
  const store = faultyStore(opened.store, (name) => (name === 'claim_jobs' && losses-- > 0 ? 'lost' : 'none'))
  await using node = startNode(store, 'n6')
  await opened.store.call('create_jobs', { p_batch: Array.from({ length: 5 }, () => ({ job_type: 'lost6' })) })
  let done = 0
  const all = Promise.withResolvers<void>()
  node.events.on('turn:committed', () => {
    done += 1
    if (done === 5) all.resolve()
  })
  await node.start('worker6', { run: { lost6: () => {} } })
  await all.promise
  expect((await jobs('lost6')).map(([status, attempt]) => [status, attempt])).toEqual(Array.from({ length: 5 }, () => ['completed', 1]))
})
