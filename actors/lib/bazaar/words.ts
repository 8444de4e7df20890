import type { Budget, Evaluation, SpecialistJob } from './job.ts'

/** What a specialist knows about, by word or phrase: how sure it makes it, 0 to 1. */
export type Words = Readonly<Record<string, number>>

/** Finds the words and phrases that stand in a job's title, description or capabilities: whole ones, "rest" is not in "interest". */
export function wordsIn(job: Pick<SpecialistJob, 'title' | 'description' | 'capabilities'>, words: Words): string[] {
  const said = ` ${normal([job.title, job.description, ...job.capabilities].join(' . '))} `
  return Object.keys(words).filter((word) => said.includes(` ${normal(word)} `))
}

/** Capitals and marks do not matter, schema_design is two words; plurals do matter: list both. */
function normal(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^\p{L}\p{N}+#.]+/gu, ' ')
    .replace(/\.(?=\s|$)|(?<=\s|^)\./gu, ' ')
    .replace(/ +/g, ' ')
    .trim()
}

export interface WordRules {
  readonly words: Words
  /** Minutes it takes at least and at most; more words that fit make it quicker. */
  readonly minutes?: readonly [least: number, most: number] | undefined
  /** Words of the job that the specialist must have at least. */
  readonly atLeast?: number | undefined
}

/** Makes an `evaluate` of words that it knows: the arithmetic of the former runner, on whole words and never under the base rate. */
export function evaluateByWords({ words, minutes: [least, most] = [3, 10], atLeast = 1 }: WordRules) {
  return (job: SpecialistJob, { usd, baseRateUsd }: Budget): Evaluation => {
    const found = wordsIn(job, words)
    if (found.length < atLeast) return declined(found.length === 0 ? 'no word of it is known' : `only ${found.join(', ')} is known`)
    const best = Math.max(...found.map((word) => words[word] ?? 0))
    const confidence = Math.min(0.95, 0.5 + 0.3 * best + 0.03 * Math.min(found.length, 5))
    const wanted = baseRateUsd * (1 + confidence / 2)
    const priceUsd = Math.max(baseRateUsd, usd === null ? wanted : Math.min(wanted, 0.85 * usd))
    return { canComplete: true, confidence, priceUsd, minutes: Math.max(least, most - found.length), reason: `knows ${found.join(', ')}` }
  }
}

/** What is said of a job that is not for this one. */
export function declined(reason: string): Evaluation {
  return { canComplete: false, confidence: 0, priceUsd: 0, minutes: 1, reason }
}

/** Makes an evaluation fit to be a bid: rounded up to a tenth of a cent, never under the base rate, never over what the job offers. */
export function soundEvaluation(given: Evaluation, { usd, baseRateUsd, minutes }: Budget): Evaluation {
  const priceUsd = roundUp(Math.max(given.priceUsd, baseRateUsd))
  const fair = { ...given, priceUsd }
  if (!given.canComplete) return fair
  if (usd !== null && priceUsd > usd) return { ...fair, canComplete: false, reason: `costs ${priceUsd} USD, the budget is ${usd}` }
  if (minutes !== null && given.minutes > minutes) {
    return { ...fair, canComplete: false, reason: `takes ${given.minutes} minutes, there are ${minutes}` }
  }
  return fair
}

/** Up, so that rounding never goes under the base rate; the margin is for what binary fractions add. */
function roundUp(usd: number): number {
  return Math.ceil(usd * 1_000 - 1e-6) / 1_000
}
