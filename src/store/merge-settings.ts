import type { PGliteInterface, Results } from '@electric-sql/pglite'

/** How lite sends each setting of a request, a dozen of them before each statement. */
const settingPattern = /^\s*select\s+set_config\('(?<name>[\w.]+)',\s*(?:\$1|'(?<text>[^']*)'),\s*true\)\s*;?\s*$/i
const endPattern = /^\s*(begin|commit|rollback|end|abort)\b/i

type Setting = { readonly name: string; readonly value: unknown }

/**
 * Keeps a request's settings back until its first real statement and sends them in one: each alone takes a quarter of a
 * millisecond, all of them as long as the statement. They hold until the transaction ends, so what is left of them then is void.
 */
export function mergeSettings(driver: Pick<PGliteInterface, 'query'>): void {
  const query = driver.query.bind(driver)
  let kept: Setting[] = []

  async function send(): Promise<void> {
    const settings = kept
    if (settings.length === 0) return
    kept = []
    const calls = settings.map((_, at) => `set_config($${2 * at + 1}, $${2 * at + 2}, true)`)
    await query(
      `select ${calls.join(', ')}`,
      settings.flatMap(({ name, value }) => [name, value]),
    )
  }

  async function merged<Row>(sql: string, parameters?: unknown[], options?: Parameters<typeof query>[2]): Promise<Results<Row>> {
    const setting = settingPattern.exec(sql)?.groups
    if (setting?.name) {
      const value = setting.text ?? parameters?.[0] ?? null
      kept.push({ name: setting.name, value })
      return { rows: [{ set_config: value } as Row], fields: [{ name: 'set_config', dataTypeID: 25 }], affectedRows: 0 }
    }
    if (endPattern.test(sql)) kept = []
    else await send()
    return await query<Row>(sql, parameters, options)
  }

  driver.query = merged
}
