import { setTimeout } from 'node:timers/promises'
import { type Log, openLog } from '../host/log.ts'
import { endProcess } from '../host/threads.ts'
import { createTroupe } from '../host/troupe.ts'
import type { AgentView, Troupe } from '../host/troupe-types.ts'
import { type Control, openControl } from '../ops/control.ts'
import { openHealth } from '../ops/health.ts'
import { portOf } from '../sources/environment.ts'
import { fileSource } from '../sources/file.ts'
import type { Board } from './board.ts'
import type { Command, ExitCode, Input } from './command.ts'
import { styled } from './print.ts'
import { openScreen, type Screen } from './screen.ts'
import { findTeam } from './team.ts'
import { configFile, teamOptions } from './team-input.ts'
import { watchTeam } from './watch-team.ts'

/** Runs the team of a config file until a signal ends it, or nothing is left of it. */
export const start: Command = {
  summary: 'run the team',
  usage: '[--config <file>] [--market <source>] [--folder <path>] [--json]',
  examples: [
    'troupe start',
    'troupe start --market simulated:42',
    'troupe start --config config/bazaar.yaml',
    'AGENT_MODE=trader troupe start',
  ],
  notes: ['On a terminal it shows what happens, warnings, and one line of state; LOG_LEVEL=info shows the whole log as well.'],
  options: {
    ...teamOptions,
    market: { type: 'string', value: '<source>', help: 'polymarket, replay:<folder> or simulated:<seed>; the config has it as MARKET' },
    json: { type: 'boolean', help: 'log for programs, also on a terminal' },
  },
  async run({ options, env: given }: Input): Promise<ExitCode> {
    const env = typeof options.market === 'string' ? { ...given, MARKET: options.market } : given
    const screen = process.stdout.isTTY === true && !options.json ? openScreen(process.stdout) : undefined
    const log = await openLog(screen ? { env, level: 'warn', isPretty: true, write: screen.print } : { env, isPretty: false })
    const file = configFile({ options, env })
    const { config } = await fileSource(file, env).read()
    const folder = typeof options.folder === 'string' ? options.folder : config.store.folder
    const troupe = createTroupe({
      config: file,
      env,
      log,
      folder,
    })
    // From before the first thread until the drain is over.
    await using _health = await openHealth({ ...portOf(env), status: troupe.status, log })
    await using _control = await openControlIn(folder, troupe, log)
    const release = onSignals(troupe, log, () => screen?.print('Stopping: what runs is finished; once more ends at once.'))
    let watch: ReturnType<typeof watchTeam> | undefined
    try {
      await troupe.start()
      log.flush()
      if (screen) {
        printTeam(troupe, screen)
        watch = watchTeam(troupe, screen)
      }
      const code = await troupe.ended
      await end(troupe, log, code)
      watch?.close()
      screen?.print(savedLine(troupe, folder, watch?.last()))
      return code
    } catch (error) {
      await end(troupe, log, 1)
      throw error
    } finally {
      watch?.close()
      release()
    }
  },
}

/** A team without it runs all the same; it only cannot be asked. */
async function openControlIn(folder: string, troupe: Troupe, log: Log): Promise<Control | undefined> {
  try {
    // It also takes away what killed processes have left there.
    void findTeam(folder).catch(() => {})
    return await openControl(troupe, folder)
  } catch (error) {
    log.write('warn', `troupe ps and the like cannot reach this process: ${(error as Error).message}`)
    return undefined
  }
}

/** With a thread that cannot be ended the process would not end either. */
async function end(troupe: Troupe, log: Log, code: ExitCode): Promise<void> {
  await troupe.stop()
  log.flush()
  const { zombies } = troupe.status()
  if (zombies > 0) endProcess(code, zombies)
}

/** Ms in which a thread that was killed has ended, or counts as one that cannot be. */
const killPatience = 3_000

/** SIGHUP: its terminal was closed. Node does not leave it ignored for nohup, so unheard it would end the process at once. */
const endings = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const

/** The first signal drains and stops, the second one kills, the third one waits for nothing. */
function onSignals(troupe: Troupe, log: Log, onStop: () => void): () => void {
  let count = 0
  const listener = (): void => {
    count += 1
    if (count === 1) {
      onStop()
      return void troupe.stop()
    }
    if (count === 2) return void endNow(troupe, log)
    process.kill(process.pid, 'SIGKILL')
  }
  for (const signal of endings) process.on(signal, listener)
  return () => {
    for (const signal of endings) process.off(signal, listener)
  }
}

/** As soon as its threads have ended, or it is known which cannot: process.exit would wait for one of those for ever. */
async function endNow(troupe: Troupe, log: Log): Promise<void> {
  troupe.kill()
  await Promise.race([troupe.stop().catch(() => {}), setTimeout(killPatience)])
  log.flush()
  endProcess(1, troupe.status().zombies)
}

function printTeam(troupe: Troupe, screen: Screen): void {
  const { store, reasons } = troupe.status()
  const line = (label: string, text: string) => screen.print(`${styled('bold', label.padEnd(10))}${text}`)
  line('store', `${store.kind}: ${store.where}`)
  const agents = troupe.list()
  const [ids, types] = [agents.map(({ id }) => id.length), agents.map(({ type }) => type.length)].map((widths) => Math.max(0, ...widths))
  for (const [at, agent] of agents.entries())
    line(at === 0 ? 'agents' : '', `${agent.id.padEnd(ids ?? 0)}  ${agent.type.padEnd(types ?? 0)}  ${shown(agent)}`)
  for (const reason of reasons) line('', styled('yellow', reason))
  line('', styled('dim', 'look closer in another terminal: npx troupe ps, npx troupe why <agent>, npx troupe jobs list, npx troupe --help'))
  screen.print('')
}

/** Everything is in the store at any moment; people want to hear it. */
function savedLine(troupe: Troupe, folder: string, last: Board | undefined): string {
  const { kind, where } = troupe.status().store
  const place = kind === 'embedded' ? folder : where // nobody serves it any more
  const open = last?.executions.filter(({ status }) => status === 'pending' || status === 'executed').length ?? 0
  const left = [`${last?.jobs.waiting ?? 0} jobs wait`, ...(open > 0 ? [`${open} trades are open`] : [])].join(', ')
  return `Stopped. Everything is saved in ${place}: ${left}. The next start continues.`
}

function shown({ status }: AgentView): string {
  return styled(status === 'running' ? 'green' : 'yellow', status === 'running' ? 'up' : status)
}
