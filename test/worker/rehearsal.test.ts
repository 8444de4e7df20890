import { expect, test } from 'vitest'
import { rehearse } from '../../src/worker/rehearsal.ts'

test('a rehearsal goes through load, turn and stop, as often as one likes', async () => {
  for (const _ of ['first', 'second']) {
    const frames = await rehearse()
    const kinds = frames.map((frame) => (frame.kind === 'ended' ? frame.outcome.kind : frame.kind)).filter((kind) => kind !== 'log')
    expect(kinds).toEqual(['loaded', 'done', 'stopped'])
  }
})
