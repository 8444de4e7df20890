import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/**
 * Collects this thread's garbage: what `gc` is with --expose-gc, which a new context has while the flag is set. The flag is the whole
 * process's and is taken back: as long as any flag is not as it was when Node was built, each new thread compiles Node itself anew.
 * Measured: a bare thread then comes up in 36 ms instead of 28.
 */
export function collectGarbage(): void {
  if (globalThis.gc) return void globalThis.gc() // who started Node with the flag wants to keep it
  setFlagsFromString('--expose-gc')
  // Another thread may have taken it back meanwhile.
  const gc: (() => void) | undefined = runInNewContext("typeof gc === 'function' ? gc : undefined")
  setFlagsFromString('--no-expose-gc')
  gc?.()
}
