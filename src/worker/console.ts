import { format } from 'node:util'
import type { Level } from './log.ts'

const methods = { log: 'info', info: 'info', warn: 'warn', error: 'error', debug: 'debug', trace: 'debug' } as const

/** Turns what is written to the console and the standard streams into log lines. */
export function captureConsole(write: (level: Level, message: string) => void): void {
  for (const [name, level] of Object.entries(methods)) {
    console[name as keyof typeof methods] = (...args: unknown[]) => write(level, format(...args))
  }
  captureStream(process.stdout, (text) => write('info', text))
  captureStream(process.stderr, (text) => write('error', text))
}

/** console.dir and libraries write to the streams themselves; the thread's own streams would arrive late or, at a crash, not at all. */
function captureStream(stream: NodeJS.WriteStream, write: (text: string) => void): void {
  stream.write = (chunk: string | Uint8Array, ...rest: unknown[]) => {
    write((typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString()).replace(/\n$/, ''))
    const done = rest.at(-1)
    if (typeof done === 'function') queueMicrotask(() => done())
    return true
  }
}
