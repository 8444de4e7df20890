import { MessageChannel } from 'node:worker_threads'
import { expect, test } from 'vitest'
import { eachFrame, httpLimits, sizesOf, toActor, toHost } from '../../src/core/http-wire.ts'
import { createHttpLink } from '../../src/worker/http.ts'

test('an upload whose answer has come lets its source go, however slow that is', async () => {
  const { port1, port2 } = new MessageChannel()
  const answered = Promise.withResolvers<void>()
  const released = Promise.withResolvers<string>()
  async function* source() {
    try {
      for (let n = 1; n <= httpLimits.chunks; n += 1) yield `chunk ${n}`
      await answered.promise
      yield 'one more'
      released.resolve('read on')
    } finally {
      released.resolve('let go')
    }
  }
  let chunks = 0
  port2.on('message', (frames) => {
    eachFrame(frames, sizesOf(toHost), (op, id) => {
      if (op === toHost.data.op) chunks += 1
      // None of them is confirmed.
      if (chunks === httpLimits.chunks) port2.postMessage([toActor.whole.op, id, 413, 'Payload Too Large', '', 'no'])
    })
  })
  const heads: number[] = []
  const sink = {
    onHead: (status: number) => void heads.push(status),
    onData() {},
    onEnd: () => answered.resolve(),
    onError: answered.reject,
  }
  createHttpLink(port1).open({ method: 'POST', origin: 'http://a', path: '/', headers: [], body: source() }, sink)
  expect([await released.promise, heads, chunks]).toEqual(['let go', [413], httpLimits.chunks])
  port2.close()
})
