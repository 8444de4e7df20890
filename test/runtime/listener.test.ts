import { expect, onTestFinished, test } from 'vitest'
import { openGround, teamOn } from './team.ts'

/** Takes what nobody catches in this process until the test is over. */
function uncaught(): unknown[] {
  const errors: unknown[] = []
  const others = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  process.on('uncaughtException', (error) => errors.push(error))
  onTestFinished(() => {
    process.removeAllListeners('uncaughtException')
    for (const other of others) process.on('uncaughtException', other)
  })
  return errors
}

test('a listener that throws keeps no agent from starting, and its error is not swallowed', async () => {
  await using ground = await openGround()
  const errors = uncaught()
  const agents = ['li-one', 'li-other'].map((id) => ({ id, type: 'counter' }))
  await using team = teamOn(ground, agents)
  team.listen(({ name }) => {
    if (name === 'child:started') throw new RangeError('not my day')
  })
  await team.start()
  await team.event('child:started', ({ id }) => id === 'li-other')
  await expect.poll(() => errors.map(String)).toEqual(['RangeError: not my day', 'RangeError: not my day'])
})
