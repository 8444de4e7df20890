const units = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
] as const

/** Ms in the largest unit that they fill: 4 min. */
export function shortly(ms: number): string {
  const [unit, size] = units.find(([, least]) => ms >= least) ?? ['ms', 1]
  return `${Math.round(ms / size)} ${unit}`
}

/** A moment as people want it: how far it is, and when. A time of the database may be none that a clock has, such as infinity. */
export function moment(at: number | string, now: number): string {
  const time = typeof at === 'string' ? Date.parse(at) : at
  return Number.isNaN(time) ? String(at) : `${since(new Date(time).toISOString(), now)}, ${clockTime(time)}`
}

/** A moment to the second. */
export function clockTime(at: number): string {
  return `${new Date(at).toISOString().slice(0, 19).replace('T', ' ')} UTC`
}

/** How far a time of the database is: 4 min ago. */
export function since(at: string | null, now: number): string {
  const time = Date.parse(at ?? '')
  if (Number.isNaN(time)) return at ?? ''
  return time <= now ? `${shortly(now - time)} ago` : `in ${shortly(time - now)}`
}
