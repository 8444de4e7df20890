import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import * as z from 'zod'
import { messageId } from '../../src/core/message-id.ts'

test('is a version 7 uuid of its time, and of all random bits that are left', () => {
  // The example of RFC 9562, A.6: 2022-02-22T19:22:22Z.
  expect(messageId('9e107d9d-372b-4cc3-98c4-dc0c0c07398f', 0x17f22e279b0)).toBe('017f22e2-79b0-7cc3-98c4-dc0c0c07398f')
  expect(z.uuidv7().safeParse(messageId(randomUUID(), Date.now())).success).toBe(true)
})

test('later ones are greater, as texts and so as uuids', () => {
  const ids = [0, 1, 255, 256, 2 ** 32, Date.now(), 2 ** 47].map((at) => messageId(randomUUID(), at))
  expect(ids.toSorted()).toEqual(ids)
})
