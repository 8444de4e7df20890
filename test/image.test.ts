import { globSync, readFileSync } from 'node:fs'
import { join, matchesGlob } from 'node:path'
import { expect, test } from 'vitest'
import packageJson from '../package.json' with { type: 'json' }

const root = join(import.meta.dirname, '..')
const read = (name: string) => readFileSync(join(root, name), 'utf8')

const patterns = read('.dockerignore').split('\n').filter(Boolean)
/** Whether a path gets to whoever builds the image: neither it nor a folder above it is left out. */
function isSent(path: string): boolean {
  const parts = path.split('/')
  const paths = parts.map((_, at) => parts.slice(0, at + 1).join('/'))
  return !paths.some((each) => patterns.some((pattern) => matchesGlob(each, pattern) || matchesGlob(each, pattern.replace('**/', ''))))
}

const instructions = read('Dockerfile').replaceAll('\\\n', ' ').split('\n')
const stages = instructions
  .join('\n')
  .split(/^FROM /m)
  .slice(1)
/** What the stages copy from the project. */
const copied = stages.map((stage) => [...stage.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, sources = '']) => sources.split(' ')))

test('the image has everything that the program reads', () => {
  const needed = ['package.json', ...packageJson.files]
  const files = needed.flatMap((name) => globSync([name, `${name}/**/*.*`], { cwd: root }))
  expect(copied[0]?.filter((name) => !isSent(name))).toEqual([])
  expect(needed.filter((name) => !copied[1]?.includes(name))).toEqual([])
  expect(files.filter((name) => !isSent(name) && !name.startsWith('supabase/tests'))).toEqual([])
  expect(files).toContain('supabase/embedded/pg18.tar.zst')
})

test('the image has no secrets, and nothing that is made anew', () => {
  const kept = [
    '.env',
    '.env.production',
    'config/.env',
    '.git/config',
    '.troupe/run.json',
    'node_modules/zod/index.js',
    'test/image.test.ts',
    'npm.log',
    'src/a.log',
  ]
  expect(kept.filter(isSent)).toEqual([])
})

test('the image runs as nobody special, and signals reach the program', () => {
  const last = stages.at(-1) ?? ''
  expect(stages.map((stage) => stage.split(/\s/)[0])).toEqual(['node:24-slim', 'node:24-slim'])
  expect(last.match(/^(USER|CMD|EXPOSE|VOLUME) .*/gm)).toEqual(['USER node', 'EXPOSE 8080', 'CMD ["node", "troupe.js", "start"]'])
  expect(packageJson.scripts.start).toBe('node troupe.js start')
})

test('Railway waits for /ready, and for the drain', () => {
  const { build, deploy } = JSON.parse(read('railway.json'))
  expect([build.builder, deploy.healthcheckPath, deploy.drainingSeconds > 20]).toEqual(['DOCKERFILE', '/ready', true])
})
