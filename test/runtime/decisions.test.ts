import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Ground, openGround, type TestTeam, teamOn } from './team.ts'

let ground: Ground
beforeAll(async () => {
  ground = await openGround()
})
afterAll(() => ground[Symbol.asyncDispose]())

const rows = async (sql: string) => (await ground.backend.query(sql)).rows
const handled = (team: TestTeam, agent: string, kind: string) =>
  team.event('turn:committed', ({ id, type }) => id === agent && type === kind)

test('DECISIONS 12: a broadcast is one row and a delivery for each agent of Troupe; the database knows addresses that a process does not', async () => {
  await ground.backend.query(`insert into agent_status (agent_id, agent_name, agent_type) values ('b-legacy', 'Legacy', 'trader')`)
  const agents = [
    { id: 'b-relay', type: 'relay' },
    { id: 'b-witness', type: 'witness' },
  ]
  await using here = teamOn(ground, agents, { env: { AGENT_MODE: 'relay' } })
  await using there = teamOn(ground, agents, { env: { AGENT_MODE: 'witness' } })
  await here.start()
  await there.start()
  await here.send('b-relay', 'tell', { to: 'b-witness', type: 'keep', body: 1 })
  await here.send('b-relay', 'tell', { to: 'b-legacy', type: 'hello', body: 2 })
  await here.send('b-relay', 'broadcast', 3)
  await handled(there, 'b-witness', 'keep')
  await handled(here, 'b-relay', 'broadcast')
  const told = (type: string) =>
    rows(`select m.to_agent, array(select d.agent_id from agent_deliveries d where d.message_id = m.id and d.agent_id like 'b-%' order by 1)
      from agent_messages m where m.from_agent = 'b-relay' and m.subject = '${type}'`)
  expect([await told('keep'), await told('hello'), await told('news')]).toEqual([
    [['b-witness', ['b-witness']]],
    [['b-legacy', []]],
    [[null, ['b-witness']]],
  ])
  expect(await there.ask('b-witness', 'read')).toEqual([1])
})

// Most of the time they wait for something: side by side.
describe.concurrent('with real threads', () => {
  test('DECISIONS 9: what is told is the same value through memory and through the table; what JSON would lose is refused', async () => {
    await using team = teamOn(ground, [
      { id: 'a-keeper', type: 'witness' },
      { id: 'a-teller', type: 'witness' },
    ])
    await team.start()
    const said = await team.ask('a-teller', 'kinds', 'a-keeper')
    await handled(team, 'a-keeper', 'keep')
    await team.pause('a-keeper') // now it waits in the table, as what has been spilled does
    await team.ask('a-teller', 'kinds', 'a-keeper')
    await team.resume('a-keeper')
    team.forget()
    await handled(team, 'a-keeper', 'keep')
    const date = { at: '1970-01-01T00:00:00.000Z' }
    expect([said, await team.ask('a-keeper', 'read')]).toEqual([
      ['told', expect.stringMatching(/ is of the kind Map, which is not JSON$/), expect.stringMatching(/price\[0\] is NaN/)],
      [date, date],
    ])
  })

  test('DECISIONS 13: a tell that finds a full mailbox waits and goes out when there is room, or fails after the turn’s time', async () => {
    await using team = teamOn(ground, [
      { id: 'c-full', type: 'witness' },
      { id: 'c-patient', type: 'relay' },
      { id: 'c-hasty', type: 'relay', turnTimeout: 300, maxAttempts: 1 },
    ])
    await team.start()
    const gate = join(ground.folder, 'c-gate')
    await ground.backend.query(`update agent_leases set mailbox_limit = 2 where agent_id = 'c-full'`)
    for (const type of ['until', 'keep']) await team.send('c-full', type, gate)
    for (const from of ['c-patient', 'c-hasty']) await team.send(from, 'tell', { to: 'c-full', type: 'keep', body: from })
    const dead = await team.event('message:dead', ({ type }) => type === 'tell')
    expect([dead.id, dead.reason, dead.error]).toEqual(['c-hasty', 'attempts_exhausted', expect.stringMatching(/^MAILBOX_FULL: .*c-full/)])
    expect(team.seen.filter((event) => event.name === 'turn:committed')).toEqual([])
    await writeFile(gate, '')
    await handled(team, 'c-patient', 'tell')
    const hasAll = () =>
      team.seen.filter(({ name, id }: { name: string; id?: string }) => name === 'turn:committed' && id === 'c-full').length === 3
    await team.event('turn:committed', hasAll) // before there may be no room for a question
    expect(await team.ask('c-full', 'read', null, { from: 'c-patient' })).toEqual([gate, 'c-patient'])
  })

  test('DECISIONS 16: a promise that never resolves is the turn’s time’s to end, not hangAfter’s', async () => {
    await using team = teamOn(ground, [
      { id: 'd-deaf', type: 'witness', hangAfter: 400, turnTimeout: 1_000, maxAttempts: 1, backoff: { first: 10 } },
      { id: 'd-listens', type: 'witness', hangAfter: 400, turnTimeout: 1_000, maxAttempts: 1 },
    ])
    await team.start()
    await team.send('d-listens', 'idle')
    await team.send('d-deaf', 'stuck')
    const failed = await team.event('message:dead', ({ id }) => id === 'd-listens')
    expect([failed.error, team.seen.some(({ name }) => name === 'child:exited')]).toEqual([
      expect.stringMatching(/TURN_TIMEOUT|aborted/),
      false,
    ])
    const { id, exit, detail } = await team.event('child:exited')
    expect([id, exit, detail]).toEqual(['d-deaf', 'hung', 'its turn went on after it was told to end'])
    expect((await team.event('message:dead', (one) => one.id === 'd-deaf')).reason).toBe('poison')
    expect(await team.ask('d-deaf', 'read')).toEqual([])
  })

  test('DECISIONS 17: asks in a circle fail at once: along a chain, and when two cross', async () => {
    await using team = teamOn(ground, [
      { id: 'e-one', type: 'witness', maxAttempts: 1 },
      { id: 'e-two', type: 'witness', maxAttempts: 1 },
      { id: 'e-relay', type: 'relay', maxAttempts: 1 },
    ])
    await team.start()
    const file = join(ground.folder, 'e-both')
    const meet = (self: string, other: string) => team.ask(self, 'meet', { file, other, ask: 'read' })
    const crossed = await Promise.all([meet('e-one', 'e-two'), meet('e-two', 'e-one')])
    expect(crossed).toEqual(expect.arrayContaining(['ASK_CYCLE', []]))
    const chain = { to: 'e-relay', type: 'ask', body: { to: 'e-relay', type: 'ask' } }
    await expect(team.ask('e-relay', 'ask', chain)).rejects.toMatchObject({
      code: 'HANDLER_FAILED',
      message: expect.stringContaining('e-relay'),
    })
    expect((await team.event('message:dead', ({ id }) => id === 'e-relay')).error).toMatch(/^ASK_CYCLE: /)
  })
})
