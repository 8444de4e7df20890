import { type Book, type Effect, numberOf, type Order } from './actors/account.ts'

/** What is known of the bank when everything has come to rest. */
export type Facts = {
  readonly opening: number
  readonly orders: readonly Order[]
  readonly books: ReadonlyMap<string, Book>
  /** Every delivery of an order, with what the order's body says. */
  readonly deliveries: readonly { readonly type: string; readonly status: string; readonly id: number; readonly reason: string | null }[]
  readonly jobs: readonly {
    readonly status: string
    readonly id: number
    readonly result: { readonly by?: string; readonly id?: number } | null
  }[]
  /** Steps of turns that are over. */
  readonly stepsLeft: number
  readonly effects: readonly Effect[]
  /** Processes that were frozen: what they were about to do they do when they wake up, and nobody can take that back. */
  readonly frozen?: readonly number[]
}

type Tally = ReadonlyMap<number, number>

/** Everything that is wrong, in words; nothing, when no money and no message was lost or doubled. */
export function audit(facts: Facts): string[] {
  const wanted = facts.orders.flatMap((order) => order.ways.map((_, hop) => numberOf({ n: order.n, hop })))
  return [...money(facts), ...transfers(facts, wanted), ...receipts(facts), ...jobs(facts), ...effects(facts)]
}

function money({ opening, books }: Facts): string[] {
  const sum = [...books.values()].reduce((total, { balance }) => total + balance, 0)
  const expected = opening * books.size
  return sum === expected ? [] : [`there is ${sum} in the bank, and was ${expected}`]
}

function transfers({ books, deliveries, jobs: given }: Facts, wanted: readonly number[]): string[] {
  const all = [...books.values()]
  const carried = [...deliveries.filter(({ type }) => type === 'credit'), ...given].map(({ id }) => id)
  return [
    ...difference(
      'paid',
      wanted,
      all.flatMap(({ paid }) => paid),
    ),
    ...difference(
      'got',
      wanted,
      all.flatMap(({ got }) => got),
    ),
    ...difference('carried', wanted, carried),
  ]
}

/** Says which of the wanted transfers were not done, and which more than once. */
function difference(verb: string, wanted: readonly number[], found: readonly number[]): string[] {
  const times = tally(found)
  const known = new Set(wanted)
  const lost = wanted.filter((id) => !times.has(id))
  const doubled = [...times].filter(([, count]) => count > 1).map(([id, count]) => `${id} (${count})`)
  const strange = [...times.keys()].filter((id) => !known.has(id))
  return [
    ...list(`transfers that nobody ${verb}`, lost),
    ...list(`transfers ${verb} more than once`, doubled),
    ...list(`transfers ${verb} that nobody ordered`, strange),
  ]
}

function tally(ids: readonly number[]): Tally {
  const times = new Map<number, number>()
  for (const id of ids) times.set(id, (times.get(id) ?? 0) + 1)
  return times
}

function list(what: string, found: readonly (number | string)[]): string[] {
  const some = found.slice(0, 10).join(', ')
  return found.length === 0 ? [] : [`${found.length} ${what}: ${some}${found.length > 10 ? ', …' : ''}`]
}

function receipts({ deliveries, stepsLeft }: Facts): string[] {
  const open = deliveries.filter(({ status }) => status !== 'done')
  const words = open.map(({ type, id, status, reason }) => `${type} ${id} ${status}${reason === null ? '' : ` (${reason})`}`)
  return [...list('deliveries that are not done', words), ...(stepsLeft > 0 ? [`${stepsLeft} steps of turns that are over`] : [])]
}

function jobs({ jobs: given, books }: Facts): string[] {
  const open = given.filter(({ status }) => status !== 'completed').map(({ id, status }) => `${id} ${status}`)
  const wrong = given.filter(({ id, result }) => result?.id !== id || !books.get(result.by ?? '')?.got.includes(id))
  const strange = wrong.map(({ id, result }) => `${id} ${JSON.stringify(result)}`)
  return [...list('jobs that are not completed', open), ...list('jobs whose result is not in the book of who did them', strange)]
}

function effects({ books, effects: all, frozen = [] }: Facts): string[] {
  const kept = new Map(
    [...books.values()].flatMap(({ receipts: own }) => Object.entries(own).map(([id, receipt]) => [Number(id), receipt])),
  )
  const lines = all.filter(({ pid, id, receipt }) => !frozen.includes(pid) || kept.get(id) === receipt)
  const wrong: string[] = []
  for (const [id, story] of Map.groupBy(lines, (line) => line.id)) {
    const saved = story.findIndex(({ kind }) => kind === 'saved')
    const runs = story.filter(({ kind }) => kind === 'ran')
    if (saved === -1 || !kept.has(id)) wrong.push(`${id} was begun and its result is nowhere`)
    else if (story.some(({ kind, receipt }) => kind === 'saved' && receipt !== kept.get(id)))
      wrong.push(`${id} was saved with another receipt than the book's`)
    else if (story.slice(saved).some(({ kind }) => kind === 'ran')) wrong.push(`${id} ran again although its result was saved`)
    else if (!runs.some(({ receipt }) => receipt === kept.get(id))) wrong.push(`${id} has a receipt that nobody wrote`)
    else if (runs.some(({ once }) => once) && runs.length > 1) wrong.push(`${id} is to run once, and ran ${runs.length} times`)
  }
  const ran = new Set(lines.map(({ id }) => id))
  const invented = [...kept.keys()].filter((id) => !ran.has(id))
  return [...list('steps that went wrong', wrong), ...list('receipts of steps that never ran', invented)]
}
