import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { type Ground, openGround, teamOn } from '../runtime/team.ts'
import { type Asked, startModelServer } from '../services/model-server.ts'
import { type Came, cases, type Kind, poison } from './hostile-answers.ts'

const key = 'canary-key-0123456789'
const series = Array.from({ length: 400 }, (_, at) => `${at},${at === 300 ? 500 : 10 + (at % 7)}`).join('\n')
const diff = '--- a/a.js\n+++ b/a.js\n@@ -1,1 +1,2 @@\n const kept = 1\n+eval(x)\n'

const jobs: Readonly<Record<Kind, { readonly type: string; readonly payload: object }>> = {
  design: { type: 'schema_architect', payload: { description: 'Design tables for buyers, in SQL' } },
  review: {
    type: 'schema_architect',
    payload: { description: 'Review it', files: [{ name: 'shop.graphql', text: 'type Query { a: Int }' }] },
  },
  hunt: { type: 'anomaly_hunter', payload: { files: [{ name: 'load.csv', text: `time,value\n${series}` }] } },
  code: { type: 'code_review', payload: { files: [{ name: 'change.diff', text: diff }] } },
  points: { type: 'note_taker', payload: { description: 'A text' } },
  prose: { type: 'note_taker', payload: { description: 'A text', capabilities: ['prose'] } },
}
const agents = ['schema-architect', 'anomaly-hunter', 'code-reviewer', 'note-taker'].map((type) => ({ id: type, type }))

type Row = { readonly name: string; readonly kind: Kind; readonly status: string; readonly error: string; readonly result: Result }
type Result = Readonly<Record<string, unknown>>

test('whatever a model answers, each job ends with the truth and no agent with it', { timeout: 300_000 }, async () => {
  await using ground = await openGround()
  await using model = await startModelServer([], answerFor)
  const env = { LLM_BASE_URL: model.url, LLM_API_KEY: key }
  await using team = teamOn(ground, agents, { actors: join(import.meta.dirname, 'actors'), env })
  await team.start()
  const rows = await ended(ground, await give(ground))
  expect(Object.fromEntries(rows.map((row) => [`${row.name} / ${row.kind}`, cameOf(row)]))).toEqual(
    Object.fromEntries(rows.map(({ name, kind }) => [`${name} / ${kind}`, cases[name]?.came[kind]])),
  )
  const of = (name: string, kind: Kind) => rows.find((row) => row.name === name && row.kind === kind)?.result ?? {}
  expect(['made-up places', 'lines beside the diff'].map((name) => [of(name, 'code'), of(name, 'hunt')])).toMatchObject(
    [1, 2].map(() => [
      { findings: [{ rule: 'no-eval', by: ['eslint'] }], dropped: expect.stringContaining('1 remarks') },
      { hypotheses: [], series: [{ anomalies: [{ kind: 'spike' }] }], dropped: expect.stringContaining('1 guesses') },
    ]),
  )
  expect(of('made-up places', 'review')).toMatchObject({ advice: [], dropped: expect.stringContaining('1 remarks') })
  expect(of('markup', 'code').findings).toMatchObject([{ rule: 'no-eval' }, { rule: 'model', file: 'a.js', line: 2 }])
  expect(`${of('markup', 'design').summary}${rows.map(({ result }) => plotOf(result)).join('')}`).not.toMatch(/<script|POISON-77</)
  expect(JSON.stringify([rows, model.asked.map(({ body }) => body)])).not.toContain(key)
  expect(model.asked.filter((asked) => outsideOfFences(asked).includes(poison))).toEqual([])
  const harm = team.seen.filter(({ name }) => /^child:(?:exited|delayed|quarantined)$|^turn:rejected$|^task:/.test(name))
  expect(harm).toEqual([])
})

/** The name of the case stands in the job, which the model is shown. */
function answerFor({ body }: Asked) {
  const [, name = ''] = /<case (.*?)>/.exec(body.messages.map(({ content }) => content).join('\n')) ?? []
  return cases[name]?.answer ?? { kind: 'status' as const, status: 400 }
}

type Given = { readonly id: string; readonly name: string; readonly kind: Kind }

async function give(ground: Ground): Promise<Given[]> {
  const given = Object.keys(cases).flatMap((name) => (Object.keys(jobs) as Kind[]).map((kind) => ({ name, kind })))
  const made = await ground.store.call('create_jobs', {
    p_batch: given.map(({ name, kind }) => ({
      ...{ job_type: jobs[kind].type, max_attempts: 1 },
      payload: { title: `<case ${name}>`, ...jobs[kind].payload } as never,
    })),
  })
  return given.map((one, at) => ({ ...one, id: made[at]?.job_id ?? '' }))
}

async function ended(ground: Ground, given: readonly Given[]): Promise<Row[]> {
  return await vi.waitFor(
    async () => {
      const rows = await ground.store.read('agent_jobs', {}, { limit: 1_000 })
      return given.map(({ id, name, kind }) => {
        const row = rows.find((one) => one.id === id)
        if (row?.status !== 'completed' && row?.status !== 'failed') throw new Error(`${name} / ${kind} is ${row?.status}`)
        return { name, kind, status: row.status, error: row.error_message ?? '', result: (row.result ?? {}) as Result }
      })
    },
    { timeout: 280_000, interval: 500 },
  )
}

/** What a job came to, in the words of its case: the expected reason where the error has it. */
function cameOf({ name, kind, status, error, result }: Row): Came {
  if (status === 'completed') return Object.hasOwn(Object(result), 'withoutModel') ? 'alone' : 'done'
  const expected = cases[name]?.came[kind] ?? 'done'
  return error.includes(expected.slice('failed: '.length)) ? expected : `failed: ${error}`
}

/** What a model is told as ours: all but what stands in fences, and what it said itself. */
function outsideOfFences({ body }: Asked): string {
  const ours = body.messages.filter(({ role }) => role !== 'assistant').map(({ content }) => content)
  return ours.join('\n').replaceAll(/\[begin (\S+) (\w+)\]\n[\s\S]*?\n\[end \1 \2\]/g, '')
}

function plotOf({ series }: Result): string {
  return ((series ?? []) as { plot: string }[]).map(({ plot }) => plot).join('')
}
