import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { pause } from '../src/cli/pause.ts'
import { restart } from '../src/cli/restart.ts'
import { resume } from '../src/cli/resume.ts'
import { send } from '../src/cli/send.ts'
import { why } from '../src/cli/why.ts'
import { idsOf, parseConfig } from '../src/sources/config.ts'

const root = join(import.meta.dirname, '..')
const given = { file: 'config', env: {} }
const read = (path: string) => readFile(join(root, path), 'utf8')

test('the first agent that the README shows is the one that runs', async () => {
  const [readme, actor] = [await read('README.md'), await read('actors/greeter.ts')]
  const [, shown] = /This is `actors\/greeter\.ts`[^`]*`[^`]*`[^`]*```ts\n(.*?)```/s.exec(readme) ?? []
  expect(shown).toBe(actor)
})

test('the commands that the README and the help show are about agents of the shipped teams', async () => {
  const commands = [why, send, restart, pause, resume]
  const shown = [await read('README.md'), ...commands.flatMap(({ examples }) => examples)].join('\n')
  const named = [...shown.matchAll(/troupe (?:why|send|restart|pause|resume) (\w[\w-]*)/g)].map(([, id]) => id)
  const configs = await Promise.all(['troupe', 'hello'].map(async (name) => parseConfig(await read(`config/${name}.yaml`), given)))
  const ids = configs.flatMap(({ teams }) => teams.flatMap(({ agents }) => agents.flatMap(idsOf)))
  expect(ids).toEqual(expect.arrayContaining(named))
})

test('the example of an environment has every variable that the shipped configs name', async () => {
  const configs = await Promise.all(['troupe', 'bazaar', 'all', 'solo', 'hello'].map((name) => read(`config/${name}.yaml`)))
  const named = [...configs.join('').matchAll(/\$\{([A-Z_]+)/g)].map(([, name]) => name)
  const listed = [...(await read('config/.env.example')).matchAll(/^# ([A-Z_]+)=/gm)].map(([, name]) => name)
  expect(listed).toEqual(expect.arrayContaining([...named, 'LOG_LEVEL', 'DATABASE_URL', 'LLM_MODEL', 'PORT']))
})
