import type { Backend } from './open.ts'
import { createRealtimeHint, type RealtimeEvent, type RealtimeHintOptions } from './realtime.ts'
import { createSupabaseClient } from './supabase.ts'

/** What there may be to take: a message for an agent (null: for everybody), a job of a type, or anything of any kind. */
export type Hint =
  | { readonly kind: 'message'; readonly to: string | null; readonly from: string }
  | { readonly kind: 'job'; readonly type: string }
  | { readonly kind: 'anything' }

export interface Hints {
  start(): void
  stop(): Promise<void>
}

export interface HintOptions extends Pick<RealtimeHintOptions, 'settle' | 'retry'> {
  /** Called for every new row that others may have written: it has to be quick. */
  readonly onHint: (hint: Hint) => void
  readonly onEvent?: (event: RealtimeEvent) => void
}

const silence: Hints = { start() {}, stop: () => Promise.resolve() }

/** Listens to Realtime where there is one. Everybody looks at the table now and then anyway, so that it only makes things sooner. */
export function openHints(backend: Pick<Backend, 'kind' | 'url' | 'key'> | undefined, options: HintOptions): Hints {
  if (backend?.kind !== 'hosted') return silence
  const { onHint, ...rest } = options
  return createRealtimeHint({
    ...rest,
    // A client of its own: its socket closes with the hint.
    client: createSupabaseClient({ url: backend.url, key: backend.key }),
    onChange: ({ table, row }) => onHint(hintOf(table, row)),
    onWake(reason) {
      // What happened while nobody listened. Changes tell what they are themselves, and polls are the table's readers' own.
      if (reason === 'subscribed' || reason === 'settled') onHint({ kind: 'anything' })
    },
  })
}

function hintOf(table: string, { to_agent: to, from_agent: from, job_type: type }: Readonly<Record<string, unknown>>): Hint {
  // A row that is too large comes without most of its columns.
  if (table === 'agent_messages' && (typeof to === 'string' || to === null) && typeof from === 'string')
    return { kind: 'message', to, from }
  return table === 'agent_jobs' && typeof type === 'string' ? { kind: 'job', type } : { kind: 'anything' }
}
