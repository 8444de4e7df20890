import { describe, expect, test } from 'vitest'
import type { Event } from '../../src/core/events.ts'
import { createLeases } from '../../src/host/lease.ts'
import { createPatience } from '../../src/host/patience.ts'
import type { AgentSync, SyncedAgent } from '../../src/store/functions/turns.ts'
import type { Store } from '../../src/store/store.ts'
import { storeError } from '../../src/store/store-error.ts'
import { createManualClock } from './manual-clock.ts'

type Batch = { agents: AgentSync[]; jobs: { job_id: string; started?: boolean }[] }

/** Leases of 15 s over a store that answers as the test says. */
function over(
  answer: (agent: AgentSync) => Partial<SyncedAgent> | 'away' | 'refused' = () => ({ verdict: 'ok' }),
  lostJobs: readonly string[] = [],
  isOpen: Promise<void> = Promise.resolve(),
) {
  const clock = createManualClock()
  const calls: { at: number; said: string[]; jobs: string[] }[] = []
  const log: string[] = []
  let tokens = 0
  const call = async (_name: string, { p_batch: { agents, jobs } }: { p_batch: Batch }) => {
    const said = agents.map(({ agent_id, action, lease_token }) => [agent_id, action, lease_token].filter(Boolean).join(' '))
    await isOpen
    calls.push({ at: clock.now(), said, jobs: jobs.map(({ job_id, started }) => (started ? `${job_id} started` : job_id)) })
    const answers = agents.map((agent) => {
      const given = answer(agent)
      if (given === 'away') throw storeError('no answer', { kind: 'unavailable', code: '' })
      if (given === 'refused') throw storeError('no such text', { kind: 'data', code: '22P05' })
      tokens += agent.action === 'take' ? 1 : 0
      return { agent_id: agent.agent_id, ...(agent.action === 'take' && { lease_token: tokens }), verdict: 'ok' as const, ...given }
    })
    return { agents: answers, jobs: jobs.map(({ job_id }) => ({ job_id, verdict: lostJobs.includes(job_id) ? 'stale' : 'ok' })) }
  }
  const emit = (event: Event) => log.push(`${event.name} at ${clock.now()}`)
  const leases = createLeases({
    store: { call } as unknown as Pick<Store, 'call'>,
    node: 'n',
    patience: createPatience({ clock, emit, random: () => 1 }),
    clock,
    emit,
    random: () => 0,
    onDoubt: (isInDoubt) => log.push(`${isInDoubt ? 'doubt' : 'trust'} at ${clock.now()}`),
    onLost: (agent) => log.push(`lost ${agent} at ${clock.now()}`),
  })
  return { clock, calls, log, leases, said: () => calls.map(({ at, said }) => `${at}: ${said.join(', ')}`) }
}

async function taken<Value>(clock: ReturnType<typeof createManualClock>, wish: Promise<Value>): Promise<Value> {
  await clock.pass(0)
  return wish
}

describe('leases', () => {
  test('are taken together and renewed together, every third of their time', async () => {
    const { clock, leases, said } = over()
    await taken(clock, Promise.all([leases.take([{ agent_id: 'a' }]), leases.take([{ agent_id: 'b' }])]))
    await clock.pass(11_000)
    await taken(clock, leases.release(['b']))
    await clock.pass(5_000)
    expect(said()).toEqual([
      '0: a take, b take',
      '5000: a hold 1, b hold 2',
      '10000: a hold 1, b hold 2',
      '11000: b release 2, a hold 1',
      '16000: a hold 1',
    ])
  })

  test('what is wanted in one stretch of code goes in one call, beside those that are held', async () => {
    const { clock, leases, said } = over()
    await taken(clock, leases.take([{ agent_id: 'a' }]))
    await taken(clock, Promise.all([leases.take([{ agent_id: 'a' }]), leases.take([{ agent_id: 'b' }])]))
    expect(said()).toEqual(['0: a take', '0: a take, b take'])
  })

  test('an agent is named once in a call: what else is wanted of it comes in the next', async () => {
    const { clock, leases, said } = over()
    const both = Promise.all([leases.take([{ agent_id: 'a' }]), leases.take([{ agent_id: 'a' }])])
    const [[first], [second]] = await taken(clock, both)
    expect([first?.lease_token, said()[0]]).toEqual([1, '0: a take'])
    await clock.pass(5_000)
    expect([second?.lease_token, said().at(-1)]).toEqual([2, '5000: a hold 2'])
  })

  test('are in doubt when nobody has confirmed them for two thirds of their time', async () => {
    let isAway = false
    const { clock, leases, log } = over(() => (isAway ? 'away' : { verdict: 'ok' }))
    await taken(clock, leases.take([{ agent_id: 'a' }]))
    isAway = true
    await clock.pass(9_999)
    const early = [...log]
    await clock.pass(1)
    const inDoubt = leases.isInDoubt
    isAway = false
    await clock.pass(3_000)
    expect([early, inDoubt, log.filter((line) => /doubt|trust/.test(line)), leases.isInDoubt]).toEqual([
      ['store:failed at 5000'],
      true,
      ['lease:doubted at 10000', 'doubt at 10000', expect.stringMatching('^trust')],
      false,
    ])
  })

  test('that are gone are told, once', async () => {
    const { clock, leases, log, said } = over(({ agent_id, action }) => ({
      verdict: action === 'hold' && agent_id === 'b' ? 'stale' : 'ok',
    }))
    await taken(clock, leases.take([{ agent_id: 'a' }, { agent_id: 'b' }]))
    await clock.pass(12_000)
    expect([log, said().at(-1)]).toEqual([['lost b at 5000'], '10000: a hold 1'])
  })

  test('that another has are not held', async () => {
    const { clock, leases, said } = over(() => ({ verdict: 'busy', node_id: 'other', lease_token: undefined }))
    const [answer] = await taken(clock, leases.take([{ agent_id: 'a' }]))
    await clock.pass(10_000)
    expect([answer?.verdict, answer?.node_id, said()]).toEqual(['busy', 'other', ['0: a take']])
  })

  test('an answer that comes after the end begins nothing', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const { clock, leases, log } = over(undefined, [], promise)
    const wish = leases.take([{ agent_id: 'a' }])
    await clock.pass(0)
    const closed = leases.close()
    resolve()
    await Promise.all([wish, closed])
    await clock.pass(30_000)
    expect(log).toEqual([])
  })

  test('are renewed without what an agent says of itself when the store does not take that, which is told once', async () => {
    const held: AgentSync[] = []
    const { clock, leases, log } = over((agent) => {
      if (agent.blocked_reason === 'bad') return 'refused'
      if (agent.action === 'hold') held.push(agent)
      return { verdict: 'ok' }
    })
    await taken(clock, leases.take([{ agent_id: 'a' }, { agent_id: 'b' }]))
    let reason = 'bad'
    const report = () => ({ agent_type: 'test', status: 'blocked' as const, blocked_reason: reason, version: '1', current_load: 1 })
    leases.attach('a', { report, jobs: () => [], loseJob() {} })
    leases.remember('a', { exits: 1 })
    await clock.pass(10_000)
    reason = 'good'
    await clock.pass(5_000)
    const ofA = { agent_id: 'a', action: 'hold', lease_token: 1, agent_type: 'test', status: 'blocked' }
    const ofB = { agent_id: 'b', action: 'hold', lease_token: 2 }
    expect([held, log]).toEqual([
      [{ ...ofA, supervision: { exits: 1 } }, ofB, ofA, ofB, { ...ofA, ...report() }, ofB],
      ['report:refused at 5000'],
    ])
  })

  test('of one agent that the store takes nothing of cost nobody else theirs', async () => {
    let bad = 'new'
    const { clock, leases, said, log } = over(({ agent_id }) => (agent_id === bad ? 'refused' : { verdict: 'ok' }))
    await taken(clock, leases.take([{ agent_id: 'a' }, { agent_id: 'b' }]))
    const answers = await taken(clock, leases.take([{ agent_id: 'new' }, { agent_id: 'c' }]))
    const heard = answers.map((answer) => `${answer?.agent_id} ${answer?.verdict} ${answer?.lease_token ?? answer?.error}`)
    bad = 'b'
    await clock.pass(5_000)
    const lost = [...log]
    await clock.pass(5_000)
    expect([heard, lost, said().at(-1), log.length]).toEqual([
      ['new invalid no such text', 'c ok 3'],
      ['lost b at 5000'],
      '10000: a hold 1, c hold 3',
      1,
    ])
  })

  test('are not lost by a call that is refused for all of them', async () => {
    let isRefused = false
    const { clock, leases, log } = over(() => (isRefused ? 'refused' : { verdict: 'ok' }))
    await taken(clock, leases.take([{ agent_id: 'a' }, { agent_id: 'b' }]))
    isRefused = true
    await clock.pass(12_000)
    isRefused = false
    await clock.pass(3_000)
    expect(log.map((line) => line.split(' ')[0])).toEqual(['report:refused', 'lease:doubted', 'doubt', 'lease:confirmed', 'trust'])
  })

  test('a wish waits for the store', async () => {
    let isAway = true
    const { clock, leases } = over(() => (isAway ? 'away' : { verdict: 'ok' }))
    const wish = leases.take([{ agent_id: 'a' }])
    await clock.pass(3_000)
    isAway = false
    await clock.pass(3_000)
    expect((await wish)[0]?.verdict).toBe('ok')
  })
})

test('jobs are renewed now and then, at once when they start, and lost when somebody says so', async () => {
  const { clock, leases, calls } = over(undefined, ['j2'])
  await taken(clock, leases.take([{ agent_id: 'a' }]))
  let jobs = [
    { id: 'j1', token: 1, isStarted: false },
    { id: 'j2', token: 1, isStarted: false },
  ]
  const lost: string[] = []
  leases.attach('a', {
    report: () => ({ status: 'working' }),
    jobs: () => jobs,
    loseJob: (id) => {
      lost.push(id)
      jobs = jobs.filter((job) => job.id !== id)
    },
  })
  await clock.pass(10_000)
  jobs = jobs.map((job) => ({ ...job, isStarted: true }))
  await clock.pass(20_000)
  expect([calls.map(({ at, jobs: renewed }) => [at, ...renewed]), lost]).toEqual([
    [[0], [5_000, 'j1', 'j2'], [10_000], [15_000, 'j1 started'], [20_000], [25_000], [30_000, 'j1 started']],
    ['j2'],
  ])
})

test('what is to be remembered goes with the next heartbeat, until it has arrived', async () => {
  const remembered: unknown[] = []
  let isAway = false
  const { clock, leases } = over(({ supervision }) => {
    remembered.push(supervision)
    return isAway ? 'away' : { verdict: 'ok' }
  })
  await taken(clock, leases.take([{ agent_id: 'a' }]))
  leases.remember('a', { exits: 1 })
  isAway = true
  await clock.pass(5_000)
  isAway = false
  await clock.pass(6_000)
  expect(remembered).toEqual([undefined, { exits: 1 }, { exits: 1 }, undefined])
})

test('what is to be remembered is so under the next token as well, if no heartbeat came between', async () => {
  const remembered: unknown[] = []
  const { clock, leases } = over(({ action, supervision }) => {
    remembered.push([action, supervision])
    return { verdict: 'ok' }
  })
  await taken(clock, leases.take([{ agent_id: 'a' }]))
  leases.remember('a', { exits: 1 })
  await taken(clock, leases.take([{ agent_id: 'a' }]))
  await clock.pass(10_000)
  expect(remembered).toEqual([
    ['take', undefined],
    ['take', undefined],
    ['hold', { exits: 1 }],
    ['hold', undefined],
  ])
})
