import assert from 'node:assert/strict'
import type { Event } from '../../src/core/events.ts'
import type { Exit } from '../../src/core/exit.ts'
import type { History } from '../../src/core/history.ts'
import type { TeamSpec } from '../../src/core/spec.ts'
import { reduce } from '../../src/core/supervisor.ts'
import { createTeam, type Effect, type Input, type Result, type Team } from '../../src/core/team.ts'
import { start } from './specs.ts'

/** How a child behaves in one incarnation; what is left out happens at once and well. */
export type Part = {
  start?: 'ready' | 'fail' | 'ignore' | 'hang'
  /** Ms until it has its thread; Infinity never gets one. */
  beginIn?: number
  /** Ms until it is ready, has failed or has declined. */
  startIn?: number
  /** Ms from the request to stop to its end; Infinity ignores the request. */
  stopIn?: number
  stopsWith?: Exit
  /** It crashes by itself this many ms after it was ready. */
  crashIn?: number
  /** Ms from a kill to the news of it. */
  killIn?: number
}

export type Options = {
  history?: History
  random?: number
  /** Specs of children that are teams themselves, by id. */
  teams?: Record<string, TeamSpec>
  /** How children behave for which nothing was scripted. */
  part?: (id: string) => Part
  /** What children answer at once is read before other news, as in OTP, where a supervisor does one thing to its end. */
  answersFirst?: boolean
}

type SetTimer = Extract<Effect, { kind: 'setTimer' }>
type Thread = { team: TeamRun; id: string; incarnation: number; part: Part; isAlive: boolean; isAsked: boolean; inner: TeamRun | undefined }
type TeamRun = { state: Team; threads: Map<string, Thread>; timers: Map<string, SetTimer>; within: Thread | undefined }

/** Plays a team's children by script on a clock that only `run` moves, and writes down what they live through. */
export function simulate(spec: TeamSpec, options: Options = {}) {
  const tasks: { at: number; isAnswer: boolean; act: () => void }[] = []
  const scripts = new Map<string, Part[]>()
  const replies = new Map<string, Result>()
  const asked = new Set<string>()
  const log: { at: number; what: string }[] = []
  const events: Event[] = []
  let now = 0
  let exit: Exit | undefined
  const root = createRun(spec, undefined)

  function createRun(of: TeamSpec, within: Thread | undefined): TeamRun {
    return { state: createTeam(of, within ? undefined : options.history), threads: new Map(), timers: new Map(), within }
  }

  function note(what: string): void {
    log.push({ at: now, what })
  }

  function later(delay: number, act: () => void, isAnswer = false): void {
    if (delay === Number.POSITIVE_INFINITY) return
    const at = now + delay
    const comesFirst = isAnswer && options.answersFirst === true
    const index = tasks.findIndex((task) => task.at > at || (comesFirst && task.at === at && !task.isAnswer))
    tasks.splice(index < 0 ? tasks.length : index, 0, { at, isAnswer, act })
  }

  function send(team: TeamRun, input: Input): void {
    const { team: state, effects } = reduce(team.state, input, { now, random: options.random ?? 0 })
    team.state = freeze(state)
    for (const effect of effects) perform(team, effect)
  }

  function perform(team: TeamRun, effect: Effect): void {
    switch (effect.kind) {
      case 'startChild':
        return startThread(team, effect)
      case 'stopChild':
        return stopThread(threadOf(team, effect))
      case 'killChild':
        return killThread(threadOf(team, effect))
      case 'setTimer': {
        team.timers.set(effect.id, effect)
        return later(effect.at - now, () => fire(team, effect))
      }
      case 'clearTimer':
        assert.ok(team.timers.delete(effect.id), `there is a timer of ${effect.id} to clear`)
        return
      case 'emit':
        events.push(effect.event)
        return
      case 'reply':
        assert.ok(!replies.has(effect.to), `${effect.to} is answered once`)
        replies.set(effect.to, effect.result)
        if (team.within && effect.result.kind === 'done') become(team.within, 'ready')
        return
      case 'exit':
        return endTeam(team, effect.exit)
    }
  }

  function fire(team: TeamRun, timer: SetTimer): void {
    // One that was cleared and set again is another one, even when it is due at the same time.
    if (team.timers.get(timer.id) !== timer) return
    team.timers.delete(timer.id)
    send(team, { kind: 'fired', id: timer.id, at: timer.at })
  }

  function startThread(team: TeamRun, { id, incarnation }: { id: string; incarnation: number }): void {
    assert.ok(!team.threads.get(id)?.isAlive, `${id} has one live incarnation`)
    const part = scripts.get(id)?.shift() ?? options.part?.(id) ?? {}
    const thread: Thread = { team, id, incarnation, part, isAlive: true, isAsked: false, inner: undefined }
    team.threads.set(id, thread)
    const inner = options.teams?.[id]
    if (inner) {
      thread.inner = createRun(inner, thread)
      const to = `boot of ${id} ${incarnation}.${log.length}`
      asked.add(to)
      return send(thread.inner, { kind: 'start', to })
    }
    const { beginIn = 0 } = part
    later(beginIn, () => thread.isAlive && send(team, { kind: 'begun', id, incarnation }), true)
    if (part.start !== 'hang') later(beginIn + (part.startIn ?? 0), () => become(thread, part.start ?? 'ready'), true)
  }

  function become(thread: Thread, outcome: 'ready' | 'fail' | 'ignore' | 'hang'): void {
    const { team, id, incarnation, part } = thread
    if (!thread.isAlive || thread.isAsked) return
    if (outcome === 'fail') return end(thread, `fail ${id}`, 'start_failed', 'no luck')
    if (outcome === 'ignore') {
      thread.isAlive = false
      note(`ignore ${id}`)
      return send(team, { kind: 'ignored', id, incarnation })
    }
    note(`start ${id}`)
    send(team, { kind: 'ready', id, incarnation })
    if (part.crashIn !== undefined) later(part.crashIn, () => thread.isAsked || end(thread, `die ${id}`, 'crash'))
  }

  function stopThread(thread: Thread): void {
    if (!thread.isAlive) return
    thread.isAsked = true
    if (thread.inner) return send(thread.inner, { kind: 'stop' })
    const { id, part } = thread
    later(part.stopIn ?? 0, () => end(thread, `stop ${id}`, part.stopsWith ?? 'shutdown'), true)
  }

  function killThread(thread: Thread): void {
    if (!thread.isAlive) return
    thread.isAsked = true
    if (thread.inner) return send(thread.inner, { kind: 'kill' })
    later(thread.part.killIn ?? 0, () => end(thread, `kill ${thread.id}`, 'crash'), true)
  }

  function end(thread: Thread, what: string, how: Exit, detail?: string): void {
    if (!thread.isAlive) return
    thread.isAlive = false
    note(what)
    const { team, id, incarnation } = thread
    send(team, { kind: 'exited', id, incarnation, exit: how, ...(detail === undefined ? {} : { detail }) })
  }

  function endTeam(team: TeamRun, how: Exit): void {
    assert.deepEqual([...team.timers], [], 'a team that has ended leaves no timers')
    assert.ok(![...team.threads.values()].some((thread) => thread.isAlive), 'a team that has ended leaves no threads')
    if (!team.within) {
      exit = how
      return
    }
    // Its supervisor learns of it as of any exit: later.
    const thread = team.within
    later(0, () => end(thread, `end ${thread.id} ${how}`, how))
  }

  function threadOf(team: TeamRun, { id, incarnation }: { id: string; incarnation: number }): Thread {
    const thread = team.threads.get(id)
    assert.ok(thread && thread.incarnation === incarnation, `${id} ${incarnation} exists`)
    return thread
  }

  /** The youngest thread of that id, in whatever team. */
  function find(id: string, team: TeamRun = root): Thread | undefined {
    const own = team.threads.get(id)
    if (own) return own
    for (const { inner } of team.threads.values()) {
      const found = inner && find(id, inner)
      if (found) return found
    }
    return undefined
  }

  /** Lets ms pass, with everything that is due. */
  function run(ms = 0): void {
    const end = now + ms
    for (let steps = 0; tasks[0] && tasks[0].at <= end; steps += 1) {
      assert.ok(steps < 100_000, 'the team comes to rest')
      const task = tasks.shift()
      now = task?.at ?? now
      task?.act()
    }
    now = end
  }

  /** Asks for something and returns the key of its reply. */
  function request(build: (to: string) => Input): string {
    const to = `request ${asked.size}`
    asked.add(to)
    send(root, build(to))
    return to
  }

  return {
    events,
    run,
    /** How the children behave in their next starts, one part for each. */
    script(id: string, ...parts: Part[]): void {
      scripts.set(id, [...(scripts.get(id) ?? []), ...parts])
    },
    /** Asks for something, lets what follows at once happen, and returns the reply if it is there. */
    ask(build: (to: string) => Input): Result | undefined {
      const to = request(build)
      run()
      return replies.get(to)
    },
    /** Asks for something and lets nothing happen yet; the function returned gives the reply once it is there. */
    call(build: (to: string) => Input): () => Result | undefined {
      const to = request(build)
      return () => replies.get(to)
    },
    /** Ends children at the same moment, before the supervisor can look, and lets what follows at once happen. */
    die(ids: string, how: Exit = 'crash'): void {
      const dying = ids.split(' ').map((id) => find(id))
      for (const thread of dying) {
        assert.ok(thread?.isAlive, `one of ${ids} can die`)
        thread.isAlive = false
        note(`die ${thread.id}`)
        const { team, id, incarnation } = thread
        later(0, () => send(team, { kind: 'exited', id, incarnation, exit: how }))
      }
      run()
    },
    /** Sends a signal as it is, true or not. */
    signal(input: Input): void {
      send(root, input)
      run()
    },
    /** What has happened since the last time this was read. */
    ev(): string {
      return log
        .splice(0)
        .map(({ what }) => what)
        .join(', ')
    },
    /** The same with the time of each. */
    timed(): string {
      return log
        .splice(0)
        .map(({ at, what }) => `${at} ${what}`)
        .join(', ')
    },
    /** All children with their status, in order. */
    list(): string {
      return root.state.children.map(({ spec: { id }, status }) => `${id} ${status}`).join(', ')
    },
    incarnation: (id: string): number | undefined => find(id)?.incarnation,
    isAlive: (id: string): boolean => find(id)?.isAlive ?? false,
    timers: (): string[] => [...root.timers.keys()],
    unanswered: (): string[] => [...asked].filter((to) => !replies.has(to)),
    get now(): number {
      return now
    },
    get exit(): Exit | undefined {
      return exit
    },
    get team(): Team {
      return root.state
    },
  }
}

export type Simulation = ReturnType<typeof simulate>

/** Starts a team and forgets what that looked like. */
export function started(spec: TeamSpec, options?: Options): Simulation {
  const team = simulate(spec, options)
  team.ask(start)
  team.ev()
  return team
}

/** A state that somebody changes in place is a defect wherever it happens: here it throws. */
function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const each of Object.values(value)) freeze(each)
  }
  return value
}
