import type { Store } from '../store/store.ts'
import type { Command, ExitCode, Input } from './command.ts'
import { textFlag } from './flags.ts'
import { shortId } from './id-beginning.ts'
import { fateOf, findOpportunity, type Opportunity, reviewerOf, subjectOf, wantedOpportunity } from './opportunities.ts'
import { plain, printJson } from './print.ts'
import { teamOptions } from './team-input.ts'
import { withStore } from './team-store.ts'
import { wakeTeam } from './wake-team.ts'

type Decision = 'approved' | 'rejected'

const options = {
  reason: { type: 'string', value: '<text>', help: 'why, for the record' },
  by: { type: 'string', value: '<name>', help: 'who decides (default the user who runs this)' },
  ...teamOptions,
} as const
// What is bought is bought once, however often its job runs.
const job = { max_attempts: 10 }

/** Lets a trader trade. */
export const opportunitiesApprove: Command = {
  summary: 'approve a trade opportunity: a trader checks it once more, then trades',
  usage: '<id> [--reason <text>] [--by <name>] [--json]',
  examples: ['troupe opportunities approve 0b6f2f5e', 'troupe opportunities approve 0b6f2f5e --reason "read the rules of the market"'],
  notes: ['Traders wait for it where their config says approval: manual; all limits hold as ever.'],
  options,
  words: 1,
  async run(input) {
    const code = await review(input, 'approved', 'opportunities approve')
    await wakeTeam(input)
    return code
  },
}

/** Keeps traders from it. */
export const opportunitiesReject: Command = {
  summary: 'reject a trade opportunity, also an approved one of which nothing was bought',
  usage: '<id> [--reason <text>] [--by <name>] [--json]',
  examples: ['troupe opportunities reject 0b6f2f5e --reason "the question is ambiguous"'],
  options,
  words: 1,
  run: (input) => review(input, 'rejected', 'opportunities reject'),
}

async function review(input: Input, decision: Decision, command: string): Promise<ExitCode> {
  const [word, by, reason] = [wantedOpportunity(input, command), reviewerOf(input), textFlag(input.options, 'reason')]
  return await withStore(input, async (store) => {
    const found = await findOpportunity(store, word)
    const decided = found && (await decide(store, found, { decision, reviewed_by: by, ...(reason !== undefined && { reason }) }))
    const isDone = decided?.answer.verdict === 'ok' || decided?.answer.verdict === 'repeat'
    if (input.options.json) printJson(decided?.answer ?? { id: word, decision, verdict: 'not_found' })
    else if (decided === undefined) console.error(`There is no opportunity ${plain(word)}.`)
    else (isDone ? console.log : console.error)(decided.text)
    return isDone ? 0 : 1
  })
}

type Review = { readonly decision: Decision; readonly reviewed_by: string; readonly reason?: string }

async function decide(store: Store, before: Opportunity, given: Review) {
  const { id } = before
  const args = { id, ...given, ...(given.decision === 'approved' && { job }) }
  const { verdict, job_id: jobId } = await store.call('review_opportunity', { p_args: args })
  // As it is now: somebody else may just have decided.
  const after = (await findOpportunity(store, id)) ?? before
  const answer = { id, decision: given.decision, verdict, status: after.status, by: after.reviewed_by, jobId: jobId ?? null }
  return { answer, text: textOf(verdict, after, given) }
}

/** What a person is told about the answer. */
export function textOf(verdict: string, one: Opportunity, { decision }: Pick<Review, 'decision'>, now = Date.now()): string {
  const what = `${shortId(one.id)} ${subjectOf(one)}`
  switch (verdict) {
    case 'ok':
      return decision === 'approved' ? `approved ${what}: a trader checks it once more, then trades` : `rejected ${what}`
    case 'repeat':
      return `${what} was ${fateOf(one, now)}; nothing to do`
    case 'expired':
    case 'stale':
      return `${what} cannot be ${decision}: ${whyNot(one, decision, now)}`
    default:
      return `${what}: ${verdict}`
  }
}

function whyNot(one: Opportunity, decision: Decision, now: number): string {
  const isTraded = decision === 'rejected' && one.status === 'approved'
  return isTraded ? `${fateOf(one, now)}, and it is traded already` : fateOf(one, now)
}
