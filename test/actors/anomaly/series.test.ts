import { expect, test } from 'vitest'
import { findChanges } from '../../../actors/lib/anomaly/change.ts'
import { detect } from '../../../actors/lib/anomaly/detect.ts'
import { seriesOf } from '../../../actors/lib/anomaly/given.ts'
import { readSeries } from '../../../actors/lib/anomaly/read.ts'
import { scoreSeries } from '../../../actors/lib/anomaly/score.ts'
import { findSeason } from '../../../actors/lib/anomaly/season.ts'
import { specialistJob } from '../../../actors/lib/bazaar/job.ts'

const minute = (at: number) => new Date(at * 60_000).toISOString()
const csv = (values: readonly number[]) => `time,value\n${values.map((value, at) => `${minute(at)},${value}`).join('\n')}`
const wave = Array.from({ length: 600 }, (_, at) => 50 + 10 * Math.sin((2 * Math.PI * at) / 60) + (at % 7) / 10)

test('puts rows in order, joins duplicates by their median, counts what is unreadable and finds gaps', () => {
  const rows = ['2024-01-01 00:03:00,4', '2024-01-01 00:00:00,1', '2024-01-01 00:01:00,2', '2024-01-01 00:01:00,9', '2024-01-01 00:01:00,3']
  const { values, slots, facts } = readSeries({
    text: ['when,load', ...rows, 'rubbish,x', '2024-01-01 00:04:00,'].join('\n'),
    time: 'when',
  })
  expect([[...values], [...slots], facts]).toEqual([
    [1, 3, 4],
    [0, 1, 2],
    { count: 3, step: 120_000, duplicates: 2, unreadable: 2, gaps: [], gapCount: 0 },
  ])
})

test('a gap is told with its length and shifts no season', () => {
  const text = csv(wave)
    .split('\n')
    .filter((_, row) => row < 301 || row > 330)
    .join('\n')
  const series = readSeries({ text })
  expect([series.facts.gaps, series.slots.at(-1)]).toEqual([[{ after: minute(299), missing: 30 }], 599])
})

test.each([
  ['numbers', JSON.stringify([1, 2, 3])],
  [
    'pairs',
    JSON.stringify([
      ['2024-01-01', 1],
      ['2024-01-02', 2],
      ['2024-01-03', 3],
    ]),
  ],
  [
    'objects',
    JSON.stringify([
      { ts: 1_700_000_000, v: 1 },
      { ts: 1_700_000_060, v: 2 },
      { ts: 1_700_000_120, v: '3' },
    ]),
  ],
  ['lists by name', JSON.stringify({ timestamps: [10, 20, 30], values: [1, 2, 3] })],
  [
    'a list under a name',
    JSON.stringify({
      data: [
        { time: 1, value: 1 },
        { time: 2, value: 2 },
        { time: 3, value: 3 },
      ],
    }),
  ],
  ['bare lines', '1\n2\n3'],
  ['quoted cells and semicolons', '"time";"value"\n"2024-01-01";"1"\n"2024-01-02";"2"\n"2024-01-03";"3"'],
])('reads %s', (_, text) => {
  expect([...readSeries({ text }).values]).toEqual([1, 2, 3])
})

test.each([
  ['nothing', '', 'empty'],
  ['half of a JSON', '[1,', 'JSON and is none'],
  ['no numbers', 'time,value\n2024-01-01,x', 'numbers'],
  ['too few', '1\n2', 'the fewest'],
])('says why it cannot judge %s', (_, text, reason) => {
  expect(detect({ name: 'x', text })).toEqual({ name: 'x', unreadable: expect.stringContaining(reason) })
})

test('no score depends on a later value: neither its size nor its season', () => {
  const other = Array.from({ length: 2_000 }, (_, at) => 400 * Math.sin((2 * Math.PI * at) / 37))
  const known = [...wave.slice(0, 500), 300]
  const whole = scoreSeries(readSeries({ text: csv([...known, ...other]) })).scores
  const alone = scoreSeries(readSeries({ text: csv(known) })).scores
  expect([[...whole.subarray(0, known.length)], (alone[500] ?? 0) > 1]).toEqual([[...alone], true])
})

test.each([
  ['a spike', wave.map((value, at) => (at === 500 ? 300 : value)), 'spike', 500],
  ['another level', wave.map((value, at) => (at >= 480 ? value + 60 : value)), 'level_up', 480],
  ['a dip', wave.map((value, at) => (at === 500 ? -200 : value)), 'dip', 500],
  [
    'a pattern that breaks within its usual range',
    wave.map((value, at) => (at >= 480 && at < 540 ? 50 + 10 * Math.sin((4 * Math.PI * at) / 60) : value)),
    'pattern_break',
    480,
  ],
])('finds %s, where it begins', (_, values, kind, at) => {
  const found = detect({ name: 'x', text: csv(values) })
  const [first] = 'anomalies' in found ? found.anomalies : []
  expect([first?.kind, (first?.from ?? 0) >= at && (first?.from ?? 0) < at + 30]).toEqual([kind, true])
})

test('a calm series has no anomaly, its season is found, and a step is a change of level', () => {
  const calm = detect({ name: 'x', text: csv(wave) })
  const step = findChanges(readSeries({ text: csv(wave.map((value, at) => (at < 300 ? value : value + 100))) }))
  expect([calm, step.map(({ at }) => at)]).toEqual([expect.objectContaining({ anomalyCount: 0 }), [minute(300)]])
  expect(findSeason(Float64Array.from(wave))?.period).toBe(60)
})

test('a flat series, also one of zeros, has no anomaly and a picture without a NaN', () => {
  const flat = detect({ name: '<b>', text: csv(Array(100).fill(0)) })
  const drawn = 'plot' in flat ? flat.plot : ''
  expect([flat, drawn.includes('NaN'), drawn.includes('&lt;b&gt;')]).toEqual([expect.objectContaining({ anomalyCount: 0 }), false, true])
})

test('takes files first, then a fenced block, then lines that look like a series', () => {
  const names = (given: object) => seriesOf(specialistJob.parse(given)).map(({ text }) => text.trim())
  expect([
    names({ description: 'x\n```csv\n1\n2\n```', files: [{ name: 'a', text: '3' }] }),
    names({ description: 'x\n```csv\n1\n2\n```' }),
    names({ description: 'Look:\n2024-01-01,1\n2024-01-02,2\n2024-01-03,3\nthanks' }),
    names({ description: 'values [1,2,3] please' }),
    names({ description: 'nothing here' }),
  ]).toEqual([['3'], ['1\n2'], ['2024-01-01,1\n2024-01-02,2\n2024-01-03,3'], ['[1,2,3]'], []])
})
