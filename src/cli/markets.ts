import type { Command, ExitCode, Input, Option } from './command.ts'
import { UsageError } from './command.ts'
import { numberFlag } from './flags.ts'
import { type Found, type Listed, type Origin, openCatalogue, plainHttp, type Shown } from './market-library.ts'
import { formatTable, plain, printJson, styled } from './print.ts'

const usual = 20

const sourceOptions = {
  market: { type: 'string', value: '<source>', help: 'polymarket, replay:<folder> or simulated:<seed> (default MARKET, else polymarket)' },
  json: { type: 'boolean', help: 'print JSON for programs' },
} as const satisfies Record<string, Option>
const listOptions = {
  ...sourceOptions,
  limit: { type: 'string', value: '<number>', help: `at most so many (default ${usual})` },
} as const satisfies Record<string, Option>

/** Lists the liveliest markets. */
export const marketsTrending: Command = {
  summary: 'list the liveliest prediction markets',
  usage: '[--market <source>] [--limit <number>] [--json]',
  examples: ['troupe markets trending', 'troupe markets trending --market simulated:42 --limit 5'],
  options: listOptions,
  async run(input) {
    const { trending } = await openCatalogue()
    return print(input, await trending(sourceOf(input), limitOf(input), { http: plainHttp }))
  },
}

/** Lists markets by words of their text. */
export const marketsSearch: Command = {
  summary: 'find prediction markets by words',
  usage: '<words>... [--market <source>] [--limit <number>] [--json]',
  examples: ['troupe markets search rate cut', 'troupe markets search election --json'],
  options: listOptions,
  words: 20,
  async run(input) {
    if (input.words.length === 0) throw new UsageError('Which words? troupe markets search <words>')
    const { search } = await openCatalogue()
    return print(input, await search(sourceOf(input), input.words.join(' '), limitOf(input), { http: plainHttp }))
  },
}

/** Shows one market with its books. */
export const marketsShow: Command = {
  summary: 'show one prediction market with its order books',
  usage: '<id> [--market <source>] [--json]',
  examples: ['troupe markets show 516710'],
  options: sourceOptions,
  words: 1,
  async run(input) {
    const [id] = input.words
    if (id === undefined) throw new UsageError('Which market? troupe markets show <id>')
    const { show } = await openCatalogue()
    const found = await show(sourceOf(input), id, { http: plainHttp })
    if (input.options.json) printJson(found)
    else printMarket(found)
    return 0
  },
}

function sourceOf({ options, env }: Input): string {
  return typeof options.market === 'string' ? options.market : env.MARKET || 'polymarket'
}

function limitOf({ options }: Input): number {
  return numberFlag(options, 'limit', { least: 1, most: 500 }) ?? usual
}

function print({ options }: Input, found: Found): ExitCode {
  if (options.json) printJson(found)
  else {
    printOrigin(found)
    console.log(found.markets.length === 0 ? 'There are no such markets.' : formatTable(columns, found.markets.map(rowOf)))
  }
  return 0
}

const columns = ['id', 'question', 'bid', 'ask', '24 h USD', 'ends', 'cannot trade']

function rowOf({ id, question, bid, ask, volume24h, endsAt, skip }: Listed): unknown[] {
  return [id, question, bid, ask, volume24h, endsAt?.slice(0, 10) ?? null, skip]
}

function printOrigin({ isSimulated, detail }: Origin): void {
  console.log(styled(isSimulated ? 'yellow' : 'dim', plain(detail)))
}

function printMarket({ market, ...origin }: Origin & { readonly market: Shown }): void {
  const { id, question, event, description, volume24h, liquidity, endsAt, skip, books } = market
  printOrigin(origin)
  console.log(styled('bold', plain(question)))
  const line = (label: string, value: unknown) => value !== null && console.log(`${styled('dim', label.padEnd(12))}${plain(String(value))}`)
  line('id', id)
  line('event', event)
  line('ends', endsAt)
  line('24 h', `${volume24h} USD, ${liquidity} USD in the book`)
  line('cannot trade', skip)
  for (const { outcome, bids, asks } of books) {
    const levels = Math.max(bids.length, asks.length)
    const rows = Array.from({ length: levels }, (_, at) => [
      bids[at]?.shares ?? null,
      bids[at]?.price ?? null,
      asks[at]?.price ?? null,
      asks[at]?.shares ?? null,
    ])
    console.log(`\n${styled('bold', plain(outcome))}`)
    console.log(levels === 0 ? 'No book.' : formatTable(['shares', 'bid', 'ask', 'shares'], rows))
  }
  if (description !== '') console.log(`\n${plain(description.slice(0, 1_000))}`)
}
