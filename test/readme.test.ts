import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '..')
const read = (path: string) => readFile(join(root, path), 'utf8')

test('the first agent that the README shows is the one that runs', async () => {
  const [readme, actor] = [await read('README.md'), await read('actors/greeter.ts')]
  const [, shown] = /This is `actors\/greeter\.ts`[^`]*`[^`]*`[^`]*```ts\n(.*?)```/s.exec(readme) ?? []
  expect(shown).toBe(actor)
})

test('the example of an environment has every variable that the shipped configs name', async () => {
  const configs = await Promise.all(['troupe', 'bazaar', 'all', 'solo', 'hello'].map((name) => read(`config/${name}.yaml`)))
  const named = [...configs.join('').matchAll(/\$\{([A-Z_]+)/g)].map(([, name]) => name)
  const listed = [...(await read('config/.env.example')).matchAll(/^# ([A-Z_]+)=/gm)].map(([, name]) => name)
  expect(listed).toEqual(expect.arrayContaining([...named, 'LOG_LEVEL', 'DATABASE_URL', 'LLM_MODEL', 'PORT']))
})
