import { expect, test } from 'vitest'
import type { HostFrame } from '../../src/core/frames.ts'
import { createDeskCalls, type DeskCallsOptions } from '../../src/host/desk-calls.ts'

/** Calls of an agent whose neighbour has room when it is said to, and a store that answers when it is told. */
function createCalls() {
  const log: string[] = []
  const codes: (string | undefined)[] = []
  const waiting: (() => void)[] = []
  let hasRoom = true
  const office = {
    router: {
      burst: ({ id }: { id: string }) => hasRoom && log.push(`${id} to memory`) > 0,
    },
    outbox: {
      record() {},
      send({ id }: { id: string }) {
        log.push(`${id} to the store`)
        const { promise, resolve } = Promise.withResolvers<object>()
        waiting.push(() => resolve({ verdict: 'ok', id }))
        return promise
      },
    },
  } as unknown as DeskCallsOptions['office']
  const post = (frame: HostFrame) => {
    if (frame.kind === 'answer') codes.push(frame.answer.ok ? undefined : frame.answer.error.code)
  }
  const calls = createDeskCalls({ agent: 'a', token: 1, sql: [], post, office })
  return {
    log,
    codes,
    room: (has: boolean) => {
      hasRoom = has
    },
    send: (id: string) => calls.send({ kind: 'post', actor: 'a', call: 1, message: { id, to: 'b', type: 'note', body: 'null' } }),
    async answer() {
      for (const resolve of waiting.splice(0)) resolve()
      await new Promise(setImmediate)
    },
  }
}

test('what is posted while an earlier one waits for the store does not overtake it', async () => {
  const calls = createCalls()
  calls.send('m1')
  calls.room(false)
  calls.send('m2')
  calls.room(true) // what waited in the table has been taken, m2 is not there yet
  calls.send('m3')
  await calls.answer()
  calls.send('m4')
  expect(calls.log).toEqual(['m1 to memory', 'm2 to the store', 'm3 to the store', 'm4 to memory'])
})

test('what is posted faster than the store takes it is refused at a limit, and taken again below it', async () => {
  const calls = createCalls()
  calls.room(false)
  for (let n = 0; n < 10_002; n++) calls.send(`m${n}`)
  await new Promise(setImmediate)
  const refused = calls.codes.splice(0)
  await calls.answer()
  calls.send('later')
  expect([refused, calls.log.length, calls.log.at(-1)]).toEqual([['MAILBOX_FULL', 'MAILBOX_FULL'], 10_001, 'later to the store'])
})
