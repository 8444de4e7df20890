import type { Event } from '../core/events.ts'
import type { Desired } from './desired.ts'
import type { DesiredDocuments } from './document-agents.ts'

/** Announces what is new about documents, each thing once and not with every reload. */
export function createDocumentNews(emit: (event: Event) => void) {
  let state: DesiredDocuments['state']['kind'] = 'read'
  let told = new Set<string>()

  function tellState(next: DesiredDocuments['state']): void {
    if (state === 'failed' && next.kind !== 'failed') emit({ name: 'source:back', source: 'mongodb' })
    if (next.kind === 'failed' && state !== 'failed') emit({ name: 'source:failed', source: 'mongodb', error: next.error })
    if (next.kind === 'cut' && state !== 'cut') emit({ name: 'source:cut', source: 'mongodb', limit: next.limit })
    state = next.kind
  }

  return {
    /** Takes note of what is desired from now on. */
    tell({ documents }: Desired): void {
      tellState(documents?.state ?? { kind: 'read' })
      if (documents?.state.kind === 'failed') return
      const before = told
      told = new Set()
      for (const skipped of documents?.skipped ?? []) {
        const key = JSON.stringify(skipped)
        told.add(key)
        if (!before.has(key)) emit({ name: 'document:skipped', ...skipped })
      }
    },
  }
}
