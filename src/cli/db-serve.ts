import { once } from 'node:events'
import { openEmbedded } from '../store/embedded.ts'
import { readMigrations } from '../store/migrate.ts'
import { storeError } from '../store/store-error.ts'
import { storeTarget } from '../store/target.ts'
import { type Command, type ExitCode, type Input, UsageError } from './command.ts'
import { printJson, styled } from './print.ts'
import { storeSettings, teamOptions } from './team-input.ts'

/** Offers the embedded database as a Supabase API on this machine, until it is told to stop. */
export const dbServe: Command = {
  summary: 'serve the embedded database as a Supabase API on 127.0.0.1',
  usage: '[--port 54321] [--config <file>] [--folder <path>] [--json]',
  examples: ['troupe db serve', 'SUPABASE_SERVICE_KEY=sb_secret_… troupe db serve --port 8000'],
  options: { ...teamOptions, port: { type: 'string', value: '<port>', help: 'where to listen (default 54321; 0: any free port)' } },
  async run(input: Input): Promise<ExitCode> {
    const { options, env } = input
    const port = parsePort(options.port)
    const { folder } = await storeSettings(input)
    const target = storeTarget({ SUPABASE_SERVICE_KEY: env.SUPABASE_SERVICE_KEY })
    const given = target.kind === 'embedded' ? target.key : undefined
    const stop = Promise.race(['SIGINT', 'SIGTERM'].map((signal) => once(process, signal)))
    const store = await openEmbedded({ folder, migrations: await readMigrations(), key: given, port })
    try {
      const { url, key, pid } = store.holder
      if (store.role === 'guest') throw storeError(`Process ${pid} serves ${folder} already, at ${url}`, { kind: 'unavailable', code: '' })
      if (options.json) printJson({ url, pid, folder, ...(given ? {} : { key }) })
      else printReady(url, given ? undefined : key)
      await stop
      return 0
    } finally {
      await store.close()
    }
  },
}

function printReady(url: string, key: string | undefined): void {
  console.log(`SUPABASE_URL=${url}`)
  console.log(key ? `SUPABASE_SERVICE_KEY=${key}` : styled('dim', 'SUPABASE_SERVICE_KEY as in the environment'))
  console.log(styled('dim', 'Ctrl-C ends it.'))
}

function parsePort(given: string | boolean | undefined): number {
  const text = String(given ?? 54_321)
  if (/^\d{1,5}$/.test(text) && Number(text) < 65_536) return Number(text)
  throw new UsageError(`db serve: --port: expected a number from 0 to 65535, found ${JSON.stringify(text)}`)
}
