import type { Order, Way } from './actors/account.ts'

/** A source of chance that a seed makes again. */
export type Chance = {
  /** From 0 up to, but not, 1. */
  next(): number
  /** A whole number in a range, both ends in it. */
  between(least: number, most: number): number
  pick<Value>(values: readonly Value[]): Value
}

export function chanceOf(seed: number): Chance {
  let state = seed >>> 0
  function next(): number {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const between = (least: number, most: number) => least + Math.floor(next() * (most - least + 1))
  return { next, between, pick: (values) => values[between(0, values.length - 1)] as (typeof values)[number] }
}

/** The bank: twenty accounts, of which the last ones may be harmed. */
export const opening = 10_000
export const victims = ['victim-1', 'victim-2', 'victim-3'] as const
export const neighbours = Array.from({ length: 17 }, (_, index) => `account-${index + 1}`)
export const accounts = [...neighbours, ...victims]
/** They take part in nothing, so that how fast they answer depends on nobody's work. */
const bystanders = ['bystander-1', 'bystander-2']

export const hops = 8
const ways: readonly Way[] = ['tell', 'tell', 'tell', 'now', 'ask', 'job', 'timer', 'step', 'once']

/** The n-th order: a way through eight other accounts. */
export function orderOf(n: number, chance: Chance): Order {
  const route = [chance.pick(accounts)]
  while (route.length <= hops) route.push(chance.pick(accounts.filter((name) => name !== route.at(-1))))
  return { n, hop: 0, amount: chance.between(1, 9), route, ways: Array.from({ length: hops }, () => chance.pick(ways)) }
}

export type BankOptions = {
  /** The file of effects. */
  readonly effects: string
  readonly leases: { readonly agents: number; readonly jobs: number }
  /** Whether somebody asks the accounts all the time. */
  readonly isProbed?: boolean
}

/** The config that runs it. Restarts are fast and have no budget: how often a victim dies is the test's doing. */
export function bankConfig({ effects, leases, isProbed = false }: BankOptions): object {
  const probe = { id: 'probe', type: 'probe', args: { accounts: bystanders, every: 200 }, maxAttempts: 50 }
  const common = { type: 'account', args: { effects, opening }, maxAttempts: 50 }
  const hardy = { backoff: { first: '20ms', max: '100ms' }, budget: 10_000, hangAfter: '1s', memory: { soft: '96MB', poll: '50ms' } }
  return {
    name: 'bank',
    leases,
    teams: [
      {
        id: 'bank',
        intensity: { max: 10_000, within: '60s' },
        agents: [
          { ...common, id: 'account', replicas: neighbours.length },
          { ...common, ...hardy, id: 'victim', replicas: victims.length },
          ...(isProbed ? [{ id: 'bystander', type: 'bystander', replicas: bystanders.length }, probe] : []),
        ],
      },
    ],
  }
}
