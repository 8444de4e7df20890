import { defineActor } from 'troupe/actor'
import * as z from 'zod'
import { readLimits } from './lib/markets/limits.ts'
import { polymarketOrigins } from './lib/markets/polymarket.ts'
import { scan } from './lib/trading/scan.ts'
import { textOf } from './lib/trading/scan-summary.ts'
import { type ScannerCtx, type ScannerState, scannerArgs, scannerSql } from './lib/trading/scanner-args.ts'

const changed = z.looseObject({ key: z.string() })
// A source that does not answer, and a config that makes no sense, are looked at again soon.
const soon = 60_000
const shortest = 1_000

/**
 * Looks at markets at its start and then every scanner_interval_minutes: publishes what can be bought for less than it pays, and has the
 * researcher form opinions of the rest.
 */
export default defineActor({
  args: scannerArgs,
  persist: true,
  messages: { scan: true, tick: true, summary: true, 'System Config Changed': changed },
  jobs: { scan_markets: true },
  sql: scannerSql,
  origins: polymarketOrigins,
  init(ctx): ScannerState {
    ctx.after(0, 'tick', null, { name: 'tick' })
    const before = ctx.state as ScannerState | undefined
    const first: ScannerState = { source: null, summary: null, text: 'has not scanned yet', researched: {} }
    // The exchange may answer now, or no more: what auto stands for is found out anew.
    if (before) ctx.state = { ...first, ...before, source: null }
    return first
  },
  receive: {
    async tick(_, ctx) {
      // Set before the scan: a scan that fails must not be the last one.
      const interval = await intervalOf(ctx)
      ctx.after(interval, 'tick', null, { name: 'tick' })
      await scanAndTell(ctx).catch((error: Error) => {
        ctx.signal.throwIfAborted()
        ctx.after(Math.min(interval, soon), 'tick', null, { name: 'tick' })
        ctx.log.warn(`The markets cannot be read: ${error.message}`)
        ctx.state = { ...ctx.state, text: `cannot read the markets: ${error.message}` }
      })
    },
    scan: (_, ctx) => scanAndTell(ctx),
    summary: (_, ctx) => ({ summary: ctx.state.summary, text: ctx.state.text }),
    async 'System Config Changed'({ key }, ctx) {
      if (key === 'scanner_interval_minutes') ctx.after(await intervalOf(ctx), 'tick', null, { name: 'tick' })
    },
  },
  run: {
    scan_markets: (_, ctx) => scanAndTell(ctx),
  },
})

async function intervalOf(ctx: ScannerCtx): Promise<number> {
  const limits = readLimits(await ctx.db.read('system_config'))
  return Math.max(shortest, limits?.scanInterval ?? soon)
}

async function scanAndTell(ctx: ScannerCtx) {
  const summary = await scan(ctx)
  const text = textOf(summary)
  ctx.state = { ...ctx.state, text }
  ctx.status('idle', text)
  ctx.log.info(text, { source: summary.source })
  return summary
}
