import * as z from 'zod'

const second = 1_000
const durations = { ms: 1, s: second, m: 60 * second, h: 3_600 * second, d: 86_400 * second } as const
const sizes = { B: 1, KB: 2 ** 10, MB: 2 ** 20, GB: 2 ** 30 } as const

/** A number with a unit from the table, or a bare number in the table's own unit. */
function measured(units: Readonly<Record<string, number>>, example: string) {
  const pattern = new RegExp(`^\\s*(\\d+(?:\\.\\d+)?)\\s*(${Object.keys(units).join('|')})\\s*$`)
  const error = `expected ${example}`
  return z.union([z.number().nonnegative({ error }), z.string().regex(pattern, { error })], { error }).transform((value) => {
    if (typeof value === 'number') return value
    const [, amount = '', unit = ''] = pattern.exec(value) ?? []
    return Math.round(Number(amount) * (units[unit] ?? 1))
  })
}

/** `200ms`, `5s`, `2m`, `1h`, or a bare number of milliseconds. */
export const duration = measured(durations, 'a duration like 200ms, 5s, 2m or 1h')

/** A duration that has to last: of none, nobody would ever be in time. */
export const span = duration.refine((ms) => ms > 0, { error: 'expected a duration longer than 0' })

/** `256MB`, `1GB`, or a bare number of bytes. */
export const size = measured(sizes, 'a size like 256MB or 1GB')
