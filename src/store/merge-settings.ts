import type { PGliteInterface } from '@electric-sql/pglite'
import type { Sql } from 'postgres'

/** How lite sends each setting of a request, ten of them before each statement. */
const settingPattern = /^\s*select\s+set_config\('(?<name>[\w.]+)',\s*(?:\$1|'(?<text>[^']*)'),\s*true\)\s*;?\s*$/i
const beginPattern = /^\s*begin\b/i
const endPattern = /^\s*(commit|rollback)\b/i

type Setting = { readonly name: string; readonly value: unknown }
type Query<Result> = (sql: string, parameters?: readonly unknown[], ...more: never[]) => PromiseLike<Result>

/**
 * Keeps a request's settings back until its first real statement and sends them in one: one by one they take longer than the
 * statement. They hold until the transaction ends, so what is left of them then is void. `answer` is what a setting returns,
 * `always` is set in each transaction besides.
 */
export function mergeSettings<Result>(
  query: Query<Result>,
  answer: (value: unknown) => Result,
  always: readonly Setting[] = [],
): Query<Result> {
  let kept: Setting[] = []

  async function send(): Promise<void> {
    const settings = kept
    if (settings.length === 0) return
    kept = []
    const calls = settings.map((_, at) => `set_config($${2 * at + 1}, $${2 * at + 2}, true)`)
    const values = settings.flatMap(({ name, value }) => [name, value])
    await query(`select ${calls.join(', ')}`, values)
  }

  return async (sql, parameters, ...more) => {
    const setting = settingPattern.exec(sql)?.groups
    if (setting?.name) {
      const value = setting.text ?? parameters?.[0] ?? null
      kept.push({ name: setting.name, value })
      return answer(value)
    }
    if (beginPattern.test(sql)) kept = [...always]
    else if (endPattern.test(sql)) kept = []
    else await send()
    return await query(sql, parameters, ...more)
  }
}

/** Merges the settings of PGlite's one session. */
export function mergeForPglite(driver: PGliteInterface): void {
  const query = driver.query.bind(driver) as Query<unknown>
  Reflect.set(
    driver,
    'query',
    mergeSettings<unknown>(query, (value) => ({ rows: [{ set_config: value }], fields: [] })),
  )
}

/** How long a request may be in hand without its process doing anything: one that is frozen must not keep its locks. */
export const longestPause = '5s'

/** Merges those of each session that lite reserves for a request, and limits how long it holds its locks for nothing. */
export function mergeForServer(driver: Pick<Sql, 'reserve'>, { pause = longestPause } = {}): void {
  const always = [{ name: 'idle_in_transaction_session_timeout', value: pause }]
  const reserve = driver.reserve.bind(driver)
  driver.reserve = async () => {
    const session = await reserve()
    const query = session.unsafe.bind(session) as Query<unknown>
    const answer = (value: unknown) => Object.assign([{ set_config: value }], { count: 1, command: 'SELECT' })
    Reflect.set(session, 'unsafe', mergeSettings<unknown>(query, answer, always))
    return session
  }
}
