import type { AgentSpec } from '../core/agent.ts'
import type { Event } from '../core/events.ts'
import type { JsonText } from '../core/message.ts'

/** What a process gets with an agent's lease. */
export type Claim = {
  readonly token: number
  readonly state: { readonly version: number; readonly value: JsonText } | null
  readonly supervision: Readonly<Record<string, unknown>> | undefined
}

/** What the store says to a process that wants an agent. */
export type Taken = ({ readonly verdict: 'ok' } & Claim) | Busy

type Busy = {
  readonly verdict: 'busy' | 'older' | 'invalid'
  readonly holder: string | undefined
  /** Ms until its lease runs out, unless its holder renews it. */
  readonly freeIn: number | undefined
  /** What the store has against it. */
  readonly error?: string | undefined
}

/** Since when, in ms since 1970, this process cannot have an agent, and who has it. */
export type Refused = {
  readonly why: Busy['verdict']
  readonly holder: string | undefined
  readonly error?: string | undefined
  readonly since: number
}

/** The agents that this process may run, and those that it stands by for. */
export type Holdings = {
  has(id: string): boolean
  ids(): readonly string[]
  /** Who has an agent that this process stands by for. */
  refusal(id: string): Refused | undefined
  /** The instance of the same entry that this process has: for its sake others are not asked for. */
  instead(id: string): string | undefined
  /** Takes whatever is wanted and free; resolves with the agents that it got. */
  takeMissing(): Promise<readonly string[]>
  /** What the next incarnation starts from: under a token of its own. Undefined: the agent is another's now. */
  claim(spec: AgentSpec): Promise<Claim | undefined>
  /** It is another's now. */
  lose(id: string): void
  /** Forgets an agent that was given back. */
  drop(id: string): void
}

export type HoldingsOptions = {
  /** What is wanted now. */
  readonly wanted: () => readonly AgentSpec[]
  /** Agents of which a process runs one for each entry, by id. */
  readonly instances: () => ReadonlyMap<string, string>
  readonly take: (specs: readonly AgentSpec[]) => Promise<readonly (Taken | undefined)[]>
  /** What came with the lease of an agent that nobody here ran before. */
  readonly onTaken: (spec: AgentSpec, claim: Claim) => void
  readonly emit: (event: Event) => void
}

/** Keeps the books of leases; renewing them is not its business. */
export function createHoldings({ wanted, instances, take, onTaken, emit }: HoldingsOptions): Holdings {
  /** A claim is there until an incarnation has used it. */
  const held = new Map<string, Claim | undefined>()
  const refused = new Map<string, Refused>()

  function note({ id, team }: AgentSpec, { verdict: why, holder, error }: Busy): void {
    const before = refused.get(id)
    if (before?.why === why && before.holder === holder) return
    refused.set(id, { why, holder, error, since: Date.now() })
    emit({ name: 'lease:refused', team, id, why, holder, error })
  }

  async function takeAll(specs: readonly AgentSpec[]): Promise<string[]> {
    if (specs.length === 0) return []
    const answers = await take(specs)
    return specs.flatMap((spec, index) => {
      const answer = answers[index]
      if (answer === undefined) return []
      if (answer.verdict !== 'ok') {
        note(spec, answer)
        return []
      }
      refused.delete(spec.id)
      held.set(spec.id, answer)
      onTaken(spec, answer)
      return [spec.id]
    })
  }

  function instanceOf(entry: string): string | undefined {
    return [...held.keys()].find((id) => instances().get(id) === entry)
  }

  /** The lowest instance that is free, unless there is one here already. */
  async function takeOne(specs: readonly AgentSpec[], entry: string): Promise<string[]> {
    if (instanceOf(entry) !== undefined) return []
    for (const spec of specs) {
      const taken = await takeAll([spec])
      if (taken.length > 0) return taken
    }
    return []
  }

  return {
    has: (id) => held.has(id),
    ids: () => [...held.keys()],
    refusal: (id) => refused.get(id),
    instead(id) {
      const entry = instances().get(id)
      return entry === undefined || held.has(id) ? undefined : instanceOf(entry)
    },
    async takeMissing() {
      const missing = wanted().filter(({ id }) => !held.has(id))
      const entries = Map.groupBy(missing, ({ id }) => instances().get(id))
      const taken = await takeAll(entries.get(undefined) ?? [])
      for (const [entry, specs] of entries) if (entry !== undefined) taken.push(...(await takeOne(specs, entry)))
      return taken
    },
    async claim(spec) {
      // It was given back, or lost, and its supervisor has yet to hear of that.
      if (!held.has(spec.id)) return undefined
      const claim = held.get(spec.id)
      if (claim) {
        held.set(spec.id, undefined)
        return claim
      }
      const [answer] = await take([spec])
      if (answer?.verdict === 'ok') {
        held.set(spec.id, undefined)
        return answer
      }
      held.delete(spec.id)
      if (answer) note(spec, answer)
      return undefined
    },
    lose(id) {
      held.delete(id)
    },
    drop(id) {
      held.delete(id)
      refused.delete(id)
    },
  }
}
