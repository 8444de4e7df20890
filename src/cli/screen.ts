import { styled } from './print.ts'

/** A terminal with lines that stay and one at the bottom that is always the latest. */
export type Screen = {
  /** Prints whole lines above the status line. */
  print(text: string): void
  /** Replaces the status line. */
  status(line: string): void
  /** Takes the status line away. */
  close(): void
}

type Out = Pick<NodeJS.WriteStream, 'write' | 'columns'> & { on(name: 'error', listener: () => void): unknown }

const clear = '\r\u001b[2K'

/** Makes a screen of a terminal; nothing else may write to it. */
export function openScreen(out: Out): Screen {
  // A terminal that was closed must not end the team before it has drained.
  out.on('error', () => {})
  let shown = ''
  const hide = () => (shown === '' ? '' : clear)
  return {
    print(text) {
      out.write(`${hide()}${text.endsWith('\n') ? text : `${text}\n`}${shown}`)
    },
    status(line) {
      // A line that wraps could not be taken back.
      const next = styled('dim', cut(line, (out.columns || 80) - 1))
      if (next !== shown) out.write(`${hide()}${next}`)
      shown = next
    },
    close() {
      out.write(hide())
      shown = ''
    },
  }
}

function cut(line: string, width: number): string {
  return line.length > width ? `${line.slice(0, Math.max(0, width - 1))}…` : line
}
