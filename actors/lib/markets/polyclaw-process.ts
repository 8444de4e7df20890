import { spawn } from 'node:child_process'

/** A command with its arguments as they are: there is no shell, so nothing in them means anything. */
export interface Call {
  readonly command: readonly [string, ...string[]]
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** Ms until the process and its children are killed. */
  readonly timeout: number
}

/** How a call ended; only `exited` says that nothing of it runs any more by its own decision. */
export type Ended =
  | { readonly kind: 'exited'; readonly code: number; readonly stdout: string; readonly stderr: string }
  | { readonly kind: 'not_started'; readonly detail: string }
  | { readonly kind: 'killed'; readonly detail: string }

const mostOutput = 1024 * 1024

/** Runs a command to its end, or kills its whole group at the timeout: a router that starts another process leaves nothing behind. */
export function run({ command: [file, ...first], args, env, timeout }: Call): Promise<Ended> {
  return new Promise((resolve) => {
    // A group of its own: that is what can be killed as a whole.
    const child = spawn(file, [...first, ...args], {
      env,
      shell: false,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      windowsHide: true,
    })
    const output = { stdout: '', stderr: '' }
    const finish = (ended: Ended) => {
      clearTimeout(timer)
      child.stdout.destroy()
      child.stderr.destroy()
      resolve(ended)
    }
    const kill = (detail: string) => {
      killGroup(child.pid)
      finish({ kind: 'killed', detail })
    }
    const timer = setTimeout(() => kill(`no end after ${timeout} ms`), timeout)
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (chunk: string) => {
        output[name] += chunk
        if (output[name].length > mostOutput) kill(`more than ${mostOutput} characters on ${name}`)
      })
    }
    child.once('error', (error) => finish({ kind: 'not_started', detail: error.message }))
    child.once('close', (code, signal) =>
      finish(code === null ? { kind: 'killed', detail: `ended by ${signal}` } : { kind: 'exited', code, ...output }),
    )
  })
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // It has ended in this very moment.
  }
}
