import { ActorError } from '../core/errors.ts'
import type { LlmSettings } from '../sources/llm-settings.ts'
import { abortable } from '../store/abortable.ts'
import {
  type Account,
  type Amount,
  accountAt,
  judge,
  type Limits,
  reserve,
  settle,
  type Verdict,
  windowEnd,
  windowStart,
} from './llm-budget.ts'
import { createPages, type RecordUsage, type Window } from './llm-pages.ts'
import type { Caller } from './service.ts'

type Scope = keyof LlmSettings['budget']
type Share = {
  readonly scope: Scope
  readonly key: string
  readonly of: Pick<Window, 'scope' | 'id'>
  readonly name: string
  readonly limits: Limits
}

/** Books a call; to be called once, with what it took. */
export type Settle = (taken: Amount) => void

/** Keeps the budgets of all agents and teams; without `record` those of this process only. */
export function createLedger(budget: LlmSettings['budget'], now: () => number, record: RecordUsage | undefined) {
  const accounts = new Map<string, Account>()
  const pages = record && createPages(record, onTotal, now)
  let settled = Promise.withResolvers<void>()

  function sharesOf({ agent, team }: Caller): readonly Share[] {
    const shares: readonly (Omit<Share, 'limits'> & { readonly limits: Limits | undefined })[] = [
      { scope: 'perAgent', key: `agent ${agent}`, of: { scope: 'agent', id: agent }, name: `${agent} has used`, limits: budget.perAgent },
      {
        scope: 'perTeam',
        key: `team ${team}`,
        of: { scope: 'team', id: team },
        name: `the agents of team ${team} have used`,
        limits: budget.perTeam,
      },
    ]
    return shares.filter((share): share is Share => share.limits !== undefined)
  }

  const accountOf = ({ key, limits }: Share) => accountAt(accounts.get(key), limits, now())
  const judged = (share: Share, most: Amount): Verdict => judge(accountOf(share), share.limits, most)

  function windowOf({ of, limits, ...share }: Share): Window {
    return { ...of, every: limits.every, start: windowStart(accountOf({ of, limits, ...share }), limits) }
  }

  function onTotal({ scope, id, start }: Window, spent: Amount): void {
    const key = `${scope} ${id}`
    const account = accounts.get(key)
    const limits = scope === 'agent' ? budget.perAgent : budget.perTeam
    if (account && limits && windowStart(account, limits) === start) accounts.set(key, { ...account, spent })
  }

  function book(shares: readonly Share[], change: (account: Account) => Account): void {
    for (const share of shares) accounts.set(share.key, change(accountOf(share)))
  }

  return {
    /** Resolves when the store has what was used, or is away. */
    close: async (): Promise<void> => pages?.flush(),
    /** Whether a price has to be known for what this caller asks. */
    countsUsd: (caller: Caller): boolean => sharesOf(caller).some(({ limits }) => limits.usd !== undefined),
    /**
     * Sets the most that a call may take aside, as soon as the calls under way leave room for it. BUDGET_EXCEEDED when there is none,
     * MODEL_FAILED when there never is.
     */
    async reserve(caller: Caller, most: Amount, signal: AbortSignal): Promise<Settle> {
      const shares = sharesOf(caller)
      // The account has to be there for what the store says of it.
      book(shares, (account) => account)
      if (pages !== undefined) await abortable(pages.know(shares.map(windowOf)), signal)
      for (;;) {
        const verdicts = shares.map((share) => ({ share, verdict: judged(share, most) }))
        for (const { share, verdict } of verdicts) if (verdict.kind === 'exceeded') throw exceeded(share, verdict, accountOf(share))
        if (verdicts.every(({ verdict }) => verdict.kind === 'ok')) break
        await abortable(settled.promise, signal)
      }
      book(shares, (account) => reserve(account, most))
      return (taken) => {
        book(shares, (account) => settle(account, most, taken))
        for (const share of shares) pages?.add(windowOf(share), taken)
        settled.resolve()
        settled = Promise.withResolvers()
      }
    },
  }
}

function exceeded({ scope, name, limits }: Share, verdict: Extract<Verdict, { kind: 'exceeded' }>, account: Account): ActorError {
  const { unit, used, needs, limit } = verdict
  const setting = `llm.budget.${scope}.${unit}`
  const shown = (value: number) => (unit === 'usd' ? `$${Number(value.toFixed(6))}` : `${value} tokens`)
  // No other time would do, and whoever sent so long a text may not stop the agent.
  if (needs > limit) {
    const message = `A call that may take ${shown(needs)} is more than ${setting} allows in a ${limits.every} (${shown(limit)})`
    return new ActorError('MODEL_FAILED', message, { details: { reason: 'over_budget', scope, unit, needs, limit } })
  }
  const until = windowEnd(account, limits)
  const reason = [
    `the budget for models is used up: ${name} ${shown(used)} of ${shown(limit)} in this ${limits.every} (UTC)`,
    `this call may take ${shown(needs)}`,
    `there is room at ${new Date(until).toISOString()}, or with a larger ${setting}`,
  ].join('; ')
  return new ActorError('BUDGET_EXCEEDED', reason, { details: { reason, scope, unit, used, needs, limit, until } })
}
