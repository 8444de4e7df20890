import { expect, test } from 'vitest'
import type { Message } from '../../src/core/message.ts'
import { createDeskMail } from '../../src/host/desk-mail.ts'
import type { DeskOptions } from '../../src/host/desk-types.ts'
import type { Entry, Outbox } from '../../src/host/outbox.ts'
import type { TurnVerdict } from '../../src/store/functions/turns.ts'
import { specOf } from './path.ts'

/** The mail of an agent, with the test in the place of its thread and of the outbox. */
function open() {
  const waiting: Entry[] = []
  const settled: string[] = []
  const outbox: Pick<Outbox, 'commit' | 'discard'> = {
    commit: (entry) => void waiting.push(entry),
    discard: () => void waiting.splice(0),
  }
  const child = { incarnation: 1, post() {}, kill() {} }
  const options = { spec: specOf('a'), child, token: 1, office: { outbox, emit() {} } } as unknown as DeskOptions
  const deskMail = createDeskMail(options, (id) => settled.push(id))
  deskMail.mail.open()
  return {
    deskMail,
    settled,
    waiting: () => waiting.map(({ turn }) => turn.message?.id),
    async handle(...ids: readonly string[]) {
      deskMail.mail.put(ids.map(row))
      await Promise.resolve()
      deskMail.acked({ kind: 'acks', actor: 'a', upTo: ids.length, failed: [] })
    },
    answer(...verdicts: readonly TurnVerdict[]) {
      for (const [index, entry] of waiting.splice(0, verdicts.length).entries()) entry.onVerdict(verdicts[index] as TurnVerdict)
    },
  }
}

function row(id: string): Message {
  return { id, seq: 1, from: 's', type: 'note', body: 'null', priority: 'normal', attempts: 0, interruptions: 0 }
}

test('rows behind a job of the agent that did not stand are settled all the same, and not handled again', async () => {
  const { handle, answer, settled, waiting, deskMail } = open()
  await handle('m1', 'm2')
  answer({ verdict: 'ok' }, { verdict: 'stale', reason: 'follows' })
  const before = [[...settled], waiting()]
  answer({ verdict: 'ok' })
  await deskMail.committed()
  expect([before, settled]).toEqual([
    [['m1'], ['m2']],
    ['m1', 'm2'],
  ])
})

test('whoever waits for its rows to be settled waits no more when the agent is lost', async () => {
  const { handle, deskMail, waiting } = open()
  await handle('m1', 'm2')
  const committed = deskMail.committed()
  deskMail.lose()
  await committed
  expect(waiting()).toEqual([])
})
