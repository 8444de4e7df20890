import { EventEmitter } from 'node:events'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Event, Events } from '../../src/core/events.ts'
import { type ComputeServiceOptions, createCompute } from '../../src/services/compute.ts'
import type { Caller } from '../../src/services/service.ts'

export const caller: Caller = { team: 'team', agent: 'a', type: 'scanner', source: 'message', id: 'm1', name: 'scan' }
const sample = pathToFileURL(join(import.meta.dirname, 'tasks/sample.ts')).href

type Given = { readonly timeout?: number; readonly transfer?: readonly unknown[]; readonly signal?: AbortSignal }

/** A pool whose tasks lie in the folder of this test, with ears. */
export function openPool(options: Partial<ComputeServiceOptions> = {}) {
  const lines: string[] = []
  const events: Event[] = []
  const ears = new EventEmitter<{ [Name in keyof Events]: [Events[Name]] }>()
  const compute = createCompute({
    code: join(import.meta.dirname, 'no-such-folder'),
    actors: import.meta.dirname,
    emit(event) {
      events.push(event)
      ears.emit(event.name, event as never)
    },
    log: (text) => lines.push(...text.trimEnd().split('\n')),
    ...options,
  })

  async function run(task: string, input: unknown = null, { signal = new AbortController().signal, ...rest }: Given = {}) {
    const { value } = await compute.use(caller, { task: `${sample}#${task}`, input, ...rest }, signal)
    return value
  }

  return {
    compute,
    lines,
    events,
    ears,
    run,
    /** What it failed of: its reason and words. */
    failure: (...args: Parameters<typeof run>) =>
      run(...args).then(
        (value) => `no error but ${JSON.stringify(value)}`,
        ({ code, message, details }) => `${code} ${details?.reason}: ${message}`,
      ),
    [Symbol.asyncDispose]: () => compute.close(),
  }
}

/** Shared memory in which a task says that it runs. */
export function flag() {
  const shared = new Int32Array(new SharedArrayBuffer(4))
  return { shared, raised: async () => (Atomics.load(shared, 0) === 1 ? 'ok' : await Atomics.waitAsync(shared, 0, 0, 20_000).value) }
}
