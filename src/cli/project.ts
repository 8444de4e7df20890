import { join, resolve } from 'node:path'
import type { DesiredOptions } from '../host/desired.ts'
import { openFolder } from '../host/open.ts'
import { createProbe } from '../host/probe.ts'
import { fileSource } from '../sources/file.ts'
import type { Source } from '../sources/source.ts'
import { withDocuments } from '../sources/with-documents.ts'
import type { Input } from './command.ts'
import { configFile, likelyStoreSettings } from './team-input.ts'

/** A project as `troupe start` sees it, with nothing of it running. */
export interface Project extends AsyncDisposable {
  readonly file: string
  readonly source: Source
  readonly settings: DesiredOptions
}

export async function openProject(input: Input): Promise<Project> {
  const root = process.cwd()
  const file = configFile(input)
  const folder = resolve(root, (await likelyStoreSettings(input)).folder)
  await openFolder(folder)
  const settings = { root, actors: join(root, 'actors'), code: join(folder, 'code'), env: input.env, probe: createProbe() }
  const source = withDocuments(fileSource(resolve(root, file), input.env), input.env)
  return { file, source, settings, [Symbol.asyncDispose]: source.close }
}
