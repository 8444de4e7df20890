import type { Command, ExitCode, Input } from './command.ts'
import { fateOf, findOpportunity, type Opportunity, wantedOpportunity } from './opportunities.ts'
import { asJson, percent } from './opportunities-list.ts'
import { plain, printJson, styled } from './print.ts'
import { teamOptions } from './team-input.ts'
import { withStore } from './team-store.ts'
import { moment } from './times.ts'

/** Shows all there is to know before somebody decides. */
export const opportunitiesShow: Command = {
  summary: 'show one trade opportunity, with what was found out about it',
  usage: '<id> [--json]',
  examples: ['troupe opportunities show 0b6f2f5e', 'troupe markets show 516710'],
  notes: ['The beginning of an id is enough, where it is the only one.'],
  options: teamOptions,
  words: 1,
  async run(input: Input): Promise<ExitCode> {
    const word = wantedOpportunity(input, 'opportunities show')
    const found = await withStore(input, (store) => findOpportunity(store, word))
    if (input.options.json) printJson({ opportunity: found === undefined ? null : asJson(found) })
    else if (found === undefined) console.error(`There is no opportunity ${plain(word)}.`)
    else console.log(describe(found, Date.now()))
    return found === undefined ? 1 : 0
  },
}

/** All there is to say about one, for people. */
export function describe(one: Opportunity, now: number): string {
  const { id, market_id, market_question, platform, side, edge, confidence, details, expires_at, research_summary } = one
  const { discovered_by, discovery_method, discovered_at } = one
  const found = [discovered_by ?? 'nobody known', discovery_method, moment(discovered_at, now)]
  const lines: readonly (readonly [string, unknown])[] = [
    ['id', id],
    ['market', `${market_id} at ${details.source ?? platform ?? 'polymarket'}`],
    ['side', side],
    ['price', one.current_price],
    ['expected', one.target_price],
    ['edge', percent(edge)],
    ['confidence', confidence],
    ['amount', one.suggested_position === null ? null : `${one.suggested_position} USD`],
    ['found by', found.filter((part) => part !== null).join(', ')],
    ['expires', expires_at === null ? 'never' : moment(expires_at, now)],
    ['status', fateOf(one, now)],
    ['research', research_summary],
  ]
  const shown = lines.filter(([, value]) => value !== null && value !== undefined)
  const title = styled('bold', plain(market_question ?? market_id))
  return [title, ...shown.map(([label, value]) => `${styled('dim', label.padEnd(12))}${plain(String(value))}`)].join('\n')
}
