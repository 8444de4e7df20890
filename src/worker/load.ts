import type { Definition } from '../actor.ts'
import { readDefinition } from './definition.ts'
import { importFile } from './import-file.ts'

/** Imports an actor file; MODULE_INVALID with its cause when it cannot be loaded or is none. `file` is a path or a file URL. */
export async function loadDefinition(file: string): Promise<Definition> {
  return readDefinition(await importFile(file), file)
}
