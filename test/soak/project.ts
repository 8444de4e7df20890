import { cp, mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

const repository = join(import.meta.dirname, '../..')

/** Makes a folder that is to Troupe what a user's own project is: its package, its actor files, its config. */
export async function makeProject(folder: string, config: object): Promise<void> {
  await mkdir(folder, { recursive: true })
  await cp(join(repository, 'package.json'), join(folder, 'package.json'))
  for (const name of ['src', 'node_modules']) await symlink(join(repository, name), join(folder, name))
  await cp(join(import.meta.dirname, 'actors'), join(folder, 'actors'), { recursive: true })
  await writeFile(join(folder, 'bank.yaml'), JSON.stringify(config, null, 2))
}
