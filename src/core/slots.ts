/**
 * What is under way, by the number that crosses a port. It does what a Map would do, but for this: a Map through which entries come and
 * go makes itself a new table every few hundred entries, and the tables it leaves behind keep each other, and whatever was in them, alive
 * until a full garbage collection.
 */
export type Slots<Value> = {
  /** Keeps a value under a number of its own, which is not given again. */
  put(value: Value): number
  /** Keeps what another thread gave a number to; false: it is none, or not free. */
  take(id: number, value: Value): boolean
  get(id: number): Value | undefined
  delete(id: number): void
  values(): Value[]
}

/** Slots that a number can name; the rest of it says how often the slot was used. */
const most = 2 ** 20

export function createSlots<Value>(): Slots<Value> {
  const values: (Value | undefined)[] = []
  const ids: number[] = []
  /** Only the side that gives the numbers empties it, so the other has none. */
  let free: number[] | undefined
  const isHeld = (id: number) => ids[id % most] === id && values[id % most] !== undefined

  return {
    put(value) {
      free ??= []
      const slot = free.pop() ?? values.length
      if (slot === most) throw new RangeError(`There are ${most} already`)
      const id = (ids[slot] ?? slot - most) + most
      ids[slot] = id
      values[slot] = value
      return id
    },
    take(id, value) {
      if (!Number.isSafeInteger(id) || id < 0 || values[id % most] !== undefined) return false
      ids[id % most] = id
      values[id % most] = value
      return true
    },
    get: (id) => (isHeld(id) ? values[id % most] : undefined),
    delete(id) {
      if (!isHeld(id)) return
      values[id % most] = undefined
      free?.push(id % most)
    },
    values: () => values.filter((value) => value !== undefined),
  }
}
