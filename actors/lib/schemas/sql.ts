import { existsSync, readFileSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import v8 from 'node:v8'
import vm from 'node:vm'
import { zstdDecompressSync } from 'node:zlib'
import { PGlite } from '@electric-sql/pglite'
import { parse } from 'libpg-query'
import { lineFinder } from '../lines.ts'
import { error, type Issue } from './issue.ts'

/** The fresh database that Troupe ships: making one takes 1 GB for a moment. */
const shipped = new URL('../supabase/embedded/pg18.tar.zst', import.meta.resolve('troupe/actor'))
const most = 20

/** Judges DDL by running it in a PostgreSQL that exists only for it, one statement after the other, so that each error is found. */
export async function checkSql(text: string): Promise<readonly Issue[]> {
  const statements = await split(text)
  if (!Array.isArray(statements)) return [statements as Issue]
  await free()
  try {
    return await run(statements)
  } finally {
    await free()
  }
}

async function run(statements: readonly Statement[]): Promise<readonly Issue[]> {
  await using database = await PGlite.create({ ...fresh(), postgresqlconf: ['shared_buffers=8MB', 'max_wal_size=64MB'] })
  const issues: Issue[] = []
  for (const [index, { sql, line }] of statements.entries()) {
    try {
      await database.exec(sql)
    } catch (thrown) {
      issues.push(error(`statement ${index + 1}`, line, (thrown as Error).message))
      // What failed within begin and commit would fail all that follows in it.
      await database.exec('rollback')
      if (issues.length === most) break
    }
  }
  return issues
}

function fresh(): { loadDataDir?: Blob } {
  return existsSync(shipped) ? { loadDataDir: new Blob([zstdDecompressSync(readFileSync(shipped))]) } : {}
}

/** A closed database holds 240 MB until it is collected, which V8 sees no hurry for: two of them would exceed what a thread may hold. */
async function free(): Promise<void> {
  await setImmediate()
  v8.setFlagsFromString('--expose-gc')
  vm.runInNewContext('gc')()
}

interface Statement {
  readonly sql: string
  readonly line: number
}

/** The parser counts bytes; its places have to be read in the bytes of the text. */
async function split(text: string): Promise<Statement[] | Issue> {
  const bytes = Buffer.from(text)
  try {
    const { stmts = [] } = (await parse(text)) as { stmts?: { stmt_location?: number; stmt_len?: number }[] }
    if (stmts.length === 0) return error('/', null, 'there is no statement')
    const lineOf = lineFinder(bytes)
    return stmts.map(({ stmt_location: from = 0, stmt_len: length }) => {
      const sql = bytes.subarray(from, length ? from + length : undefined).toString()
      // The blanks before it are counted to it, each of one byte.
      return { sql, line: lineOf(from + (/^\s*/.exec(sql)?.[0].length ?? 0)) }
    })
  } catch (thrown) {
    const { message, sqlDetails } = thrown as Error & { sqlDetails?: { cursorPosition: number } }
    const line = sqlDetails ? text.slice(0, sqlDetails.cursorPosition).split('\n').length : null
    return error('/', line, message)
  }
}
