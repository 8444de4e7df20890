import { expect, test } from 'vitest'
import { createOutside } from '../../src/host/outside.ts'

const unreached = () => Promise.reject(new Error('It came to the store'))
const { send, ask } = createOutside({ outbox: { send: unreached }, asks: { ask: unreached } })

test('options of a message from outside that are none are refused before the store is asked', async () => {
  const given = [
    send('a', 'hi', null, { id: 'first' }),
    send('a', 'hi', null, { from: '' }),
    send('a', 'hi', null, { delay: -1 }),
    ask('a', 'hi', null, { timeout: -1 }),
    ask('a', 'hi', null, { timeout: Number.NaN }),
    ask('a', 'hi', null, { from: '' }),
  ]
  const said = await Promise.all(given.map((one) => one.then(String, ({ code, message }) => `${code}: ${message}`)))
  expect(said).toEqual([
    'BODY_INVALID: The id of the message is "first", expected a uuid',
    'BODY_INVALID: The sender of the message is "", expected a text of 1 to 300 characters',
    'BODY_INVALID: delay of the message is -1, expected a number of at least 0',
    'BODY_INVALID: The timeout of the message is -1, expected a number of at least 1',
    'BODY_INVALID: The timeout of the message is NaN, expected a number of at least 1',
    'BODY_INVALID: The sender of the message is "", expected a text of 1 to 300 characters',
  ])
})
