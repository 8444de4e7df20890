import type { Result } from '../ops/control-api.ts'
import { plain, styled } from './print.ts'

/** How far MongoDB's documents could be read, and which of them bring no agent. */
export type DocumentChanges = NonNullable<Result<'plan'>['documents']>

/** What is not as the documents say, one line each; none when all of them run, or none are asked for. */
export function documentLines(documents: DocumentChanges | undefined): string[] {
  if (documents === undefined) return []
  const { kind, error = '', limit, skipped } = documents
  // Paths as people write them.
  const shorten = (text: string) => plain(text.replaceAll(`${process.cwd()}/`, ''))
  const label = (text: string) => styled('yellow', text)
  return [
    ...(kind === 'failed' ? [`${label('failed')}   ${plain(error)}; the agents of its documents stay as they are`] : []),
    ...(kind === 'cut'
      ? [`${label('cut')}      MongoDB has more than ${limit} documents of managed agents: those behind them are not read`]
      : []),
    ...skipped.map(
      ({ id, reason, runsOn }) => `${label('skipped')}  ${plain(id)}  ${shorten(reason)}${runsOn ? '; it runs on as it was' : ''}`,
    ),
  ]
}
