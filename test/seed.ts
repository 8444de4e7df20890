import fc from 'fast-check'

const { TROUPE_TEST_SEED, TROUPE_TEST_RUNS } = process.env

/** What everything random in this run of the tests starts from. */
export const seed = Number(TROUPE_TEST_SEED ?? Date.now() % 2 ** 31)

/** For the message of a failure: how to have the same chances again. */
export const again = `again with TROUPE_TEST_SEED=${seed}`

/** How a property is checked: from the run's seed, and so many times unless TROUPE_TEST_RUNS says otherwise. */
export function runs<Values>(count = 100): fc.Parameters<Values> {
  return {
    seed,
    numRuns: Number(TROUPE_TEST_RUNS ?? count),
    reporter(run) {
      if (run.failed) throw new Error(`${fc.defaultReportMessage(run)}\n${again}`, { cause: run.errorInstance })
    },
  }
}
