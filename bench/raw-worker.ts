import { parentPort } from 'node:worker_threads'

type Work = { readonly kind: 'ask'; readonly id: number; readonly body: string } | { readonly kind: 'note'; readonly n: number } | string

/** What anybody can have of threads without us: it says that it is up, answers by id, acknowledges each message by one of its own. */
parentPort?.on('message', (work: Work) => {
  if (typeof work === 'string')
    parentPort?.postMessage(work) // a ball
  else if (work.kind === 'ask') parentPort?.postMessage({ id: work.id, reply: JSON.parse(work.body) })
  else parentPort?.postMessage(work.n)
})
parentPort?.postMessage('up')
