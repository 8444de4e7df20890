import { ActorError } from '../core/errors.ts'
import type { HostFrame, ThreadFrame } from '../core/frames.ts'
import type { Caller, Services, Used } from '../services/service.ts'
import { toErrorData } from '../worker/error-data.ts'
import type { Child } from './child.ts'

type UseFrame = Extract<ThreadFrame, { kind: 'use' }>
type Running = { readonly turn: number; readonly abort: AbortController }

export type UsesOptions = {
  readonly actor: string
  readonly services: Services
  readonly child: Pick<Child, 'post' | 'move'>
}

/** What one incarnation uses of the host's services. Nothing outlives the turn that asked for it. */
export function createUses({ actor, services, child }: UsesOptions) {
  const running = new Map<number, Running>()

  async function run(caller: Caller, { service, input }: UseFrame, signal: AbortSignal): Promise<Used> {
    const found = Object.hasOwn(services, service) ? services[service as keyof Services] : undefined
    if (!found) throw new ActorError('HANDLER_FAILED', `This process has no service "${service}"`)
    return found.use(caller, input, signal)
  }

  async function use(caller: Caller, frame: UseFrame): Promise<void> {
    const { turn, call } = frame
    const abort = new AbortController()
    running.set(call, { turn, abort })
    const answer = (outcome: Extract<HostFrame, { kind: 'used' }>['outcome']) => ({ kind: 'used', actor, call, outcome }) as const
    try {
      const { value, transfer = [] } = await run(caller, frame, abort.signal)
      if (running.has(call)) child.move(answer({ ok: true, value }), transfer)
    } catch (error) {
      if (running.has(call)) child.post(answer({ ok: false, error: toErrorData(error) }))
    } finally {
      running.delete(call)
    }
  }

  function abortAll(isMeant: (one: Running, call: number) => boolean): void {
    for (const [call, one] of running) {
      if (!isMeant(one, call)) continue
      running.delete(call)
      one.abort.abort()
    }
  }

  return {
    use: (caller: Caller, frame: UseFrame): void => void use(caller, frame),
    unuse: (given: number): void => abortAll((_, call) => call === given),
    /** A turn is over. */
    end: (turn: number): void => abortAll((one) => one.turn === turn),
    close: (): void => abortAll(() => true),
  }
}
