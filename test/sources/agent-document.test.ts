import { describe, expect, test } from 'vitest'
import { readAgentDocument } from '../../src/sources/agent-document.ts'

const literal = {
  _id: '65f1c0ffee65f1c0ffee65f1',
  name: 'MyAgent',
  agent_type: 'my_agent',
  managed: true,
  status: 'available',
  capabilities: { my_skill: 0.9 },
  base_rate_usd: 0.04,
}
const place = `document ${literal._id}`
const agent = { name: 'MyAgent', agent_type: 'my_agent', capabilities: { my_skill: 0.9 }, base_rate_usd: 0.04 }

test('an agent with what it is to the marketplace, and with the options as its other args', () => {
  const wallet_address = `0x${'aB'.repeat(20)}`
  const whole = {
    ...literal,
    agent_id: 'mine',
    status: 'busy',
    model: 'some/model',
    wallet_address,
    options: { minEdge: 0.1 },
    jobs_done: 7,
  }
  expect([readAgentDocument(literal), readAgentDocument(whole)]).toMatchObject([
    { kind: 'wanted', id: `mongo:${literal._id}`, place, settings: { id: `mongo:${literal._id}`, type: 'my_agent', args: { agent } } },
    { kind: 'wanted', id: 'mine', settings: { args: { minEdge: 0.1, agent: { ...agent, model: 'some/model', wallet_address } } } },
  ])
})

test('says the same whatever changes that is no part of the agent', () => {
  const wanted = readAgentDocument(literal)
  expect(readAgentDocument({ ...literal, status: 'busy', last_active: 'now', agent_id: null, options: null, model: null })).toEqual(wanted)
})

test.each([{ managed: false }, { managed: 'true' }, { managed: undefined }, { status: 'offline' }, { status: 'suspended', name: 7 }])(
  'an agent that should not run: %j',
  (change) => {
    expect(readAgentDocument({ ...literal, ...change })).toEqual({ kind: 'unwanted', id: `mongo:${literal._id}`, place })
  },
)

describe('a document that cannot be used says why', () => {
  test.each([
    [{ name: undefined }, 'name: found nothing, expected string'],
    [{ name: ' ' }, 'name: found " ", expected at least 1'],
    [{ agent_type: undefined }, 'agent_type: found nothing, expected string'],
    [{ agent_type: '../../etc' }, 'agent_type: found "../../etc", expected letters, digits and : . _ - (at most 128)'],
    [{ agent_id: 'a b' }, 'agent_id: found "a b", expected letters, digits and : . _ - (at most 128)'],
    [{ agent_id: 7 }, 'agent_id: found 7, expected string'],
    [{ status: 'paused' }, 'status: found "paused", expected available, busy, offline, suspended'],
    [{ capabilities: { my_skill: 90 } }, 'capabilities.my_skill: found 90, expected at most 1'],
    [{ capabilities: ['my_skill'] }, 'capabilities: found ["my_skill"], expected record'],
    [{ base_rate_usd: '0.04' }, 'base_rate_usd: found "0.04", expected number'],
    [{ base_rate_usd: -1 }, 'base_rate_usd: found -1, expected at least 0'],
    [{ wallet_address: '0x12' }, 'wallet_address: found "0x12", expected 0x and 40 hexadecimal digits'],
    [{ options: { agent: 1 } }, 'options: found {"agent":1}, expected no option "agent": that is where the fields of the document go'],
    [
      { options: { text: 'x'.repeat(2 ** 20) } },
      expect.stringMatching(/^options: found \d+ characters of args, expected at most 1048576$/),
    ],
    [{ _id: { a: 1 } }, 'expected an agent_id, as its _id makes no name'],
    [
      { name: 1, base_rate_usd: Number.NaN },
      expect.stringMatching(/^name: found 1, expected string; base_rate_usd: found null, expected number/),
    ],
  ])('%j', (change, reason) => {
    const { kind, ...rest } = readAgentDocument({ ...literal, ...change })
    expect([kind, 'reason' in rest && rest.reason.replace(/^document (\S+): /, '')]).toEqual(['faulty', reason])
  })

  test.each([null, 7, [], {}, { managed: true }])('%j is none that throws', (document) => {
    expect(readAgentDocument(document).kind).toMatch(/unwanted|faulty/)
  })
})
