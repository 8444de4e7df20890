import { ActorError } from 'troupe/actor'
import { type Broker, type BrokerName, chooseBroker } from '../markets/broker.ts'
import { createPaper } from '../markets/paper.ts'
import { createPolyclaw } from '../markets/polyclaw.ts'
import { micro } from '../markets/units.ts'
import type { OpenSource } from './market-source.ts'
import type { TraderArgs } from './trader-args.ts'

interface Desk {
  opened: OpenSource
  readonly broker: Broker
}

// Brokers remember what they did as long as their thread lives: paper what was taken out of a book, the CLI's what is under way.
const papers = new Map<string, Desk>()
const clis = new Map<string, Broker>()

/** Which broker acts on a source, and why: whatever is not the exchange itself is traded on paper only. */
export function brokerFor({ broker }: Pick<TraderArgs, 'broker'>, source: string): ReturnType<typeof chooseBroker> {
  const chosen = chooseBroker(broker, process.env.LIVE_TRADING)
  if (chosen.name === 'paper' || source === 'polymarket') return chosen
  return { name: 'paper', reason: `paper: ${source} is not the exchange` }
}

/** Whether a broker that was chosen before may still be given an order: real money only while it would be chosen again. */
export function mayStillAct({ broker, source }: { readonly broker: BrokerName; readonly source: string }, args: TraderArgs): boolean {
  return broker === 'paper' || brokerFor(args, source).name === broker
}

/** The broker of that name for one trader and one source. */
export function openBroker(name: BrokerName, self: string, opened: OpenSource, args: TraderArgs): Broker {
  return name === 'paper' ? paperFor(self, opened) : cliFor(self, args)
}

function paperFor(self: string, opened: OpenSource): Broker {
  const key = `${self} ${opened.name}`
  const known = papers.get(key)
  // The source of this turn: the last one's requests ended with its turn.
  if (known) known.opened = opened
  const desk = known ?? newDesk(opened)
  papers.set(key, desk)
  return desk.broker
}

function newDesk(opened: OpenSource): Desk {
  const now = () => desk.opened.source.now()
  const book = async (token: string, signal?: AbortSignal) => (await desk.opened.source.books([token], signal && { signal })).get(token)
  const desk: Desk = { opened, broker: createPaper({ book, now }) }
  return desk
}

/** The CLI as a broker, also only to ask what it holds. */
export function cliFor(self: string, { polyclaw }: Pick<TraderArgs, 'polyclaw'>): Broker {
  const known = clis.get(self)
  if (known) return known
  // What was begun with real money is not given up: only a person can say how to ask about it.
  if (polyclaw === undefined) throw new ActorError('BLOCKED', 'a trade was begun with polyclaw: to ask about it, args.polyclaw is needed')
  const { command, trade, env, most, timeout } = polyclaw
  const broker = createPolyclaw({ command, ...(trade && { trade }), env, most: micro(most), timeout })
  clis.set(self, broker)
  return broker
}
