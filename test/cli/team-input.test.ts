import { expect, test } from 'vitest'
import { hint } from '../../src/cli/team-input.ts'

test('a hint is about the team that was named, in words that a shell takes', () => {
  expect(
    [{}, { folder: '.troupe/two', json: true }, { config: 'a.yaml', folder: "it's here" }].map((options) => hint({ options }, 'ps')),
  ).toEqual(['troupe ps', 'troupe ps --folder .troupe/two', `troupe ps --config a.yaml --folder 'it'\\''s here'`])
})
