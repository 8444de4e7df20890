/**
 * Makes plain values of what MongoDB's driver gives: ids, dates and whole numbers as their text or number, decimals as numbers. What has
 * no plain form stays as it is, and whoever checks the value says so.
 */
export function plainValue(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(plainValue)
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? value : value.toISOString()
  if ('_bsontype' in value) return plainBson(value, value._bsontype)
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plainValue(inner)]))
}

function plainBson(value: object, type: unknown): unknown {
  switch (type) {
    case 'ObjectId':
      return String(value)
    case 'Decimal128':
    case 'Double':
    case 'Int32':
      return Number(String(value))
    case 'Long':
      // Beyond that, a number would be another one: another market, or another document's id.
      return Number.isSafeInteger(Number(String(value))) ? Number(String(value)) : String(value)
    case 'Binary':
      // Of these only a UUID has a text that people know it by.
      return 'toHexString' in value ? String(value) : value
    default:
      return value
  }
}
