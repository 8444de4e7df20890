import { tmpdir } from 'node:os'
import { expect, test } from 'vitest'
import { runTroupe as runIn } from '../store/run-troupe.ts'

const runTroupe = (args: readonly string[]) => runIn(args, { cwd: tmpdir() })
const simulated = ['--market', 'simulated:42']

test('lists, finds and shows markets, and says what is simulated', async () => {
  const [list, help] = await Promise.all([
    runTroupe(['markets', 'trending', '--limit', '2', '--json', ...simulated]),
    runTroupe(['markets']),
  ])
  const { isSimulated, detail, markets } = JSON.parse(list.out)
  expect([list.code, isSimulated, detail, markets.length]).toEqual([0, true, 'SIMULATED markets (seed 42): nothing here is real', 2])
  expect(help.out).toContain('troupe markets search')
  const [{ id, question }] = markets
  const [shown, found] = await Promise.all([
    runTroupe(['markets', 'show', id, ...simulated]),
    runTroupe(['markets', 'search', ...question.split(' ').slice(0, 4), ...simulated]),
  ])
  expect(shown.out).toMatch(/^SIMULATED markets[\s\S]*\nid {10}\d+\n[\s\S]*shares +bid +ask +shares/)
  expect(found.out).toContain(id)
})

test('says what is wrong with a question', async () => {
  const answers = await Promise.all([
    runTroupe(['markets', 'trending', '--market', 'nowhere']),
    runTroupe(['markets', 'show', 'x1', ...simulated]),
    runTroupe(['markets', 'search']),
  ])
  expect(answers.map(({ code, err }) => [code, err.split('\n')[0]])).toEqual([
    [2, 'error There is no market source "nowhere": expected auto, polymarket, replay:<folder> or simulated:<seed>'],
    [1, expect.stringContaining('There is no market "x1"')],
    [2, expect.stringContaining('Which words?')],
  ])
})
