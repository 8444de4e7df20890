import type { Sent } from '../host/troupe-types.ts'
import type { Args } from '../ops/control-api.ts'
import { type Command, type ExitCode, type Input, UsageError } from './command.ts'
import { call } from './connect.ts'
import { durationFlag, idFlag, wordFlag } from './flags.ts'
import { readJson } from './json-text.ts'
import { printJson, styled } from './print.ts'
import { findTeam, holderOf, idsIn, type Process, requireTeam, suggestion, type Team } from './team.ts'
import { storeSettings, teamOptions } from './team-input.ts'

const askTimeout = 30_000

/** What goes with a message. */
type Message = Omit<Args<'send'>, 'to'>

/** Sends a message to an agent, or to all. */
export const send: Command = {
  summary: 'send a message to an agent, or ask it',
  usage: '<agent> <type> [<json> | -] [--ask] [options]   or   --broadcast <type> [<json> | -]',
  examples: [
    'troupe send coordinator-main summary --ask',
    `troupe send greeter hello '{"name": "you"}' --ask`,
    `troupe send scanner-main scan --delay 5m --id "$(uuidgen)"`,
    'troupe send --broadcast stop_trading --priority urgent --file body.json',
  ],
  notes: [
    'The message is durable once this ends with exit code 0. That is so as well when no team runs (it waits for the next start) and',
    'when nobody of that name is registered: an agent may be added later. It is kept for a day then, or --expires-in.',
  ],
  options: {
    ask: { type: 'boolean', help: 'wait for the reply and print it' },
    timeout: { type: 'string', value: '<duration>', help: 'how long --ask waits (default 30s)' },
    file: { type: 'string', value: '<file>', help: 'the body is in this file' },
    priority: { type: 'string', value: '<word>', help: 'low, normal, high or urgent' },
    delay: { type: 'string', value: '<duration>', help: 'when it is due' },
    'expires-in': { type: 'string', value: '<duration>', help: 'when it is too late for it' },
    id: { type: 'string', value: '<uuid>', help: 'the same id again is the same message' },
    broadcast: { type: 'boolean', help: 'to every agent that is registered' },
    ...teamOptions,
  },
  words: 3,
  async run(input: Input): Promise<ExitCode> {
    const { to, message, timeout } = await read(input)
    const { folder } = await storeSettings(input)
    return timeout === undefined
      ? await tell(input, folder, { ...message, to })
      : await ask(input, folder, { ...message, to: to ?? '', timeout })
  },
}

async function read({ options, words }: Input): Promise<{ to: string | null; message: Message; timeout: number | undefined }> {
  if (options.broadcast && options.ask) throw new UsageError('send: a broadcast has no reply: leave out --ask or --broadcast')
  if (options.timeout !== undefined && !options.ask) throw new UsageError('send: --timeout is for --ask')
  const [to = '', type = '', word, extra] = options.broadcast ? ['all', ...words] : words
  const expected = options.broadcast ? 'a type of message' : 'an agent and a type of message'
  if (to === '' || type === '') throw new UsageError(`send: expected ${expected}. See troupe send --help`)
  if (extra !== undefined) throw new UsageError(`send: ${JSON.stringify(extra)} is one word too many for a broadcast`)
  const body = await readJson({ word, file: options.file, what: 'body' })
  const [priority, delay] = [wordFlag(options, 'priority', ['low', 'normal', 'high', 'urgent']), durationFlag(options, 'delay')]
  const [expiresIn, id] = [durationFlag(options, 'expires-in'), idFlag(options, 'id')]
  const message = {
    type,
    ...(body !== undefined && { body }),
    ...(priority && { priority }),
    ...(delay !== undefined && { delay }),
    ...(expiresIn !== undefined && { expiresIn }),
    ...(id && { id }),
  }
  return { to: options.broadcast ? null : to, message, timeout: options.ask ? (durationFlag(options, 'timeout') ?? askTimeout) : undefined }
}

async function ask({ options }: Input, folder: string, args: Args<'ask'>): Promise<ExitCode> {
  const team = await requireTeam(folder)
  const { address } = anyFor(team, args.to)
  if (!idsIn(team).includes(args.to)) {
    const { hint = 'it may run elsewhere' } = suggestion(args.to, idsIn(team))
    console.error(styled('yellow', `No process here has an agent "${args.to}": ${hint} (waiting for a reply all the same)`, process.stderr))
  }
  const { reply } = await call(address, 'ask', args, { patience: args.timeout })
  if (options.json) printJson({ reply })
  else console.log(JSON.stringify(reply, null, 2))
  return 0
}

/** Any process reaches anybody, but the one that runs the agent does so at once. */
function anyFor(team: Team, agent: string): Process {
  const [first] = team.processes
  return first && !idsIn(team).includes(agent) ? first : holderOf(team, agent)
}

async function tell(input: Input, folder: string, args: Args<'send'>): Promise<ExitCode> {
  const team = await findTeam(folder)
  const isRunning = team.processes.length > 0
  const sent = isRunning ? await call(anyFor(team, args.to ?? '').address, 'send', args) : await tellStore(input, args)
  if (input.options.json) printJson({ ...sent, isRunning })
  else {
    console.log(`sent ${sent.id}${receivers(sent, args.to)}`)
    for (const line of [...notes({ sent, args, team, folder }), ...(await unhandled(team, args))]) console.log(styled('yellow', line))
  }
  return 0
}

/** The message is kept all the same: a version that is to come may have the handler. */
async function unhandled(team: Team, { to, type }: Args<'send'>): Promise<string[]> {
  if (to === null || !idsIn(team).includes(to)) return []
  // It is sent: that nobody says more of the agent is no failure of that.
  const { manifest } = await call(holderOf(team, to).address, 'why', { agent: to }).catch(() => ({ manifest: undefined }))
  if (!manifest || Object.hasOwn(manifest.messages, type)) return []
  const known = Object.keys(manifest.messages).join(', ') || 'none'
  return [`"${to}" has no handler for messages of type "${type}", which will be a dead letter: it has ${known}.`]
}

/** Only who sends without a team needs what this loads. */
async function tellStore(input: Input, args: Args<'send'>): Promise<Sent> {
  const { withStore } = await import('./team-store.ts')
  const { sendToStore } = await import('./send-to-store.ts')
  return await withStore(input, (store) => sendToStore(store, args))
}

function receivers({ deliveries }: Sent, to: string | null): string {
  if (to !== null) return ` to ${to}`
  return deliveries.length === 0 ? ' to nobody' : ` to ${deliveries.map(({ agent }) => agent).join(', ')}`
}

type Telling = { readonly sent: Sent; readonly args: Args<'send'>; readonly team: Team; readonly folder: string }

/** What whoever sent it might not expect. */
function notes({ sent, args, team, folder }: Telling): string[] {
  const unknown = sent.deliveries.filter((delivery) => delivery.unknown).map(({ agent }) => agent)
  const { hint } = suggestion(args.to ?? '', idsIn(team))
  return [
    ...(team.processes.length > 0 ? [] : [`No team runs in ${folder}: the message waits in the store for the next start (npm start).`]),
    ...team.silent.map(({ message }) => message),
    ...unknown.map(
      (agent) => `Agent not registered: nobody is called "${agent}" so far; the message waits until it expires${hint ? `; ${hint}` : '.'}`,
    ),
    ...(sent.deliveries.length === 0 && args.to === null ? ['No agent is registered so far: a broadcast is not kept for later ones.'] : []),
    ...(sent.deliveries.length === 0 && args.to !== null ? [`"${args.to}" is not run by Troupe: it has to read the message itself.`] : []),
  ]
}
