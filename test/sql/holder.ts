import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Result, Statement } from './job-holder.ts'
import type { Claim, ClaimRequest, Job, Verdict } from './job-queue.ts'

/** Another process with a database session of its own. */
export type Holder = AsyncDisposable & {
  run: (text: string, parameters?: string[]) => Promise<unknown[]>
  claim: (request?: ClaimRequest) => Promise<Job[]>
  finish: (job: Job, ending: Record<string, unknown>) => Promise<Verdict>
  /** Sends a signal; SIGKILL resolves when the process is gone. */
  signal: (name: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT') => Promise<void>
}

/** Starts a process that holds jobs until it is told otherwise, killed or frozen. */
export function startHolder(url: string): Holder {
  const child = fork(join(import.meta.dirname, 'job-holder.ts'), [url], { execArgv: [] })
  const exited = once(child, 'exit')
  const waiting = new Map<number, (result: Result) => void>()
  child.on('message', (result: Result) => waiting.get(result.id)?.(result))

  const run: Holder['run'] = async (text, parameters = []) => {
    const id = waiting.size
    const answer = new Promise<Result>((resolve) => waiting.set(id, resolve))
    child.send({ id, text, parameters } satisfies Statement)
    const { rows, error } = await answer
    if (error) throw new Error(error)
    return rows ?? []
  }
  const call = async <Answer>(name: string, element: object): Promise<Answer> => {
    const rows = await run(`select public.${name}($1::text::jsonb) -> 0 as answer`, [JSON.stringify([element])])
    return (rows as Array<{ answer: Answer }>)[0]?.answer as Answer
  }
  const signal: Holder['signal'] = async (name) => {
    child.kill(name)
    if (name === 'SIGKILL') await exited
  }
  return {
    run,
    claim: async (request) => (await call<Claim>('claim_jobs', { agent_id: 'holder', ...request })).jobs,
    finish: async ({ job_id, lease_token }, ending) =>
      (await call<{ verdict: Verdict }>('finish_jobs', { job_id, lease_token, ...ending })).verdict,
    signal,
    [Symbol.asyncDispose]: () => (child.exitCode === null && child.signalCode === null ? signal('SIGKILL') : Promise.resolve()),
  }
}
