import { expect, test } from 'vitest'
import { logLevelOf, portOf, reloadIntervalOf } from '../../src/sources/environment.ts'

test('PORT is 8080 unless somebody chose another', () => {
  const given = [undefined, '', ' ', '8080', '0', '65535']
  expect(given.map((PORT) => portOf({ PORT }))).toEqual([
    ...[1, 2, 3].map(() => ({ port: 8080, isChosen: false })),
    { port: 8080, isChosen: true },
    { port: 0, isChosen: true },
    { port: 65535, isChosen: true },
  ])
})

test.each(['65536', '-1', 'http', '80.5', '0x50', '1e3'])('PORT %s is refused by name', (PORT) => {
  const message = `PORT: found "${PORT}", expected a port from 0 (any that is free) to 65535`
  expect(() => portOf({ PORT })).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID', message }))
})

test('AGENT_RELOAD_INTERVAL takes seconds, with or without a unit', () => {
  const given = [undefined, '', '300', '300s', '5m', '1 h', '1.5m', '1']
  const intervals = given.map((AGENT_RELOAD_INTERVAL) => reloadIntervalOf({ AGENT_RELOAD_INTERVAL }))
  expect(intervals).toEqual([300_000, 300_000, 300_000, 300_000, 300_000, 3_600_000, 90_000, 1_000])
})

test.each(['0', '0.5s', '25h', '300ms', 'never', '-5'])('AGENT_RELOAD_INTERVAL %s is refused by name', (AGENT_RELOAD_INTERVAL) => {
  const message = `AGENT_RELOAD_INTERVAL: found "${AGENT_RELOAD_INTERVAL}", expected seconds, or an interval like 300s, 5m or 1h, from 1s to 24h`
  expect(() => reloadIntervalOf({ AGENT_RELOAD_INTERVAL })).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID', message }))
})

test('LOG_LEVEL is info unless somebody chose another', () => {
  const given = [undefined, '', ' ', 'info', 'debug', 'fatal']
  expect(given.map((LOG_LEVEL) => logLevelOf({ LOG_LEVEL }))).toEqual(['info', 'info', 'info', 'info', 'debug', 'fatal'])
})

test.each(['silent', 'warning', 'constructor', 'INFO', '30'])('LOG_LEVEL %s is refused by name', (LOG_LEVEL) => {
  const message = `LOG_LEVEL: found "${LOG_LEVEL}", expected trace, debug, info, warn, error or fatal`
  expect(() => logLevelOf({ LOG_LEVEL })).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID', message }))
})
