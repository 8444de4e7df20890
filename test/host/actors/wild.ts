import { pbkdf2Sync } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { parentPort } from 'node:worker_threads'
import { defineActor } from 'troupe/actor'

export type Args = { init?: 'throw' | 'exit' | 'stuck' | 'block'; stopIn?: number; stop?: 'never' | 'throw' }

const argsOf = (args: unknown) => (args ?? {}) as Args
const never = () => new Promise<never>(() => {})
const shared = new Int32Array(new SharedArrayBuffer(4))
const kept: unknown[] = []

/** Fails in every way that a test asks for. */
export default defineActor({
  init(ctx) {
    const { init } = argsOf(ctx.args)
    if (init === 'throw') throw new Error('no luck')
    if (init === 'exit') process.exit(4)
    if (init === 'block') for (;;);
    if (init === 'stuck') return never()
    return {}
  },
  receive: {
    echo: (body) => body,
    env: () => process.env,
    fail() {
      throw new Error('only this turn')
    },
    exit: (body) => process.exit(Number(body)),
    throwInTimer() {
      setImmediate(() => {
        throw Object.assign(new Error('out of the blue'), { code: 'E_BLUE' })
      })
      return never()
    },
    reject() {
      void Promise.reject(new Error('nobody cared'))
      return never()
    },
    throwNull() {
      setImmediate(() => {
        throw null as unknown as Error
      })
      return never()
    },
    post: (body) => parentPort?.postMessage(body),
    stuck: never,
    spin() {
      for (;;);
    },
    microtasks: async () => {
      for (;;) await null
    },
    wait: () => Atomics.wait(shared, 0, 0),
    /** Blocks in native code, which nothing interrupts, for a second or so. */
    native: () => void pbkdf2Sync('', '', 2_500_000, 64, 'sha512'),
    /** Optimised code whose loop calls nothing but builtins: V8 cannot interrupt it. */
    zombie() {
      let keep: number[][] = []
      for (;;) {
        keep.push(new Array<number>(1_000).fill(1))
        if (keep.length > 1_000) keep = []
      }
    },
    grow: (body) => shapes[body as Shape](),
    /** As native code does: past what the shell has put in the stream's place. */
    printRaw: (body) => Object.getPrototypeOf(process.stderr).write.call(process.stderr, `${body}\n`),
  },
  async stop(ctx) {
    const { stop, stopIn = 0 } = argsOf(ctx.args)
    if (stop === 'never') await never()
    if (stop === 'throw') throw new Error('cannot close')
    await setTimeout(stopIn)
  },
})

export type Shape = keyof typeof shapes

/** Ways to take memory without end. */
const shapes = {
  array() {
    const array: number[] = []
    for (let next = 0; ; next += 1) array.push(next)
  },
  arrays() {
    for (;;) kept.push([1, 2, 3, 4, 5, 6, 7, 8])
  },
  map() {
    const map = new Map<number, number>()
    for (let key = 0; ; key += 1) map.set(key, key)
  },
  strings() {
    for (let next = 0; ; next += 1) kept.push(`${next} and some text that makes it longer`.repeat(20))
  },
  doubling() {
    for (let text = 'x'; ; text += text) kept.push(Buffer.from(text))
  },
  huge() {
    for (;;) kept.push(new Array(2 ** 22).fill(kept.length))
  },
  dictionary() {
    const dictionary: Record<string, number> = {}
    for (let key = 0; ; key += 1) dictionary[`key${key}`] = key
  },
  buffers() {
    for (;;) kept.push(Buffer.alloc(2 ** 20, 1))
  },
}
