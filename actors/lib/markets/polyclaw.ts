import { ActorError } from 'troupe/actor'
import { type Broker, type Holding, type Order, type Outcome, orderProblem, refused } from './broker.ts'
import { amountOf, holdingOf, type Kept, outcomeIn, readKept, readPositions, readPurchase } from './polyclaw-output.ts'
import { type Ended, run } from './polyclaw-process.ts'
import { costOf, type Micro, oneDollar, onePrice, oneShare } from './units.ts'

export interface PolyclawOptions {
  /** The CLI's router with its interpreter, such as ['python3', '/opt/polyclaw/scripts/polyclaw.py']. */
  readonly command: readonly [string, ...string[]]
  /** The script that trades; only it answers a purchase with JSON. By default trade.py beside the router. */
  readonly trade?: readonly [string, ...string[]]
  /** All that the CLI sees of the environment. */
  readonly env: Readonly<Record<string, string>>
  /** The most that one purchase may take. */
  readonly most: Micro
  readonly timeout?: number
}

// One receipt alone may take two minutes.
const longEnough = 300_000
const fewestShares = 5 * oneShare
// A proxy per try is how the CLI gets around a block; we do not.
const neverPassedOn = /^(https?|all)_proxy$/i

/**
 * The PolyClaw CLI as a broker. It makes pairs of YES and NO for a dollar each and sells the other side, so what it may take is a dollar a
 * share, and a failed sale leaves both sides. It cannot sell, and makes the wrong tokens in events of which one outcome wins. Its list of
 * positions is not safe for two processes: one broker per wallet. A purchase that has begun runs to its end or its timeout, also when the
 * actor stops: killed half way it would have paid for both sides.
 */
export function createPolyclaw({ command, trade = tradeBeside(command), env, most, timeout = longEnough }: PolyclawOptions): Broker {
  const environment = { ...Object.fromEntries(Object.entries(env).filter(([name]) => !neverPassedOn.test(name))), CLOB_MAX_RETRIES: '1' }
  const known = new Map<string, Promise<Outcome>>()
  let last: Promise<unknown> = Promise.resolve()

  /** One call at a time, in the order of asking. */
  function inTurn<Value>(call: () => Promise<Value>, signal?: AbortSignal): Promise<Value> {
    const turn = last.then(() => {
      signal?.throwIfAborted()
      return call()
    })
    last = turn.catch(() => undefined)
    return turn
  }

  async function ask(script: readonly [string, ...string[]], args: readonly string[]): Promise<Ended> {
    return hidden(await run({ command: script, args, env: environment, timeout }), environment)
  }

  function refusal(order: Order): Outcome | undefined {
    const problem = orderProblem(order)
    if (problem !== undefined) return refused('bad_order', problem)
    if (order.way === 'sell') return refused('no_sell', 'the CLI has no command to sell')
    if (order.negRisk) return refused('neg_risk', 'the CLI would make tokens that the exchange of such events does not know')
    if (order.shares < fewestShares) return refused('below_minimum', 'the other side could not be sold')
    const takes = costOf(onePrice, order.shares)
    return takes > Math.min(order.budget, most) ? refused('over_budget', `${takes / oneDollar} USD for the pairs`) : undefined
  }

  async function buy(order: Order): Promise<Outcome> {
    return readPurchase(order, await ask(trade, ['--json', 'buy', order.marketId, order.side, amountOf(order.shares)]))
  }

  async function records(): Promise<readonly Kept[]> {
    const list = await ask(command, ['positions', '--json'])
    const positions = list.kind === 'exited' && list.code === 0 ? readPositions(list.stdout) : undefined
    if (positions === undefined) throw unreadable('positions', list)
    const found: Kept[] = []
    for (const { position_id } of positions) {
      const shown = await ask(command, ['position', position_id])
      const record = shown.kind === 'exited' && shown.code === 0 ? readKept(shown.stdout) : undefined
      if (record === undefined) throw unreadable(`position ${position_id}`, shown)
      found.push(record)
    }
    return found
  }

  return {
    name: 'polyclaw',
    isLive: true,
    reserve: ({ shares }) => costOf(onePrice, shares),
    place(order, { signal } = {}) {
      const refusedBefore = refusal(order)
      if (refusedBefore !== undefined) return Promise.resolve(refusedBefore)
      const before = known.get(order.key)
      if (before !== undefined) return before
      const outcome = inTurn(() => buy(order), signal)
      known.set(order.key, outcome)
      // It rejects only when it was given up before its turn came: nothing was sent, so it may be placed again.
      outcome.catch(() => known.delete(order.key))
      return outcome
    },
    async reconcile(order, { signal } = {}) {
      return outcomeIn(await inTurn(records, signal), order)
    },
    async positions({ signal } = {}): Promise<readonly Holding[]> {
      return (await inTurn(records, signal)).map(holdingOf)
    },
  }
}

function tradeBeside(command: readonly [string, ...string[]]): readonly [string, ...string[]] {
  return command.map((part, at) => (at === command.length - 1 ? part.replace(/polyclaw\.py$/, 'trade.py') : part)) as [string, ...string[]]
}

/** What the CLI printed without what its environment holds: keys and addresses with keys in them reach no log. */
function hidden(ended: Ended, env: Readonly<Record<string, string>>): Ended {
  const secrets = Object.entries(env).filter(([name, value]) => value.length >= 8 && !/^(PATH|HOME|LANG|TMPDIR|USER)$/.test(name))
  const hide = (text: string) => secrets.reduce((rest, [, value]) => rest.replaceAll(value, '***'), text)
  return ended.kind === 'exited'
    ? { ...ended, stdout: hide(ended.stdout), stderr: hide(ended.stderr) }
    : { ...ended, detail: hide(ended.detail) }
}

function unreadable(what: string, ended: Ended): ActorError {
  const detail = ended.kind === 'exited' ? `exit code ${ended.code}` : ended.detail
  return new ActorError('SOURCE_FAILED', `PolyClaw's ${what} cannot be read: ${detail}`, { details: { what } })
}
