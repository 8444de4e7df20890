import { Binary, Decimal128, Double, Int32, Long, ObjectId, Timestamp, UUID } from 'mongodb'
import { expect, test } from 'vitest'
import { plainValue } from '../../src/sources/bson-values.ts'

test('numbers are numbers, ids and dates are texts, and what has no plain form stays what it is', () => {
  const [id, uuid, bytes, timestamp, never] = [new ObjectId(), new UUID(), new Binary(), new Timestamp(0n), new Date(Number.NaN)]
  const numbers = [Decimal128.fromString('0.04'), new Double(1.5), new Int32(3), Long.fromNumber(2 ** 40)]
  expect(plainValue({ numbers, id, deep: [{ uuid, at: new Date(0) }], bytes, timestamp, never, none: null, text: 'x' })).toEqual({
    numbers: [0.04, 1.5, 3, 2 ** 40],
    id: id.toHexString(),
    deep: [{ uuid: uuid.toHexString(), at: '1970-01-01T00:00:00.000Z' }],
    bytes,
    timestamp,
    never,
    none: null,
    text: 'x',
  })
})

test('a whole number that is too large for a number is a text, and so is an id that is one', () => {
  const large = [Long.fromString('9007199254740993'), Long.fromString('-9007199254740993'), Long.MAX_VALUE]
  expect(plainValue(large)).toEqual(['9007199254740993', '-9007199254740993', '9223372036854775807'])
})
