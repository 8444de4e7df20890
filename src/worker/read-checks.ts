import { mostRows } from '../core/most-rows.ts'
import { checkName, checkNumber, refuse } from './checks.ts'
import { pathText } from './path.ts'

const comparisons: ReadonlySet<string> = new Set(['neq', 'gt', 'gte', 'lt', 'lte', 'in'])
const one = 'a text, a number, true, false or null'
const condition = `${one}, or an object of ${[...comparisons].join(', ')}`

/**
 * Refuses a filter and options that are not of their type: the host would take one that it cannot write as a request for a store
 * that is away, and a condition that is undefined for none.
 */
export function checkRead(filter: unknown, { order, limit }: { readonly order?: unknown; readonly limit?: unknown }): void {
  if (!isFields(filter)) refuse('The filter of ctx.db.read', filter, 'an object of conditions by column')
  for (const [column, value] of Object.entries(filter)) checkCondition(`The ${pathText('filter', [column])} of ctx.db.read`, value)
  checkOrder(order)
  checkNumber(limit, 'The limit of ctx.db.read', { most: mostRows })
}

function checkCondition(what: string, value: unknown): void {
  if (isScalar(value)) return
  const compared = isFields(value) ? Object.entries(value) : []
  if (compared.length === 0 || !compared.every(([name]) => comparisons.has(name))) refuse(what, value, condition)
  for (const [name, wanted] of compared) {
    if (name !== 'in' && !isScalar(wanted)) refuse(what, value, `${one} for ${name}`)
    if (name === 'in' && !(Array.isArray(wanted) && wanted.every(isScalar))) refuse(what, value, 'a list of values for in')
  }
}

function checkOrder(order: unknown): void {
  if (order === undefined) return
  if (!Array.isArray(order)) refuse('The order of ctx.db.read', order, 'a list like [{ by: "created_at", descending: true }]')
  for (const [at, column] of order.entries()) checkColumn(column, `order[${at}]`)
}

function checkColumn(column: unknown, path: string): void {
  if (!isFields(column)) refuse(`The ${path} of ctx.db.read`, column, 'an object like { by: "created_at" }')
  checkName(column.by, `The ${path}.by of ctx.db.read`)
}

function isFields(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** JSON makes a text of a date. */
function isScalar(value: unknown): boolean {
  return value === null || ['string', 'number', 'boolean'].includes(typeof value) || value instanceof Date
}
