import { expect, test } from 'vitest'
import { createTraffic } from '../../src/services/http-traffic.ts'

test('origins that an actor invents without end are counted together', () => {
  const reports: [origin: string, requests: number][] = []
  const traffic = createTraffic((origin, { requests }) => reports.push([origin, requests]), 60_000)
  for (const round of [1, 2]) for (let n = 1; n <= 1_500; n += 1) traffic.of(`https://host-${n}.example.com`).requests += round
  traffic.flush()
  expect([reports.length, reports[0], reports[999], reports[1_000]]).toEqual([
    1_001,
    ['https://host-1.example.com', 3],
    ['https://host-1000.example.com', 3],
    ['other origins', 1_500],
  ])
})

test('what still comes of a request that was reported is told with the next report', () => {
  const reports: string[] = []
  const traffic = createTraffic((origin, { requests, received }) => reports.push(`${origin} ${requests} ${received}`), 60_000)
  const [stream, other] = [traffic.of('https://stream.example.com'), traffic.of('https://other.example.com')]
  stream.requests += 1
  traffic.flush()
  stream.received += 1_000
  other.requests += 1
  traffic.flush()
  traffic.flush()
  expect(reports).toEqual(['https://stream.example.com 1 0', 'https://stream.example.com 0 1000', 'https://other.example.com 1 0'])
})
