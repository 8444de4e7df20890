import { expect, test } from 'vitest'
import { createStandbys } from '../../src/host/standby.ts'
import type { Thread } from '../../src/host/thread.ts'

test('a system that gives no thread is told of, and asked again with the next refill', () => {
  const lost: (string | undefined)[] = []
  let isFull = true
  const standbys = createStandbys({
    count: 1,
    start() {
      if (isFull) throw new Error('EAGAIN')
      return { id: 7, isUp: false, ended: Promise.withResolvers<never>().promise } as Partial<Thread> as Thread
    },
    onLost: ({ error }) => lost.push(error?.message),
  })
  standbys.refill()
  const none = standbys.list()
  isFull = false
  standbys.refill()
  expect([none, standbys.list(), lost]).toEqual([[], [{ thread: 7, isUp: false }], ['EAGAIN']])
})
