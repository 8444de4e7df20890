import { expect, test } from 'vitest'
import { resultText } from '../../src/cli/job-result.ts'
import { describeJob, statusText } from '../../src/cli/job-text.ts'
import { type Takers, waitsFor } from '../../src/cli/job-waits.ts'
import type { Job } from '../../src/cli/jobs.ts'

const now = Date.parse('2026-11-21T12:00:00Z')
const at = (ms: number) => new Date(now + ms).toISOString() as never
const minute = 60_000

function job(more: Partial<Job> = {}): Job {
  return {
    ...{ id: '0b6f2f5e-1f6a-4d0e-9a53-3a1f6a1f2b11', job_type: 'code_review', payload: {}, status: 'pending', priority: 5 },
    ...{ attempt: 0, max_attempts: 3, created_by: 'outside', assigned_to: null, target_agent: null, dedupe_key: null },
    ...{ run_at: at(-minute), created_at: at(-minute), assigned_at: null, lease_expires_at: null, completed_at: null },
    ...{ result: null, error_message: null, dead_reason: null, history: [] },
    ...more,
  }
}

const agent = (id: string, status = 'running', says?: string, type = 'reviewer') => ({ id, type, status, says })
function takers(agents: Takers['agents'], more: Partial<Takers> = {}): Takers {
  const jobTypes = new Map([
    ['reviewer', ['code_review']],
    ['clerk', ['write_card']],
  ])
  return { folder: '.troupe', isRunning: true, silent: [], agents, jobTypes, known: [], ...more }
}
const known = (agent_id: string, health_status: 'healthy' | 'stale', blocked_reason: string | null = null) => [
  { agent_id, health_status, blocked_reason, minutes_since_heartbeat: 9 },
]

test('says what a pending job waits for', () => {
  const blocked = agent('r-1', 'running', 'blocked: no key')
  const ones: readonly (readonly [Partial<Job>, Takers])[] = [
    [{ run_at: at(5 * minute) }, takers([agent('r-1')])],
    [{}, takers([], { isRunning: false })],
    [{}, takers([agent('c', 'running', undefined, 'clerk')], { jobTypes: new Map([['clerk', ['write_card']]]) })],
    [{ job_type: 'write_crad' }, takers([], { known: known('x', 'healthy') })],
    [{}, takers([], { isRunning: false, silent: ['Process 7 did not answer'] })],
    [{}, takers([blocked, agent('r-2')])],
    [{}, takers([blocked, agent('r-2', 'paused'), agent('r-3', 'quarantined'), agent('r-4', 'waiting')])],
    [{ target_agent: 'r-1' }, takers([blocked, agent('r-2')])],
    [{ target_agent: 'r-2' }, takers([blocked, agent('r-2', 'running', 'working')])],
    [{ target_agent: 'c' }, takers([agent('c', 'running', undefined, 'clerk')])],
    [{ target_agent: 'r2' }, takers([agent('r-2')])],
    [{ target_agent: 'far' }, takers([], { known: known('far', 'stale') })],
    [{ target_agent: 'far' }, takers([], { known: known('far', 'healthy', 'no key') })],
    [{ status: 'completed' }, takers([])],
  ]
  expect(ones.map(([more, who]) => waitsFor(job(more), who, now))).toEqual([
    'its time, in 5 min',
    'an agent that takes code_review: no team runs in .troupe (npm start)',
    'an agent that takes code_review: none of those that run here does',
    'an agent that takes write_crad: none of those that run here does; did you mean write_card?; agents that run elsewhere may take it',
    'an agent that takes code_review: none is known here; Process 7 did not answer',
    'an agent to be free, such as r-2',
    'r-1, which is blocked: no key; r-2, which is paused, until: troupe resume r-2; r-3, which is in quarantine: troupe why r-3; and 1 more',
    'its target r-1, which is blocked: no key',
    'its target r-2 to be free',
    'its target c, which takes no code_review',
    'its target r2: nobody is called so so far; did you mean r-2?',
    'its target far, which was last heard of 9 min ago',
    'its target far, which runs elsewhere and is blocked: no key',
    undefined,
  ])
})

test('shows a job with its failures, and its result with the summary first', () => {
  const long = `${'x'.repeat(500)} and so on`
  const history = [
    { attempt: 1, token: 1, outcome: 'failed', agent: 'r-1', error: 'no\u001b[2J pen\nat all', at: at(-2 * minute) },
    { attempt: 2, token: 2, outcome: 'failed', agent: 'r-1', error: long.slice(0, 500), at: at(-minute) },
  ]
  const failed = job({
    ...{ status: 'failed', attempt: 2, max_attempts: 2, assigned_to: 'r-1', completed_at: at(-minute), dead_reason: 'attempts_exhausted' },
    ...{ history, error_message: long, payload: { files: [{ name: 'a.js', text: 'y'.repeat(301) }] } },
  })
  expect(describeJob(failed, undefined, now)).toBe(`code_review
id          0b6f2f5e-1f6a-4d0e-9a53-3a1f6a1f2b11
status      failed 1 min ago, 2026-11-21 11:59:00 UTC: none of its attempts worked
            once more by: troupe jobs retry 0b6f2f5e-1f6a-4d0e-9a53-3a1f6a1f2b11
made by     outside, 1 min ago, 2026-11-21 11:59:00 UTC
priority    5
attempts    2 of 2
attempt     1 failed, r-1, 2 min ago: no·[2J pen
            at all
attempt     2 failed, r-1, 1 min ago: ${long}

Payload
{
  "files": [
    {
      "name": "a.js",
      "text": "${'y'.repeat(300)}… (301 characters)"
    }
  ]
}`)
  const result = {
    summary: 'Two findings:\r\n1. \u202ea\n2. b',
    findings: [],
    modelUsage: [{ model: 'small', inputTokens: 120, outputTokens: 30, usd: 0.0123 }],
  }
  const done = job({ status: 'completed', attempt: 1, assigned_to: 'r-1', assigned_at: at(-4_000), completed_at: at(0), result })
  expect(describeJob(done, undefined, now)).toBe(`code_review
id          0b6f2f5e-1f6a-4d0e-9a53-3a1f6a1f2b11
status      completed by r-1 0 ms ago, 2026-11-21 12:00:00 UTC, in 4 s
made by     outside, 1 min ago, 2026-11-21 11:59:00 UTC
priority    5
attempts    1 of 3
model       small: 120 tokens in, 30 out, 0.0123 USD

Result
Two findings:
1. ·a
2. b

{
  "findings": []
}`)
})

test('says who has a job, and when nobody has heard of them', () => {
  const held = { status: 'in_progress', assigned_to: 'r-1', assigned_at: at(-3 * minute) }
  expect([
    statusText(job({ ...held, lease_expires_at: at(minute) }), now),
    statusText(job({ ...held, lease_expires_at: at(-minute) }), now),
  ]).toEqual([
    'r-1 has it for 3 min',
    'r-1 has it for 3 min; it has not been heard of since 1 min ago, and the next that looks for work takes the job back',
  ])
})

test('a result alone is a text as it is, or JSON; a terminal obeys nothing in it', () => {
  const [used, text] = [[{ model: 'm', inputTokens: 1, outputTokens: 1, usd: null }], 'a\u001b[2J\nb']
  const values = [text, { output: text, modelUsage: used }, { output: text }, { summary: 'a', modelUsage: used }, [1], null]
  expect(values.map((value) => resultText(value, { isTerminal: false }))).toEqual([
    ...[text, text],
    ...values.slice(2).map((value) => JSON.stringify(value, null, 2)),
  ])
  expect(resultText(text, { isTerminal: true })).toBe('a·[2J\nb')
})
