import { flushCompileCache } from 'node:module'
import { parentPort } from 'node:worker_threads'
import '../actor.ts' // every actor file imports it: a thread that stands by has it already
import type { HostFrame } from '../core/frames.ts'
import { captureConsole } from './console.ts'
import { createIncarnation } from './incarnation.ts'
import { logLine } from './log.ts'
import { createPort } from './port.ts'
import { rehearse } from './rehearsal.ts'
import { startTidying } from './tidy.ts'

/** Ms in which a thread is needed at once, or not soon. */
const leisure = 100

/** The entry of an actor's thread. It hosts the actors it is told to load; today that is one. */
function main(host: NonNullable<typeof parentPort>): void {
  const port = createPort((frames, transfer) => host.postMessage(frames, transfer))
  const actors = new Map<string, ReturnType<typeof createIncarnation>>()
  // What has no context is of the thread's actor, as long as there is one only.
  const owner = () => (actors.size === 1 ? (actors.keys().next().value ?? null) : null)

  process.on('exit', port.close)
  process.on('uncaughtExceptionMonitor', (error: unknown, origin) => {
    const err = error instanceof Error ? error : new Error(`Thrown: ${String(error)}`)
    port.log(logLine('fatal', owner(), `${origin}: ${err.message}`, { err }))
  })
  captureConsole((level, message) => port.log(logLine(level, owner(), message)))

  async function prepare(): Promise<void> {
    // Who has an actor by now was waited for, and has learnt its part.
    if (actors.size === 0) await rehearse()
    // The next thread need not compile what this one has.
    flushCompileCache()
  }
  const prepareSoon = () => setTimeout(() => void prepare(), leisure).unref()

  function receive(frame: HostFrame): void {
    if (frame.kind === 'ping') return port.send({ kind: 'pong', at: frame.at })
    const id = frame.actor
    if (frame.kind === 'load' && !actors.has(id)) {
      actors.set(
        id,
        createIncarnation(port, () => actors.delete(id)),
      )
      prepareSoon()
    }
    const actor = actors.get(id)
    if (actor) return actor.take(frame)
    if (frame.kind === 'stop') port.send({ kind: 'stopped', actor: id }) // it was refused, or has stopped before
  }

  host.on('message', (frames: readonly HostFrame[]) => frames.forEach(receive))
  startTidying()
  port.send({ kind: 'up' })
  prepareSoon()
}

if (parentPort) main(parentPort)
