import type { Event } from '../core/events.ts'
import type { Changes } from './troupe-types.ts'

/** Tells what a reload could not change, once for each such change: reloads come every few minutes. */
export function createDeferredNews(emit: (event: Event) => void) {
  let told = ''
  return {
    tell({ later: sections = [] }: Changes): void {
      const before = told
      told = sections.join()
      if (told !== before && sections.length > 0) emit({ name: 'config:deferred', sections })
    },
  }
}
