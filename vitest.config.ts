import { join } from 'node:path'
import { defineConfig } from 'vitest/config'
import { SlowestFirst } from './test/slowest-first.ts'

// Forks: an actor under test may exhaust its heap, and in a shared process that would end the whole run. As in production they and the
// threads in them find compiled what others have loaded.
const env = { NODE_COMPILE_CACHE: join(import.meta.dirname, 'node_modules/.cache/troupe-test') }
const common = { pool: 'forks', testTimeout: 30_000, hookTimeout: 60_000, expect: { poll: { timeout: 20_000 } }, env } as const
// Many tests wait for a thread or a lease: four files at a time keep two cores busy, one (the default there) does not.
const quick = { ...common, maxWorkers: 4 } as const
// What waits for an event waits for it on a busy machine too; a landing must not be a matter of who else uses the processor.
const patient = { ...common, testTimeout: 120_000, maxWorkers: 4 } as const
// These start no thread that outlives a test and change nothing that is the process's: a process for each would take more than they do.
const light = ['core', 'sources', 'actors'].map((folder) => `test/${folder}/**/*.test.ts`)
const slow = 'test/**/*.{pg,long}.test.ts'

export default defineConfig({
  test: {
    sequence: { sequencer: SlowestFirst },
    projects: [
      { test: { ...quick, name: 'unit', include: ['test/**/*.test.ts'], exclude: [...light, slow] } },
      { test: { ...quick, name: 'light', include: light, exclude: [slow], isolate: false } },
      // Many random stories, and long backlogs: every landing runs them, not every change.
      { test: { ...patient, name: 'long', include: ['test/**/*.long.test.ts'] } },
      // Four files at a time, with a dozen connections for each of their processes, stay below the 200 of .ci/postgres.
      { test: { ...patient, name: 'pg', include: ['test/**/*.pg.test.ts'], globalSetup: 'test/postgres-setup.ts' } },
    ],
  },
})
