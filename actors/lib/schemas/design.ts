import * as z from 'zod'
import type { SpecialistJob, Work } from '../specialist.ts'
import type { Checked } from './check.ts'
import { type GivenSchema, kindsWanted } from './given.ts'
import { error, kinds } from './issue.ts'
import { lacksSubstance } from './substance.ts'

/** What a model has to answer with. */
const designSchema = z.object({
  artifacts: z
    .array(z.object({ name: z.string().min(1).max(100), kind: z.enum(kinds), text: z.string().min(1).max(200_000) }))
    .min(1)
    .max(8),
  explanation: z.string().max(10_000).default(''),
})
type Design = z.output<typeof designSchema>
export type Check = (given: GivenSchema) => Promise<Checked>

const repairs = 2
const languages =
  'OpenAPI 3.1 (YAML), JSON Schema 2020-12, GraphQL SDL, or SQL DDL for PostgreSQL (statements in the order in which they run)'

/** Has a model design schemas, judges them, and shows it the faults until there are none; a design that keeps faults is a failure. */
export async function design(job: SpecialistJob, work: Work, check: Check) {
  let made = await ask(
    work,
    0,
    `Design the schemas that the job asks for, each in full as one artifact: ${languages}. Explain the choices briefly.`,
  )
  for (let round = 0; ; round++) {
    const checked = await judge(made, job, check)
    const faulty = checked.filter(({ isValid }) => !isValid)
    if (faulty.length === 0) return { ...made, checked, rounds: round }
    if (round === repairs) throw work.fatal(`The design still has faults after ${repairs} repairs: ${faults(faulty)}`)
    made = await ask(
      work,
      round + 1,
      `The design in "design" was checked and has the faults in "faults". Give the whole design again, repaired.`,
      {
        design: JSON.stringify(made),
        faults: faults(faulty),
      },
    )
  }
}

function ask(work: Work, round: number, prompt: string, more: Readonly<Record<string, string>> = {}): Promise<Design> {
  const untrusted = { ...work.untrusted, ...more }
  // A step: a repeated turn goes on with the answer that was paid for.
  return work.step(
    `design ${round}`,
    async () => (await work.llm.object({ schema: designSchema, prompt, untrusted, temperature: 0.4 })).value,
  )
}

async function judge({ artifacts }: Design, job: SpecialistJob, check: Check): Promise<readonly Checked[]> {
  const checked: Checked[] = []
  for (const artifact of artifacts) {
    const found = await check(artifact)
    const empty = lacksSubstance(artifact.kind, artifact.text)
    checked.push(empty ? { ...found, isValid: false, issues: [...found.issues, empty] } : found)
  }
  const missing = kindsWanted(job).filter((kind) => !artifacts.some((one) => one.kind === kind))
  const absent = missing.map((kind) => ({
    name: kind,
    kind,
    isValid: false,
    issues: [error('/', null, 'the job asks for it and it is missing')],
  }))
  return [...checked, ...absent]
}

/** Each fault on a line, as many as a model can use. */
export function faults(checked: readonly Checked[]): string {
  return checked
    .flatMap(({ name, issues }) => issues.filter(({ severity }) => severity === 'error').map((one) => ({ name, ...one })))
    .slice(0, 30)
    .map(({ name, place, line, message }) => `${name}, ${place}${line === null ? '' : `, line ${line}`}: ${message}`)
    .join('\n')
}
