import { describe, expect, test } from 'vitest'
import type { Effects, Request } from '../../src/core/frames.ts'
import type { Delivery, Message } from '../../src/core/message.ts'
import { aheadLimit, canTake, reduce, wakesAt } from '../../src/core/turn.ts'
import { createTurns, type TurnEffect, type TurnInput, type TurnState, type Verdict } from '../../src/core/turn-state.ts'

const nothing: Effects = { messages: [], jobs: [], writes: [], timers: [], steps: false }
const error = { name: 'Error', message: 'no' }
const policy = { maxAttempts: 3, turnTimeout: 1_000, turnTimeouts: { work: 300, constructor: 50 } }

/** Turns under test, with what they ask for told in words. */
class Story {
  now = 0
  state: TurnState
  #told: string[] = []

  constructor({ version = 0, isReady = true } = {}) {
    this.state = createTurns(policy, version)
    if (isReady) this.feed({ kind: 'loaded', effects: nothing })
    this.told()
  }

  feed(input: TurnInput): this {
    const { state, effects } = reduce(this.state, input, { now: this.now, wallNow: this.now, random: 0 })
    this.state = state
    this.#told.push(...effects.map(tell))
    return this
  }
  /** What it asked for since the last time. */
  told(): string[] {
    return this.#told.splice(0)
  }
  take(id: string, more: Partial<Message> = {}): this {
    return this.feed({ kind: 'take', delivery: message(id, more) })
  }
  job(id: string, attempt = 1): this {
    const job = { id, type: 'work', payload: '{}', attempt, maxAttempts: 3, token: 1 }
    return this.feed({ kind: 'take', delivery: { kind: 'job', job } })
  }
  done(turn: number, state?: string): this {
    const effects = { ...nothing, ...(state !== undefined && { state }) }
    return this.feed({ kind: 'ended', turn, outcome: { kind: 'done', reply: 'null', effects } })
  }
  quick(turn: number): this {
    return this.feed({ kind: 'ended', turn, isQuick: true, outcome: { kind: 'done', reply: 'null', effects: nothing } })
  }
  threw(turn: number, more: { isFinal?: boolean; retryIn?: number; code?: string; details?: object } = {}): this {
    const { isFinal = false, code, details, ...rest } = more
    return this.feed({
      kind: 'ended',
      turn,
      outcome: { kind: 'threw', error: { ...error, ...(code && { code }), ...(details && { details: { ...details } }) }, isFinal, ...rest },
    })
  }
  verdict(turn: number, verdict: Verdict = { kind: 'ok' }): this {
    return this.feed({ kind: 'verdict', turn, round: this.state.round, verdict })
  }
  full(turn: number): this {
    return this.verdict(turn, { kind: 'failed', code: 'MAILBOX_FULL', message: 'b takes no more' })
  }
  call(turn: number, call: number, kind: Request['kind']): this {
    return this.feed({ kind: 'call', turn, call, request: { kind } as Request })
  }
  at(now: number): this {
    this.now = now
    return this.feed({ kind: 'tick' })
  }
}

function message(id: string, more: Partial<Message> = {}): Delivery {
  return { kind: 'message', message: handled(id, more) }
}

function handled(id: string, more: Partial<Message> = {}): Message {
  return { id, seq: 1, from: 's', type: 'note', body: 'null', priority: 'normal', attempts: 0, interruptions: 0, ...more }
}

function tell(effect: TurnEffect): string {
  switch (effect.kind) {
    case 'run':
      return `run ${effect.turn}, attempt ${effect.attempt}${effect.after === undefined ? '' : `, after ${effect.after}`}`
    case 'commit':
      return `commit ${effect.records
        .map(({ turn, outcome, reason, state, retryIn, isCounted, isTakenBack }) =>
          [
            String(turn),
            outcome,
            reason,
            state && `state ${state.version}`,
            retryIn !== undefined && `in ${retryIn}`,
            isCounted && 'counted',
            isTakenBack && 'taken back',
          ]
            .filter(Boolean)
            .join(' '),
        )
        .join(', ')}`
    case 'request':
      return `request ${effect.call}`
    case 'abort':
      return `abort ${effect.turn === undefined ? 'all ' : ''}${effect.code}`
    case 'putBack':
      return `put back ${effect.handed.map(({ delivery }) => delivery.message.id).join(' ')}`
    case 'hold':
      return `hold ${effect.message.id} ${effect.message.attempts} for ${effect.retryIn}`
    case 'threw':
    case 'committed':
      return `${effect.kind} ${effect.record.turn}`
    case 'restart':
      return `restart ${effect.reason}`
    case 'refuseStart':
      return `refuse ${effect.error.message}`
    case 'blocked':
      return `blocked for ${effect.after}: ${effect.reason}`
    case 'ready':
    case 'discard':
    case 'kill':
    case 'drained':
    case 'unblocked':
      return effect.kind
  }
}

describe('running ahead', () => {
  test('the next turn runs while earlier ones are committed, each state made from the one before', () => {
    const story = new Story({ version: 7 }).take('m1').done(1, '1').take('m2').done(2, '2').take('m3')
    expect(story.told()).toEqual([
      'run 1, attempt 1',
      'commit 1 done state 7',
      'run 2, attempt 1',
      'commit 2 done state 8',
      'run 3, attempt 1',
    ])
  })

  test('ends at 64 turns', () => {
    const story = new Story()
    for (let turn = 1; turn <= aheadLimit; turn++) story.take(`m${turn}`).done(turn)
    expect([canTake(story.state), canTake(story.verdict(1).state)]).toEqual([false, true])
  })

  test('what leaves at once waits for the turns before it; a read does not', () => {
    const story = new Story().take('m1').done(1).take('m2')
    story.told()
    const before = story.call(2, 1, 'ask').call(2, 2, 'read').call(2, 3, 'function').told()
    expect([before, story.verdict(1).told()]).toEqual([['request 2'], ['committed 1', 'request 1', 'request 3']])
  })

  test('of a turn that fails nothing leaves any more', () => {
    const story = new Story().take('m1').done(1).take('m2').call(2, 1, 'ask').threw(2)
    story.told()
    expect(story.verdict(1).told()).toEqual(['committed 1'])
  })

  test('what a handler did not wait for leaves all the same, before its own turn is committed', () => {
    const story = new Story().take('m1').done(1).take('m2').call(2, 1, 'send').done(2)
    story.told()
    expect(story.verdict(1).told()).toEqual(['committed 1', 'request 1'])
  })
})

describe('handing ahead', () => {
  /** After a quick turn, with messages for as long as any is taken: one runs, the others are handed. */
  function quickly(): Story {
    const story = new Story().take('m1').quick(1).take('m2').take('m3')
    story.told()
    return story
  }
  const fill = (story: Story) => {
    for (let id = 0; canTake(story.state); id++) story.take(`x${id}`)
  }

  test('after quick turns the thread gets more and more behind what runs, up to eight, and more when half of it has run', () => {
    const story = new Story().take('m1')
    const counts: number[] = []
    for (let turn = 1; turn <= 20; turn++) {
      story.quick(turn).told()
      fill(story)
      counts.push(story.told().filter((one) => one.includes('after')).length)
    }
    expect(counts).toEqual([1, 2, 3, 5, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 4])
  })

  test('each runs after the one before it, with the limit of time that begins when that has ended', () => {
    const story = quickly()
    story.at(700).quick(2)
    expect([story.told(), story.state.running?.turn, wakesAt(story.state)]).toEqual([['commit 2 done'], 3, 1_700])
    fill(story)
    expect(story.told()).toEqual(['run 4, attempt 1, after 3', 'run 5, attempt 1, after 4'])
  })

  test('a turn that fails takes back what was handed behind it; what runs next follows nothing', () => {
    const story = quickly().threw(2)
    expect(story.told()).toEqual(['hold m2 1 for 200', 'threw 2', 'commit 2 retry in 200', 'put back m3'])
    expect(story.take('m3').told()).toEqual(['run 4, attempt 1'])
  })

  test('what leaves at once waits for the turn before it, also when a message that expired meanwhile is dead before that', () => {
    const story = quickly()
      .verdict(1)
      .feed({ kind: 'expired', messages: [handled('m4')] })
      .quick(2)
    story.told()
    const before = story.call(3, 1, 'ask').verdict(4).told()
    expect([before, story.verdict(2).told()]).toEqual([['committed 4'], ['committed 2', 'request 1']])
  })

  test('a slow turn is the end of it; a job, a suspect and what is large have to be the only ones', () => {
    const slow = quickly().done(2).done(3).take('m4')
    expect([canTake(slow.state), canTake(new Story().take('m1').quick(1).job('j').state)]).toEqual([false, false])
    const story = new Story().take('m1').quick(1).take('m2')
    story.told()
    const large = { body: `"${'x'.repeat(2 ** 14)}"` }
    expect(story.job('j').take('m3', { interruptions: 2 }).take('m4', { attempts: 3 }).take('m5', large).told()).toEqual([])
  })

  test('a death is the fault of what ran, not of what was handed', () => {
    const story = quickly().feed({ kind: 'exited', cause: 'crashed', error })
    expect(story.told().filter((one) => one.startsWith('commit'))).toEqual(['commit 2 retry in 200'])
  })

  test('a limit of time ends one turn, a lost lease everything', () => {
    const late = quickly().at(1_000)
    const lost = quickly().feed({ kind: 'lost' })
    expect([late.told(), lost.told()[0]]).toEqual([['abort TURN_TIMEOUT'], 'abort all LEASE_LOST'])
  })

  test('a stop lets what was handed run, and ends each of it at its time', () => {
    const story = quickly().feed({ kind: 'drain', abortAt: 100 }).quick(2)
    expect([canTake(story.state), story.state.running?.turn, story.at(100).told()]).toEqual([false, 3, ['commit 2 done', 'abort STOPPED']])
  })
})

describe('a failed attempt', () => {
  test('is tried again with backoff, then the message is dead', () => {
    const story = new Story().take('m').threw(1).take('m', { attempts: 1 }).threw(2).take('m', { attempts: 2 }).threw(3)
    expect(story.told().filter((one) => !one.startsWith('threw'))).toEqual([
      'run 1, attempt 1',
      'hold m 1 for 200',
      'commit 1 retry in 200',
      'run 2, attempt 2',
      'hold m 2 for 400',
      'commit 2 retry in 400',
      'run 3, attempt 3',
      'commit 3 dead attempts_exhausted',
    ])
  })

  test('says itself when to try again, or that nothing helps', () => {
    const story = new Story().take('m1').threw(1, { retryIn: 5_000 })
    for (const [at, code] of ['HANDLER_FAILED', 'BODY_INVALID', 'HANDLER_NOT_FOUND'].entries())
      story.take(`m${at}`).threw(at + 2, { isFinal: true, code })
    expect(story.told().filter((one) => one.startsWith('commit'))).toEqual([
      'commit 1 retry in 5000',
      'commit 2 dead fatal',
      'commit 3 dead body_invalid',
      'commit 4 dead handler_not_found',
    ])
  })

  test('of a job is left to its own backoff and attempts', () => {
    const story = new Story().job('j1', 2).threw(1).job('j2').threw(2, { retryIn: 70 }).job('j3').threw(3, { isFinal: true })
    expect(story.told().filter((one) => !one.startsWith('threw'))).toEqual([
      'run 1, attempt 2',
      'commit 1 retry counted',
      'run 2, attempt 1',
      'commit 2 retry in 70 counted',
      'run 3, attempt 1',
      'commit 3 dead fatal counted',
    ])
  })
})

describe('a verdict', () => {
  test('stale starts the actor again from the store, and what runs does not count', () => {
    const story = new Story().take('m1').done(1).take('m2').done(2).take('m3')
    story.told()
    const told = story.verdict(1, { kind: 'stale', reason: 'state' }).told()
    const late = story.verdict(2, { kind: 'stale', reason: 'follows' }).done(3).told()
    expect([told, late]).toEqual([['discard', 'abort all STOPPED', 'restart state', 'drained'], []])
  })

  test('failed counts as thrown; its followers were built on it and are handled again', () => {
    const story = new Story().take('m1').done(1, '1').take('m2').done(2, '2').take('m3')
    story.told()
    const told = story.verdict(1, { kind: 'failed', code: '23514', message: 'price -5' }).told()
    expect([told, story.verdict(1).told()]).toEqual([
      ['threw 1', 'discard', 'commit 1 retry in 200', 'abort all STOPPED', 'restart failed'],
      ['committed 1', 'drained'],
    ])
  })

  test('failed for the last time is the end of the message', () => {
    const story = new Story().take('m1', { attempts: 2 }).done(1)
    story.told()
    expect(story.verdict(1, { kind: 'failed', code: '23514', message: 'no' }).told()).toContain('commit 1 dead attempts_exhausted')
  })

  test('DECISIONS 13: about a full mailbox makes everything wait, in order, until the turn has had its time', () => {
    const story = new Story().take('m1').done(1).take('m2').done(2)
    story.told()
    const log = [story.full(1).told(), story.take('m3').done(3).told(), wakesAt(story.state)]
    log.push(story.at(250).told(), story.full(1).told(), wakesAt(story.state), story.at(750).told())
    log.push(story.verdict(1).take('m4').done(4).told(), story.full(2).told())
    story.now = 1_749
    log.push(story.full(2).told(), story.at(5_000).told(), story.full(2).told())
    expect(log).toEqual([
      ['discard'],
      ['run 3, attempt 1'],
      250,
      ['commit 1 done, 2 done, 3 done'],
      ['discard'],
      750,
      ['commit 1 done, 2 done, 3 done'],
      ['committed 1', 'run 4, attempt 1', 'commit 4 done'],
      ['discard'],
      ['discard'],
      ['commit 2 done, 3 done, 4 done'],
      ['threw 2', 'discard', 'commit 2 retry in 200', 'restart failed'],
    ])
  })
})

describe('time', () => {
  test('DECISIONS 16: a turn that takes too long is told so, and its thread ended if it does not listen', () => {
    const story = new Story().take('m1')
    story.told()
    const log: unknown[] = [wakesAt(story.state), story.at(999).told(), story.at(1_000).told(), wakesAt(story.state)]
    log.push(story.call(1, 1, 'ask').told(), story.at(5_999).told(), story.at(6_000).told(), story.at(7_000).told())
    expect(log).toEqual([1_000, [], ['abort TURN_TIMEOUT'], 6_000, [], [], ['kill'], []])
  })

  test('a type may have a time of its own', () => {
    const aborts = (story: Story) =>
      [story.at(299).told(), story.at(300).told()].map((told) => told.filter((one) => one.startsWith('abort')))
    expect(aborts(new Story().job('j1'))).toEqual([[], ['abort TURN_TIMEOUT']])
    expect(aborts(new Story().take('m1', { type: 'toString' }))).toEqual([[], []])
  })

  test('one that listens is one failed attempt; one that ends well after all is done', () => {
    const story = new Story().take('m1').at(1_000).threw(1).take('m2').at(2_000).done(2)
    expect(story.told().filter((one) => one.startsWith('commit'))).toEqual(['commit 1 retry in 200', 'commit 2 done'])
  })

  test('nothing starts while the lease is in doubt', () => {
    const story = new Story().take('m1').feed({ kind: 'pause' }).call(1, 1, 'ask').call(1, 2, 'stepFinish').call(1, 3, 'read')
    story.take('m2')
    const paused = [story.told(), canTake(story.state)]
    expect([...paused, story.feed({ kind: 'resume' }).told()]).toEqual([
      ['run 1, attempt 1', 'request 2', 'request 3'],
      false,
      ['request 1'],
    ])
  })
})

describe('a thread that dies', () => {
  const died = (story: Story, cause: 'crashed' | 'stopped' = 'crashed') => story.feed({ kind: 'exited', cause, error })

  test('costs what ran an attempt; what had ended is committed as it is', () => {
    const story = new Story().take('m1').done(1).take('m2')
    story.told()
    expect([died(story).told(), story.verdict(1).verdict(2).told()]).toEqual([
      ['threw 2', 'commit 2 retry in 200'],
      ['committed 1', 'committed 2', 'drained'],
    ])
  })

  test('for the third time with the same message: that is dead, and the actor comes up (case 97)', () => {
    const commits = [0, 1, 2].flatMap((attempts) => died(new Story().take('m', { attempts })).told())
    expect(commits.filter((one) => one.startsWith('commit'))).toEqual([
      'commit 1 retry in 200',
      'commit 1 retry in 400',
      'commit 1 dead poison',
    ])
  })

  test('stands even when the turns before it do not', () => {
    const story = died(new Story().take('m1').done(1).take('m2'))
    story.told()
    expect([story.verdict(1, { kind: 'stale', reason: 'state' }).told(), story.verdict(2).told()]).toEqual([
      ['discard', 'commit 2 retry in 200'],
      ['committed 2', 'drained'],
    ])
  })

  test('because somebody wanted it costs nothing; a job is given back', () => {
    const message = died(new Story().take('m'), 'stopped').told()
    expect([message, died(new Story().job('j'), 'stopped').told()]).toEqual([
      ['run 1, attempt 1', 'commit 1 retry in 1000 counted'],
      ['run 1, attempt 1', 'commit 1 released'],
    ])
  })

  test('while a mailbox is full comes up again: what did not fit is handled again', () => {
    const story = new Story().take('m1').done(1).full(1).take('m2')
    story.told()
    expect([died(story).told(), story.verdict(2).told()]).toEqual([
      ['discard', 'threw 2', 'commit 2 retry in 200'],
      ['committed 2', 'drained'],
    ])
  })
})

describe('a suspect message', () => {
  test('runs once it and all before it are committed; the attempt is counted before', () => {
    const story = new Story().take('m1').done(1).take('m2', { interruptions: 2 })
    const log = [story.told(), story.verdict(1).told(), story.verdict(2).told(), story.threw(2).told()]
    expect(log).toEqual([
      ['run 1, attempt 1', 'commit 1 done', 'commit 2 started'],
      ['committed 1'],
      ['committed 2', 'run 2, attempt 1'],
      ['hold m2 1 for 200', 'threw 2', 'commit 2 retry in 200 counted'],
    ])
  })

  test('that was counted as often as it may be tried is dead, not run', () => {
    expect(new Story().take('m', { attempts: 3, interruptions: 4 }).told()).toEqual(['commit 1 dead poison counted'])
  })

  test('is dead after its last attempt', () => {
    const story = new Story().take('m', { attempts: 2, interruptions: 2 }).verdict(1).threw(1)
    expect(story.told().at(-1)).toBe('commit 1 dead attempts_exhausted counted')
  })

  test('has no attempt less when a stop or a block keeps it from its end', () => {
    const suspect = () => new Story().take('m', { attempts: 1, interruptions: 2 }).verdict(1)
    const stopped = suspect().feed({ kind: 'drain', abortAt: 100 }).at(100).threw(1)
    const blocked = suspect().threw(1, { code: 'BUDGET_EXCEEDED' })
    const ended = suspect().feed({ kind: 'exited', cause: 'stopped', error })
    const crashed = suspect().feed({ kind: 'exited', cause: 'crashed', error })
    expect([stopped, blocked, ended, crashed].map((story) => story.told().slice(3))).toEqual([
      ['abort STOPPED', 'commit 1 retry in 1000 counted taken back'],
      ['blocked for 60000: no', 'hold m 1 for 60000', 'commit 1 retry in 60000 counted taken back'],
      ['commit 1 retry in 1000 counted taken back'],
      ['threw 1', 'commit 1 retry in 400 counted'],
    ])
  })

  test('waits while the lease is in doubt', () => {
    const story = new Story().take('m', { interruptions: 2 }).feed({ kind: 'pause' }).verdict(1)
    expect([story.told(), story.feed({ kind: 'resume' }).told()]).toEqual([['commit 1 started', 'committed 1'], ['run 1, attempt 1']])
  })
})

describe('the end', () => {
  test('a stop lets the turn finish, then tells it to, which counts nothing; what others sent goes first then', () => {
    const story = new Story().take('m1').feed({ kind: 'drain', abortAt: 100 })
    story.take('m2')
    const log: unknown[] = [story.told(), wakesAt(story.state), story.at(100).told(), wakesAt(story.state)]
    log.push(story.threw(1).told(), story.verdict(1).told())
    const givenBack = ['commit 1 retry in 1000 counted']
    expect(log).toEqual([['run 1, attempt 1'], 100, ['abort STOPPED'], undefined, givenBack, ['committed 1', 'drained']])
  })

  test('a stop does not save what is hopeless', () => {
    const story = new Story().take('m').feed({ kind: 'drain', abortAt: 0 }).at(1).threw(1, { isFinal: true })
    expect(story.told()).toContain('commit 1 dead fatal')
  })

  test('a job that stops is given back', () => {
    expect(new Story().job('j').feed({ kind: 'drain', abortAt: 0 }).at(1).threw(1).told()).toContain('commit 1 released')
  })

  test('an idle actor is drained at once, and nothing restarts one that stops', () => {
    const idle = new Story().feed({ kind: 'drain', abortAt: 0 }).told()
    const stale = new Story().take('m1').done(1).feed({ kind: 'drain', abortAt: 0 }).verdict(1, { kind: 'stale', reason: 'lease' }).told()
    expect([idle, stale]).toEqual([['drained'], ['run 1, attempt 1', 'commit 1 done', 'discard', 'drained']])
  })

  test('a lost lease ends everything', () => {
    const story = new Story().take('m1').done(1).take('m2')
    story.told()
    expect([story.feed({ kind: 'lost' }).told(), story.done(2).told()]).toEqual([['abort all LEASE_LOST', 'discard', 'drained'], []])
  })

  test('a lost job is told so and leaves nothing', () => {
    const story = new Story().job('j1').feed({ kind: 'jobLost', id: 'j2' }).feed({ kind: 'jobLost', id: 'j1' }).threw(1)
    expect([story.told(), canTake(story.state)]).toEqual([['run 1, attempt 1', 'abort LEASE_LOST'], true])
  })

  test('expired messages are dead, without an attempt', () => {
    expect(new Story().feed({ kind: 'expired', messages: [handled('m1'), handled('m2')] }).told()).toEqual([
      'commit 1 dead expired counted',
      'commit 2 dead expired counted',
    ])
  })
})

describe('init', () => {
  const init = (effects: Partial<Effects>) => new Story({ isReady: false }).feed({ kind: 'loaded', effects: { ...nothing, ...effects } })

  test('that saves something is committed before the actor is ready', () => {
    const story = init({ state: '{}' })
    story.take('m1')
    expect([story.told(), story.verdict(0).told(), story.take('m1').told()]).toEqual([
      ['commit 0 done state 0'],
      ['committed 0', 'ready'],
      ['run 1, attempt 1'],
    ])
  })

  test('that saves nothing is ready at once', () => {
    expect(init({}).told()).toEqual(['ready'])
  })

  test('that the store refuses is a failed start', () => {
    const failed = init({ state: '{}' }).verdict(0, { kind: 'failed', code: '22P02', message: 'no JSON' })
    const stale = init({ state: '{}' }).verdict(0, { kind: 'stale', reason: 'lease' })
    expect([failed.told().slice(1), stale.told().slice(1)]).toEqual([
      ['discard', 'refuse no JSON', 'drained'],
      ['discard', 'refuse Its turn is stale: lease', 'drained'],
    ])
  })
})

describe('who is blocked', () => {
  test('tries the same message again later, and no attempt is counted', () => {
    const story = new Story().take('m')
    story.told()
    story.threw(1, { code: 'BLOCKED', details: { reason: 'no key' } })
    expect(story.told()).toEqual(['blocked for 60000: no key', 'hold m 0 for 60000', 'commit 1 retry in 60000 counted'])
    expect(story.state.blocked).toEqual({ what: 'message note', reason: 'no key', until: 60_000 })
    story.take('m').done(2)
    expect(story.told()).toContain('unblocked')
    expect(story.state.blocked).toBe(undefined)
  })

  test('gives a reason that the database can hold', () => {
    const reasons = ['no\0key', 'half \ud83d', { toString: 1 }].map((reason) => {
      const story = new Story().take('m')
      story.threw(1, { code: 'BLOCKED', details: { reason } })
      return story.state.blocked?.reason
    })
    expect(reasons).toEqual(['no\u{FFFD}key', 'half \u{FFFD}', error.message])
  })

  test('gives a job back, and is not unblocked by what is of another type', () => {
    const story = new Story().job('j')
    story.told()
    story.threw(1, { code: 'BUDGET_EXCEEDED', details: { reason: 'spent', until: 4_999.5 } })
    expect(story.told()).toEqual(['blocked for 5000: spent', 'commit 1 released'])
    story.take('m').done(2)
    expect(story.state.blocked).toMatchObject({ reason: 'spent' })
    story.job('j').done(3)
    expect(story.state.blocked).toBe(undefined)
  })

  test('is none that wants no other attempt', () => {
    const story = new Story().take('m')
    story.told()
    story.threw(1, { code: 'BLOCKED', isFinal: true })
    expect(story.told().at(-1)).toContain('dead')
  })
})
