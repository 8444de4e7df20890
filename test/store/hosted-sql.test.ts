import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { expect, test } from 'vitest'
import { openBackend } from '../../src/store/open.ts'

/** A PostgreSQL server that takes no password. */
async function refusingServer() {
  const fields = ['SFATAL', 'C28P01', 'Mpassword authentication failed', ''].join('\0')
  const length = Buffer.alloc(4)
  length.writeInt32BE(4 + fields.length + 1)
  let asked = 0
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => {
      asked += 1
      socket.end(`E${length.toString('latin1')}${fields}\0`)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    get asked() {
      return asked
    },
    [Symbol.asyncDispose]: async () => void server.close(),
  }
}

test('a hosted project whose database refuses us can be asked again, and closed', async () => {
  await using server = await refusingServer()
  const env = {
    SUPABASE_URL: 'http://127.0.0.1:1',
    SUPABASE_SERVICE_KEY: 'sb_secret_of_a_test_only',
    DATABASE_URL: `postgres://me:wrong@127.0.0.1:${server.port}/x`,
  }
  const backend = await openBackend({ env })
  const ask = () => backend.query('select 1').catch((error: Error) => error.message)
  const refusals = [await ask(), await ask()]
  await backend.close()
  expect([refusals, server.asked]).toEqual([['password authentication failed', 'password authentication failed'], 2])
})
