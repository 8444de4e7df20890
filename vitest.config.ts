import { defineConfig } from 'vitest/config'

// Forks: an actor under test may exhaust its heap, and in a shared process that would end the whole run.
const common = { pool: 'forks', testTimeout: 30_000, hookTimeout: 60_000 } as const
// What waits for an event waits for it on a busy machine too; a landing must not be a matter of who else uses the processor.
const patient = { testTimeout: 120_000 } as const

export default defineConfig({
  test: {
    projects: [
      // Many tests wait for a thread or a lease: three files at a time keep two cores busy, one (the default there) does not.
      { test: { ...common, name: 'unit', include: ['test/**/*.test.ts'], exclude: ['test/**/*.{pg,long}.test.ts'], maxWorkers: 3 } },
      // Many random stories, and long backlogs: every landing runs them, not every change.
      { test: { ...common, ...patient, name: 'long', include: ['test/**/*.long.test.ts'], maxWorkers: 4 } },
      // Four files at a time, with a dozen connections for each of their processes, stay below the 200 of .ci/postgres.
      {
        test: {
          ...common,
          ...patient,
          name: 'pg',
          include: ['test/**/*.pg.test.ts'],
          globalSetup: 'test/postgres-setup.ts',
          maxWorkers: 4,
        },
      },
    ],
  },
})
