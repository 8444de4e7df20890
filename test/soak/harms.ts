import { uuidOf } from '../../src/worker/keys.ts'
import type { Found } from './actors/probe.ts'
import { audit } from './audit.ts'
import { chanceOf, victims } from './bank.ts'
import { settled, startFeed } from './feed.ts'
import type { Ground } from './ground.ts'
import { isUp, type Report } from './kills.ts'
import { type Line, type Process, startProcess } from './process.ts'

/** What may be done to an actor, and what its supervisor is to find. */
export const harms = {
  crash: 'crash',
  exit: 'crash',
  hang: 'hung',
  array: 'out_of_memory',
  map: 'out_of_memory',
  strings: 'out_of_memory',
  huge: 'out_of_memory',
  buffers: 'out_of_memory',
  // The last one: what comes after it may be in hand when the thread ends.
  later: 'crash',
} as const
export type Harm = keyof typeof harms

/** Ms within which a neighbour answers, with a victim's garbage collector on the other core. */
const patience = 15_000

export type HarmOptions = { readonly seed: number; readonly given: readonly Harm[]; readonly say?: (line: string) => void }

/** Runs the bank while three of its accounts die in every way that is given; the others are not to notice. */
export async function runHarms(ground: Ground, { seed, given, say = () => {} }: HarmOptions): Promise<Report> {
  const began = performance.now()
  await using feed = startFeed({ query: ground.query, seed, chance: chanceOf(seed + 1), load: 40 })
  await using bank = startProcess(ground)
  await bank.line('bank', isUp)
  const plan = given.map((harm, index) => ({ harm, victim: victims[index % victims.length] as string }))
  const messages = plan.map(({ harm, victim }) => ({ to: victim, type: 'harm', body: harm }))
  await tell(ground, seed, messages)
  const violations: string[] = []
  for (const victim of victims) {
    const exits = plan.filter((one) => one.victim === victim).map(({ harm }) => harms[harm])
    violations.push(...(await died(bank, victim, exits)))
  }
  say(`${plan.length} deaths; ${feed.transfers} transfers ordered`)
  const { wrong, slowest } = await endProbed(ground, bank, feed, seed)
  say(`the slowest answer of a neighbour took ${slowest} ms`)
  violations.push(...wrong, ...(slowest > patience ? [`a neighbour took ${slowest} ms to answer`] : []))
  const kills = plan.map(({ harm, victim }) => `${victim}: ${harm}`)
  return { seed, transfers: feed.transfers, violations, kills, seconds: Math.round((performance.now() - began) / 1_000) }
}

/** Lets a bank with a probe come to rest, and looks at it. Nobody but victims has died. */
export async function endProbed(ground: Ground, bank: Process, feed: ReturnType<typeof startFeed>, seed: number) {
  await feed.finish()
  await tell(ground, seed + 1, [{ to: 'probe', type: 'rest', body: null }])
  await settled(ground.query).catch((error: Error) => {
    throw new Error(`${error.message}\n${bank.tail()}`)
  })
  const [row] = await ground.query("select state from agent_state where agent_id = 'probe'")
  const { asked, slowest, failed } = JSON.parse(String(row?.state)) as Found
  const deaths = bank.lines.filter(isDeath)
  bank.kill('SIGTERM')
  const code = await bank.exited
  const wrong = [
    ...audit(await ground.facts(feed.orders)),
    ...deaths.map(({ agent, exit, detail }) => `${agent} died, being no victim: ${exit} (${detail})`),
    ...failed.map((message) => `a neighbour did not answer: ${message}`),
    ...(asked === 0 ? ['the probe never asked'] : []),
    ...(code === 0 ? [] : [`the bank ended with ${code}`]),
  ]
  return { wrong, slowest }
}

function isDeath({ event, agent = '', intended }: Line): boolean {
  return event === 'child:exited' && intended === false && !victims.some((victim) => victim === agent)
}

/** Waits until a victim has ended so often and is up again; says when it ended of something else. */
async function died(bank: Process, victim: string, wanted: readonly string[]): Promise<string[]> {
  const ends = () => bank.lines.filter(({ event, agent }) => event === 'child:exited' && agent === victim)
  await bank.line(`${wanted.length} ends of ${victim}`, () => ends().length >= wanted.length, 120_000)
  const last = ends().at(-1)?.at ?? 0
  await bank.line(`start of ${victim}`, ({ event, agent, at }) => event === 'child:started' && agent === victim && at >= last)
  const found = ends().map(({ exit }) => String(exit))
  // What takes memory blocks its event loop as well: on a busy machine that may be noticed first.
  const isRight =
    found.length === wanted.length && found.every((exit, at) => exit === wanted[at] || (exit === 'hung' && wanted[at] === 'out_of_memory'))
  return isRight ? [] : [`${victim} ended of ${found.join(', ')}, and not of ${wanted.join(', ')}`]
}

async function tell({ query }: Ground, seed: number, given: readonly { to: string; type: string; body: unknown }[]): Promise<void> {
  const messages = given.map(({ to, type, body }, index) => ({
    id: uuidOf(['soak', 'tell', String(seed), String(index)]),
    from_agent: 'tester',
    to_agent: to,
    type,
    body: JSON.stringify(body),
  }))
  await query(`select public.send_messages('${JSON.stringify({ messages })}'::jsonb)`)
}
