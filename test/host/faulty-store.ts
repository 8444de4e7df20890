import type { StoreFunctions } from '../../src/store/functions.ts'
import type { Store } from '../../src/store/store.ts'
import { storeError } from '../../src/store/store-error.ts'

export type Fault = 'none' | 'lost' | 'away'

/**
 * A store in front of another one, with faults: `lost` does the call and loses its answer, `away` does not even do it. Whoever
 * calls sees the same either way.
 */
export function faultyStore(store: Store, faultOf: (name: keyof StoreFunctions) => Fault): Store {
  const away = (name: string) => storeError(`${name}: no answer, as asked`, { kind: 'unavailable', code: '', function: name })
  return {
    ...store,
    kind: store.kind,
    async call(name, args, options) {
      const fault = faultOf(name)
      if (fault === 'away') throw away(name)
      const answer = await store.call(name, args, options)
      if (fault === 'lost') throw away(name)
      return answer
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}
