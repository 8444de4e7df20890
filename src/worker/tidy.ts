import { getHeapStatistics } from 'node:v8'
import { collectGarbage } from './collect.ts'

const defaults = { every: 30_000, growth: 6 * 2 ** 20 }

/**
 * Gives memory back that V8 would keep: with room for a gigabyte it sees no reason to collect what a few small turns have left, and
 * many mostly waiting agents together then hold a hundred megabytes of it. Looks every `every` ms, and collects when the heap has
 * grown by `growth` bytes since it did so last, which takes a small heap a few ms.
 */
export function startTidying({ every, growth } = defaults): () => void {
  // What loading has left is collected at the first look.
  let least = 0
  const timer = setInterval(() => {
    if (getHeapStatistics().used_heap_size < least + growth) return
    collectGarbage()
    least = getHeapStatistics().used_heap_size
  }, every)
  timer.unref()
  return () => clearInterval(timer)
}
