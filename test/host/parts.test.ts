import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { createTroupe } from '../../src/host/troupe.ts'
import { tempFolder } from '../helpers.ts'

const opened = vi.hoisted((): string[] => [])
vi.mock('../../src/host/shell.ts', () => ({ writeShell: () => Promise.reject(new Error('no space left on device')) }))
vi.mock('../../src/host/open.ts', async (load) => ({
  ...(await load<typeof import('../../src/host/open.ts')>()),
  openConfigured: async ({ kind }: { kind: string }) => {
    opened.push(kind)
    return {}
  },
}))

test('a start that cannot write what threads begin with leaves no store open', async () => {
  await using folder = await tempFolder()
  const troupe = createTroupe({
    config: { teams: [{ id: 'team', agents: [{ id: 'a', type: 'wild' }] }] },
    root: join(import.meta.dirname, '../..'),
    actors: join(import.meta.dirname, 'actors'),
    env: {},
    folder: folder.path,
    watches: false,
  })
  await expect(troupe.start()).rejects.toThrow('no space left on device')
  await troupe.stop()
  expect(opened).toEqual([])
})
