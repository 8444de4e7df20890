/** Runs pieces of work one after the other, in the order in which they came; one that fails holds up nothing. */
export function createSerial() {
  let last: Promise<unknown> = Promise.resolve()
  return {
    run<Value>(work: () => Promise<Value>): Promise<Value> {
      const result = last.then(work)
      last = result.catch(() => {})
      return result
    },
    /** Resolves when everything so far has ended. */
    idle: async (): Promise<void> => void (await last),
  }
}
