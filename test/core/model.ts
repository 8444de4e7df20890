import type { ChildSpec, TeamSpec } from '../../src/core/spec.ts'

export type Outcome = 'ready' | 'fail' | 'ignore'

type Kid = {
  spec: ChildSpec
  is: 'up' | 'down' | 'waiting' | 'parked'
  /** When it stops waiting or being parked, and its place among the dates that the team has set so far. */
  due: { at: number; order: number }
  /** It has a place in the change that is under way: it starts when those before it have. */
  pending: boolean
  /** It is paused: nothing but a restart by command starts it. */
  held: boolean
  upSince: number
  exits: number
  parkings: number
}

/**
 * The rules of supervision told as a plain story: a list of children, changed in place, one thing at a time. Children start and
 * stop in no time, so a whole round of restarts is a loop here, where the supervisor is a machine that is told of each step.
 */
export class Model {
  readonly log: string[] = []
  exit: string | undefined
  now = 0
  kids: Kid[]
  readonly #random: number
  readonly #outcomes = new Map<string, Outcome[]>()
  readonly #ended = new Map<string, string>()
  /** Every wait before a restart that there ever was, and who had a part in it. */
  readonly #waits: { ms: number; ids: string[] }[] = []
  /** Restarts that still count, each with how many waits there were before it. */
  #grants: { id: string; at: number; waitsBefore: number }[] = []
  /** Children that are starting at this very moment; only one_for_one ever has two. */
  #starting: { kid: Kid; outcome: Outcome; isNext: boolean }[] = []
  #dates = 0
  #spec: TeamSpec

  constructor(spec: TeamSpec, random: number) {
    this.#spec = spec
    this.#random = random
    this.kids = spec.children.map(createKid)
  }

  script(id: string, outcomes: Outcome[]): void {
    this.#outcomes.set(id, [...(this.#outcomes.get(id) ?? []), ...outcomes])
  }

  start(): string {
    for (const kid of [...this.kids]) {
      const outcome = this.#nextOutcome(kid)
      this.#become(kid, outcome)
      if (outcome !== 'fail') continue
      this.#endWith('start_failed')
      return 'failed'
    }
    return 'done'
  }

  stop(): string {
    this.#endWith('shutdown')
    return 'done'
  }

  list(): string {
    const names = { up: 'running', down: 'stopped', waiting: 'waiting', parked: 'quarantined' }
    return this.kids.map(({ spec, is }) => `${spec.id} ${names[is]}`).join(', ')
  }

  /** Ends one or two children at the same moment. */
  die(ids: string[], isClean: boolean): void {
    const dying = ids.flatMap((id) => this.kids.filter((kid) => kid.spec.id === id))
    for (const kid of dying) {
      this.#note('die', kid)
      this.#goDown(kid)
    }
    const unseen = new Set(dying)
    for (const kid of dying) {
      // One that a round has taken along in the meantime is old news.
      if (!unseen.delete(kid)) continue
      if (this.exit === undefined) this.#judge(kid, isClean, unseen)
      else if (kid.spec.restart === 'temporary') this.#retire(kid)
      this.#settle()
    }
  }

  pass(ms: number): void {
    const end = this.now + ms
    for (;;) {
      const timed = this.kids.filter(({ is, due }) => (is === 'waiting' || is === 'parked') && due.at <= end)
      const next = timed.sort((one, other) => one.due.at - other.due.at || one.due.order - other.due.order)[0]
      if (next === undefined) break
      this.now = next.due.at
      if (next.is === 'parked') next.pending = true
      next.is = 'down'
      if (!next.pending) this.#begin(next, false)
      this.#settle()
    }
    this.now = end
  }

  /** Ids of those that are paused. */
  held(): string[] {
    return this.kids.filter(({ held }) => held).map(({ spec }) => spec.id)
  }

  pause(id: string): string {
    const kid = this.#find(id)
    if (kid && this.exit === undefined) kid.held = true
    return this.terminate(id)
  }

  terminate(id: string): string {
    const kid = this.#find(id)
    if (this.exit !== undefined) return 'team_down'
    if (!kid) return 'not_found'
    if (kid.is === 'up') {
      this.#goDown(kid)
      this.#note('stop', kid)
    }
    if (kid.is === 'parked') this.#forgive(kid)
    kid.is = 'down'
    kid.pending = false
    if (kid.spec.restart === 'temporary' && !kid.held) this.#retire(kid)
    this.#settle()
    return 'done'
  }

  restart(id: string): string {
    const kid = this.#find(id)
    const refusal = this.#refusal(kid)
    if (kid === undefined || refusal !== undefined) return refusal ?? 'not_found'
    kid.held = false
    this.#forgive(kid)
    const outcome = this.#nextOutcome(kid)
    this.#become(kid, outcome)
    return { ready: 'done', ignore: 'ignored', fail: 'failed' }[outcome]
  }

  renew(id: string): string {
    const kid = this.#find(id)
    if (this.exit !== undefined) return 'team_down'
    if (!kid) return 'not_found'
    kid.held = false
    this.#takeOut(kid)
    this.#forgive(kid)
    this.#settle()
    return 'done'
  }

  outdated(id: string): void {
    const kid = this.#find(id)
    if (this.exit !== undefined || kid?.is !== 'up') return
    this.#takeOut(kid)
    this.#settle()
  }

  remove(id: string): string {
    const kid = this.#find(id)
    const refusal = this.#refusal(kid)
    if (kid === undefined || refusal !== undefined) return refusal ?? 'not_found'
    this.#drop(kid)
    return 'done'
  }

  add(spec: ChildSpec): string {
    if (this.exit !== undefined) return 'team_down'
    const present = this.#find(spec.id)
    if (present) return present.is === 'up' ? 'already_started' : 'already_present'
    const kid = createKid(spec)
    this.kids.push(kid)
    const outcome = this.#nextOutcome(kid)
    this.#become(kid, outcome)
    if (outcome === 'fail') this.#drop(kid)
    return { ready: 'done', ignore: 'ignored', fail: 'failed' }[outcome]
  }

  apply(spec: TeamSpec, held: readonly string[]): string {
    if (this.exit !== undefined) return 'team_down'
    this.#spec = spec
    const version = (id: string) => spec.children.find((child) => child.id === id)?.version
    for (const [id, ended] of [...this.#ended]) if (version(id) !== ended) this.#ended.delete(id)
    const gone = this.kids.filter((kid) => version(kid.spec.id) === undefined)
    const changed: Kid[] = []
    const wanted = spec.children.flatMap((child) => {
      const kid = this.#find(child.id)
      if (kid === undefined && this.#ended.has(child.id)) return []
      if (kid?.spec.version === child.version) return [kid]
      const renewed = kid ?? { ...createKid(child), held: held.includes(child.id) }
      changed.push(renewed)
      return [renewed]
    })
    for (const kid of [...gone.toReversed(), ...wanted.filter((kid) => changed.includes(kid)).toReversed()]) {
      if (kid.is === 'up') this.#note('stop', kid)
      Object.assign(kid, { is: 'down', pending: changed.includes(kid) && !kid.held, exits: 0, parkings: 0 })
    }
    for (const kid of wanted) kid.spec = spec.children.find(({ id }) => id === kid.spec.id) ?? kid.spec
    for (const kid of gone) this.#drop(kid)
    this.kids = wanted
    this.#settle()
    return 'planned'
  }

  /** Starts whoever has a place in the change, one after the other, with those that are restarted on their own. */
  #settle(): void {
    while (this.exit === undefined) {
      const queue = this.kids.filter(({ pending }) => pending)
      const isHeldUp = queue.some(({ is }) => is === 'waiting') || this.#starting.some(({ isNext }) => isNext)
      if (queue[0] && !isHeldUp) this.#begin(queue[0], true)
      const start = this.#starting.shift()
      if (start === undefined) return
      if (start.isNext) start.kid.pending = false
      this.#become(start.kid, start.outcome)
      if (start.outcome === 'fail') this.#judge(start.kid, false)
    }
  }

  #begin(kid: Kid, isNext: boolean): void {
    this.#starting.push({ kid, outcome: this.#nextOutcome(kid), isNext })
  }

  #judge(kid: Kid, isClean: boolean, unseen: Set<Kid> = new Set()): void {
    const { id, restart, budget } = kid.spec
    if (restart === 'temporary') return this.#retire(kid)
    if (restart === 'transient' && isClean) return this.#forgive(kid)
    kid.exits += 1
    if (kid.exits >= budget) return this.#park(kid)
    this.#grants = this.#grants.filter((grant) => this.#ageOf(grant) < this.#spec.intensity.within)
    if (this.#grants.length >= this.#spec.intensity.max) return this.#endWith('gave_up')
    const delay = this.#delayFor(kid)
    const round = this.#roundOf(kid)
    this.#grants.push({ id, at: this.now, waitsBefore: this.#waits.length })
    this.#waits.push({ ms: delay, ids: round.map(({ spec }) => spec.id) })
    if (this.#spec.strategy !== 'one_for_one') this.#takeDown(round, unseen)
    if (delay > 0) this.#date(kid, 'waiting', delay)
    else if (!kid.pending) this.#begin(kid, false)
  }

  /** What a restart has aged: the time since, without the waits since then in which its child had a part. */
  #ageOf({ id, at, waitsBefore }: { id: string; at: number; waitsBefore: number }): number {
    const waits = this.#waits.slice(waitsBefore).filter(({ ids }) => ids.includes(id))
    return this.now - at - waits.reduce((sum, { ms }) => sum + ms, 0)
  }

  #delayFor({ exits, spec }: Kid): number {
    let wait = spec.backoff.first
    for (let exit = 1; exit < exits; exit += 1) wait = Math.min(spec.backoff.max, wait * 2)
    return Math.round(wait - wait * spec.backoff.jitter * this.#random)
  }

  #roundOf(kid: Kid): Kid[] {
    if (this.#spec.strategy === 'one_for_one') return [kid]
    return this.#spec.strategy === 'one_for_all' ? this.kids : this.kids.slice(this.kids.indexOf(kid))
  }

  #takeDown(round: Kid[], unseen: Set<Kid>): void {
    for (const kid of round.toReversed()) {
      const wasUp = kid.is === 'up'
      if (wasUp) {
        this.#goDown(kid)
        this.#note('stop', kid)
      }
      if (kid.is === 'parked' || kid.held) continue
      if (kid.spec.restart === 'temporary' && (wasUp || unseen.has(kid))) this.#retire(kid)
      else kid.pending = true
      unseen.delete(kid)
    }
  }

  #park(kid: Kid): void {
    kid.parkings += 1
    let time = kid.spec.quarantine.first
    for (let times = 1; times < kid.parkings; times += 1) time = Math.min(kid.spec.quarantine.max, time * 2)
    this.#date(kid, 'parked', time)
  }

  #date(kid: Kid, is: 'waiting' | 'parked', delay: number): void {
    this.#dates += 1
    Object.assign(kid, { is, due: { at: this.now + delay, order: this.#dates } })
  }

  #endWith(exit: string): void {
    if (this.exit !== undefined) return
    this.exit = exit
    const starting = this.#starting.splice(0)
    const alive = this.kids.filter((kid) => kid.is === 'up' || starting.some((start) => start.kid === kid))
    // The last one is asked at once, and if it was about to start, it never does; the others get there first.
    const last = alive.at(-1)
    for (const { kid, outcome } of starting) if (kid !== last) this.#become(kid, outcome)
    for (const kid of alive.toReversed()) if (kid === last || kid.is === 'up') this.#note('stop', kid)
    for (const kid of [...this.kids]) {
      const ended = kid.is === 'up' || kid === last
      Object.assign(kid, { is: 'down', pending: false })
      if (ended && kid.spec.restart === 'temporary') this.#retire(kid)
    }
  }

  #become(kid: Kid, outcome: Outcome): void {
    this.#note({ ready: 'start', ignore: 'ignore', fail: 'fail' }[outcome], kid)
    kid.is = outcome === 'ready' ? 'up' : 'down'
    if (outcome === 'ready') kid.upSince = this.now
    if (outcome === 'ignore' && kid.spec.restart === 'temporary') this.#retire(kid)
  }

  /** It is started anew when those before it have been. */
  #takeOut(kid: Kid): void {
    if (kid.is === 'up') {
      this.#goDown(kid)
      this.#note('stop', kid)
    }
    Object.assign(kid, { is: 'down', pending: true })
  }

  #goDown(kid: Kid): void {
    kid.is = 'down'
    if (this.now - kid.upSince >= kid.spec.backoff.reset) this.#forgive(kid)
  }

  #forgive(kid: Kid): void {
    Object.assign(kid, { exits: 0, parkings: 0 })
  }

  #retire(kid: Kid): void {
    this.#drop(kid)
    this.#ended.set(kid.spec.id, kid.spec.version)
  }

  #drop(kid: Kid): void {
    this.#ended.delete(kid.spec.id)
    this.kids = this.kids.filter((other) => other !== kid)
  }

  #refusal(kid: Kid | undefined): string | undefined {
    if (this.exit !== undefined) return 'team_down'
    if (kid === undefined) return 'not_found'
    if (kid.is === 'waiting' || kid.pending) return 'restarting'
    return kid.is === 'up' ? 'running' : undefined
  }

  #find(id: string): Kid | undefined {
    return this.kids.find(({ spec }) => spec.id === id)
  }

  #nextOutcome({ spec }: Kid): Outcome {
    return this.#outcomes.get(spec.id)?.shift() ?? 'ready'
  }

  #note(what: string, { spec }: Kid): void {
    this.log.push(`${this.now} ${what} ${spec.id}`)
  }
}

function createKid(spec: ChildSpec): Kid {
  return { spec, is: 'down', due: { at: 0, order: 0 }, pending: false, held: false, upSince: 0, exits: 0, parkings: 0 }
}
