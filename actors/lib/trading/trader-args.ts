import type { Context } from 'troupe/actor'
import * as z from 'zod'
import { exitDefaults } from '../markets/positions.ts'
import { filterArgs } from './market-args.ts'
import { sourceName } from './market-source.ts'

const command = z.tuple([z.string().min(1)], z.string())

const fields = z.object({
  /** Where jobs that do not say it have their market. */
  market: sourceName.default('auto'),
  /** Real money needs a live broker here and LIVE_TRADING=1 in the environment. */
  broker: z.enum(['paper', 'polyclaw']).default('paper'),
  /** Who decides: the trader itself, or a person by `troupe opportunities`. Every trader of a team should say the same. */
  approval: z.enum(['auto', 'manual']).default('auto'),
  /** The CLI, as a command with its arguments; it sees of the environment what is listed here. Dollars, ms. */
  polyclaw: z
    .object({
      command,
      trade: command.optional(),
      env: z.record(z.string(), z.string()).default({}),
      most: z.number().gt(0).default(5),
      timeout: z.number().min(1_000).default(300_000),
    })
    .optional(),
  /** Whether the CLI's positions are somebody else's too, in the same wallet: then they count as exposure. */
  sharesWallet: z.boolean().default(false),
  /** Dollars to begin with; what trades bring and take comes on top. */
  bankroll: z.number().gt(0).default(100),
  /** The part of it that may be lost before nothing more is bought. */
  maxDrawdown: z.number().gt(0).max(1).default(0.25),
  /** Ms after a stop in a market until it is bought again. */
  coolDown: z.number().min(0).default(3_600_000),
  filter: filterArgs,
  /** Ms between two looks at what is open. */
  markInterval: z.number().min(100).default(60_000),
  exits: z
    .object({
      stopLoss: z.number().gt(0).max(1).default(exitDefaults.stopLoss),
      takeProfit: z.number().gt(0).default(exitDefaults.takeProfit),
      looks: z.int().min(1).default(exitDefaults.looks),
      minDepth: z.number().min(1).default(exitDefaults.minDepth),
      maxAge: z.number().min(0).default(exitDefaults.maxAge),
    })
    .prefault({}),
})

/** What a trader may be told by its config. */
export const traderArgs = fields.refine(
  ({ broker, sharesWallet, polyclaw }) => polyclaw !== undefined || (broker === 'paper' && !sharesWallet),
  {
    path: ['polyclaw'],
    error: 'broker: polyclaw and sharesWallet need the command of the CLI here',
  },
)
export type TraderArgs = z.output<typeof traderArgs>

/** The tables and functions of a trader. */
export const traderSql = [
  'trading_exposure',
  'review_opportunity',
  'reserve_execution',
  'record_execution',
  'settle_execution',
  'release_execution',
  'trade_opportunities',
  'trade_executions',
  'system_config',
  'v_agent_dashboard',
] as const

/** What a trader remembers between two looks. */
export interface TraderState {
  /** How often a reason to sell was seen, by execution. */
  readonly watches: Readonly<
    Record<string, { readonly reason?: 'stop_loss' | 'take_profit' | 'edge_gone' | 'time'; readonly looks: number }>
  >
  /** What each open position would bring now, in dollars, by execution. */
  readonly marks: Readonly<Record<string, { readonly value: number; readonly pnl: number; readonly at: number }>>
}

export type TraderCtx = Context<TraderArgs, TraderState, (typeof traderSql)[number]>
