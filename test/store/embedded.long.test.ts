import { describe } from 'vitest'
import { openBackend } from '../../src/store/open.ts'
import { tempFolder } from '../helpers.ts'
import { testStore } from './conformance.ts'

describe('the embedded store', () => {
  testStore(async () => {
    const folder = await tempFolder()
    const backend = await openBackend({ env: {}, folder: folder.path })
    return {
      ...backend,
      async close() {
        await backend.close()
        await folder[Symbol.asyncDispose]()
      },
    }
  })
})
