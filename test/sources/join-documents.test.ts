import { describe, expect, test } from 'vitest'
import { readAgentDocument } from '../../src/sources/agent-document.ts'
import { checkConfig } from '../../src/sources/config.ts'
import { joinDocuments, type Reading } from '../../src/sources/join-documents.ts'
import type { Wanted } from '../../src/sources/source.ts'

const document = (_id: string, fields: object = {}) =>
  readAgentDocument({ _id, agent_id: _id, name: 'N', agent_type: 'any', managed: true, status: 'available', ...fields })

function wanted(...teams: { id: string; agents: object[] }[]): Wanted {
  return { config: checkConfig({ teams }), where: (path) => `file ${path.join('.')}`, changedAt: 7 }
}

const file = wanted(
  { id: 'trading', agents: [{ id: 'a', type: 'any', replicas: 2 }] },
  { id: 'bazaar', agents: [{ id: 'b', type: 'any' }] },
)
const teamsOf = ({ config }: Wanted) => config.teams.map(({ id, agents }) => `${id}: ${agents.map((agent) => agent.id).join(' ')}`)
const read = (...documents: ReturnType<typeof document>[]): Reading => ({ kind: 'read', documents, limit: 10 })

describe('agents of documents', () => {
  test('join the team of that name behind its own, or make one with defaults', () => {
    const joined = joinDocuments(file, read(document('x'), document('y')), 'bazaar')
    const alone = joinDocuments(file, read(document('x')), 'other')
    expect([teamsOf(joined), teamsOf(alone), alone.config.teams[2]?.strategy]).toEqual([
      ['trading: a', 'bazaar: b x y'],
      ['trading: a', 'bazaar: b', 'other: x'],
      'one_for_one',
    ])
    const at = (index: number) => joined.where(['teams', 1, 'agents', index, 'type'])
    expect([at(0), at(1), at(2), joined.where(['teams', 0, 'agents', 1])]).toEqual([
      'file teams.1.agents.0.type',
      'document x',
      'document y',
      'file teams.0.agents.1',
    ])
    expect([joined.changedAt, joined.documents]).toEqual([7, { state: { kind: 'read' }, ids: new Set(['x', 'y']), skipped: [] }])
  })

  test('are not there when their id is of the file, of an earlier document, or when they are faulty', () => {
    const given = read(
      document('a-2'),
      document('x'),
      document('y', { agent_id: 'x' }),
      document('off', { status: 'offline' }),
      document('z', { agent_id: 'off' }),
      document('bad', { base_rate_usd: 'much' }),
    )
    const { documents, ...joined } = joinDocuments(file, given, 'bazaar')
    expect([teamsOf(joined), documents?.ids]).toEqual([['trading: a', 'bazaar: b x'], new Set(['x'])])
    expect(documents?.skipped).toEqual([
      { id: 'a-2', reason: 'document a-2: "a-2" is an agent of the config file, which wins', mayStay: false },
      { id: 'x', reason: 'document y: "x" is an agent of document x', mayStay: false },
      { id: 'off', reason: 'document z: "off" is an agent of document off', mayStay: false },
      { id: 'bad', reason: 'document bad: base_rate_usd: found "much", expected number', mayStay: true },
    ])
  })

  test('are not known when they cannot be read', () => {
    const joined = joinDocuments(file, { kind: 'failed', error: 'nobody is there' }, 'bazaar')
    expect([teamsOf(joined), joined.documents]).toEqual([
      teamsOf(file),
      { state: { kind: 'failed', error: 'nobody is there' }, ids: new Set(), skipped: [] },
    ])
  })

  test('are cut at a limit, which is told', () => {
    const joined = joinDocuments(file, { kind: 'cut', documents: [document('x')], limit: 1 }, 'bazaar')
    expect(joined.documents?.state).toEqual({ kind: 'cut', limit: 1 })
  })
})
