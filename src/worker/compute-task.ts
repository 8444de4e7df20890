import { flushCompileCache } from 'node:module'
import { parentPort, type Transferable } from 'node:worker_threads'
import type { Task } from '../core/compute.ts'
import { ActorError } from '../core/errors.ts'
import type { ErrorData } from '../core/frames.ts'
import { captureConsole } from './console.ts'
import { toErrorData } from './error-data.ts'
import { importFile } from './import-file.ts'
import { logLine } from './log.ts'

/** What a thread of the pool gets. */
export type TaskFrame = {
  readonly id: number
  /** Who asked for it. */
  readonly agent: string
  readonly file: string
  readonly name: string
  readonly input: unknown
}

/** What became of a task. `moved` names the parts of the value that were not copied. */
export type Answer =
  | { readonly kind: 'done'; readonly id: number; readonly value: unknown; readonly moved: readonly Transferable[] }
  | { readonly kind: 'failed'; readonly id: number; readonly at: 'load' | 'run' | 'result'; readonly error: ErrorData }

/** What it printed. */
export type LogLines = { readonly kind: 'log'; readonly lines: string }

/** What is printed outside of a task is of the one before it. */
const printing: { agent: string | null } = { agent: null }

if (parentPort) {
  captureConsole((level, message) => send({ kind: 'log', lines: `${logLine(level, printing.agent, message)}\n` }))
  // The next thread need not compile what this one has.
  flushCompileCache()
}

/**
 * Runs one task. Its answer goes past the pool, which knows how to move parts of a result only for those who load it, and would
 * end the thread for a result that cannot be cloned.
 */
export async function run({ id, agent, file, name, input }: TaskFrame): Promise<void> {
  printing.agent = agent
  const moved: Transferable[] = []
  let at: 'load' | 'run' | 'result' = 'load'
  try {
    const task = await taskOf(file, name)
    at = 'run'
    const value = await task(input, {
      transfer(given, parts) {
        moved.push(...parts)
        return given
      },
    })
    at = 'result'
    send({ kind: 'done', id, value, moved }, moved)
  } catch (error) {
    send({ kind: 'failed', id, at, error: toErrorData(error) })
  }
}

/** By file; a copy never changes, and an import takes longer than many a task, the second one too. */
const imported = new Map<string, Readonly<Record<string, unknown>>>()

async function taskOf(file: string, name: string): Promise<Task> {
  const exports = imported.get(file) ?? (await importFile(file))
  imported.set(file, exports)
  const found = Object.hasOwn(exports, name) ? exports[name] : undefined
  if (typeof found === 'function') return found as Task
  const others = Object.keys(exports).filter((key) => typeof exports[key] === 'function')
  const says = found === undefined ? `exports no "${name}"` : `exports "${name}", which is no function`
  throw new ActorError('MODULE_INVALID', `${file} ${says}; its functions are ${others.join(', ') || 'none'}`)
}

function send(one: Answer | LogLines, moved: readonly Transferable[] = []): void {
  parentPort?.postMessage(one, moved)
}
