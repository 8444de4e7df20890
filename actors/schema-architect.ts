import * as z from 'zod'
import { opinionOf } from './lib/opinion.ts'
import type { Checked } from './lib/schemas/check.ts'
import { type Check, design, faults } from './lib/schemas/design.ts'
import { type GivenSchema, schemasOf } from './lib/schemas/given.ts'
import { defineSpecialist, evaluateByWords, type SpecialistJob, type Work } from './lib/specialist.ts'

const checking = 60_000
const judged = 20
const advice = z.object({
  advice: z.array(z.object({ schema: z.string(), place: z.string(), text: z.string().min(1).max(1_000) })).max(30),
})

const advicePrompt = `Review the schemas of the job: names, constraints, missing parts, traps. Call each schema what it is called in "names". What the
validators found stands in "found"; do not repeat it.`

/** Designs schemas, and delivers none that its language's own tools refuse; judges schemas that it is given, for which it needs no model. */
export default defineSpecialist({
  type: 'schema_architect',
  name: 'SchemaArchitect',
  description: 'Designs and reviews OpenAPI, GraphQL, JSON Schema and SQL schemas; what it delivers has passed their validators',
  capabilities: { schema_design: 0.96, code_review: 0.88, data_extraction: 0.85 },
  baseRateUsd: 0.04,
  systemPrompt: 'You design data and API schemas: consistent names, explicit constraints, nothing that was not asked for.',
  output: z.looseObject({ mode: z.enum(['design', 'review']), summary: z.string().min(1) }),
  evaluate: evaluateByWords({
    words: {
      ...{ schema: 0.85, schemas: 0.85, openapi: 0.95, swagger: 0.9, graphql: 0.95, 'json schema': 0.95, ddl: 0.9, 'schema design': 1 },
      ...{ 'api design': 0.95, 'rest api': 0.85, 'database design': 0.95, 'data model': 0.9, 'database schema': 0.95, erd: 0.8 },
      ...{ normalization: 0.8, migration: 0.6, postgresql: 0.6, endpoint: 0.5, endpoints: 0.5 },
    },
  }),
  async execute(job, work) {
    const task = new URL('./lib/schemas/check.ts#check', import.meta.url)
    const check: Check = (one) => work.compute<Checked>(task, one, { timeout: checking, signal: work.signal })
    const given = schemasOf(job)
    const { isReview, isDesign } = asked(job)
    if (given.length > 0 && (isReview || !isDesign)) return review(given, work, check)
    if (isReview && !isDesign) throw work.fatal('There is no schema to review: give a file, or a fenced block in the description')
    return deliver(await design(job, work, check))
  },
})

/** Schemas may come along as an example or a start for a new one; what stands in them are no words of the job. */
function asked({ title, description }: SpecialistJob): { isReview: boolean; isDesign: boolean } {
  const said = `${title}\n${description.replaceAll(/```[\s\S]*?```/g, '')}`
  return {
    isReview: /\b(?:review|validate|check|audit|lint)\b/i.test(said),
    isDesign: /\b(?:design|create|draft|propose|extend|convert|translate|generate|write)\b/i.test(said),
  }
}

function deliver({ artifacts, explanation, checked, rounds }: Awaited<ReturnType<typeof design>>) {
  const repaired = rounds === 0 ? '' : ` after ${rounds} ${rounds === 1 ? 'repair' : 'repairs'}`
  const delivered = artifacts.map((artifact, at) => ({
    ...artifact,
    // The model's own word, which people may come to see in a page.
    name: artifact.name.replaceAll(/[^\p{L}\p{N} ._()-]/gu, '_'),
    isValid: true,
    notes: checked[at]?.issues ?? [],
  }))
  const summary = `${delivered.map(({ name, kind }) => `${name} (${kind})`).join(', ')}: passed the validators${repaired}.`
  return { mode: 'design' as const, summary, explanation, artifacts: delivered }
}

async function review(given: readonly GivenSchema[], work: Work, check: Check) {
  const schemas: Checked[] = []
  for (const one of given.slice(0, judged)) schemas.push(await check(one))
  const more = given.length > judged ? ` ${given.length - judged} more were not looked at.` : ''
  const invalid = schemas.filter(({ isValid }) => !isValid)
  const summary = `${schemas.length - invalid.length} of ${schemas.length} schemas are valid.${more}${invalid.length > 0 ? `\n${faults(invalid)}` : ''}`
  const names = schemas.map(({ name }) => name)
  const untrusted = { ...work.untrusted, names: names.join('\n'), found: faults(invalid) || 'nothing' }
  const said = await opinionOf(() =>
    work.step('advice', async () => (await work.llm.object({ schema: advice, prompt: advicePrompt, untrusted })).value),
  )
  if ('value' in said) {
    const about = said.value.advice.filter(({ schema }) => names.includes(schema))
    const dropped = said.value.advice.length - about.length
    const note = dropped > 0 && { dropped: `${dropped} remarks of the model were about schemas that are not there` }
    return { mode: 'review' as const, summary, schemas, advice: about, ...note }
  }
  const withoutModel = `No advice was added, as no model answered usably (${said.missing}). The findings are the validators'.`
  return { mode: 'review' as const, summary, schemas, advice: [], withoutModel }
}
