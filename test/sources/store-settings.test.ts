import { expect, test } from 'vitest'
import { readStoreSettings } from '../../src/sources/store-settings.ts'

test.each([
  ['store: { kind: postgres, folder: data }', { kind: 'postgres', folder: 'data' }],
  [`store: { folder: \${DATA}, kind: \${KIND:-embedded} }`, { kind: 'embedded', folder: '/srv/data' }],
  [`store:\n  folder: "\${DATA}/troupe"`, { kind: 'auto', folder: '/srv/data/troupe' }],
  [`store: { folder: \${UNSET} }`, { kind: 'auto', folder: '.troupe' }],
  ['store: { kind: postgress, folder: data }', { kind: 'auto', folder: 'data' }],
  ['store: { folder: data }\nteams:\n  - id: t\n    agents: [{ id: a, typ', { kind: 'auto', folder: 'data' }],
  ['teams: []', { kind: 'auto', folder: '.troupe' }],
  ['', { kind: 'auto', folder: '.troupe' }],
])('finds the store of %j also where the rest is being edited', (text, settings) => {
  expect(readStoreSettings(text, { DATA: '/srv/data' })).toEqual(settings)
})
