import { type Exit, isClean } from './exit.ts'
import type { Backoff, ChildSpec, Intensity, Quarantine, Restart } from './spec.ts'

/** What happens to a child that has ended by itself. */
export type Verdict = 'forget' | 'quarantine' | 'give_up' | 'restart'

/** What is known when a child ends: its exits in a row before this one, and the times of its team's restarts. */
export type Past = { readonly exits: number; readonly restarts: readonly number[] }

/** Whether a child with this policy is started again after this exit. */
export function wantsRestart(restart: Restart, exit: Exit): boolean {
  switch (restart) {
    case 'permanent':
      return true
    case 'transient':
      return !isClean(exit)
    case 'temporary':
      return false
  }
}

/** Decides what happens after a child has ended by itself: its own budget is asked before its team's, so that one bad child parks alone. */
export function decideRestart(
  policy: Pick<ChildSpec, 'restart' | 'budget'>,
  exit: Exit,
  past: Past,
  now: number,
  intensity: Intensity,
): Verdict {
  if (!wantsRestart(policy.restart, exit)) return 'forget'
  if (past.exits + 1 >= policy.budget) return 'quarantine'
  return recent(past.restarts, now, intensity).length + 1 > intensity.max ? 'give_up' : 'restart'
}

/** The restarts that still count: a true window in milliseconds, open at its old end. */
export function recent(restarts: readonly number[], now: number, intensity: Intensity): number[] {
  return restarts.filter((at) => now - at < intensity.within)
}

/** The ms to wait before the restart that follows the given number of exits in a row; random is in [0, 1). */
export function backoff(policy: Backoff, exits: number, random: number): number {
  // Jitter only shortens: the longest wait stays the one that was configured.
  return Math.round(doubled(policy, exits) * (1 - policy.jitter * random))
}

/** The ms until a child is tried again that is quarantined for the given number of times in a row. */
export function quarantineFor(policy: Quarantine, times: number): number {
  return doubled(policy, times)
}

function doubled({ first, max }: { first: number; max: number }, times: number): number {
  // 2 ** 1024 is Infinity, and Infinity * 0 would be NaN for a policy without wait.
  return Math.min(max, first * 2 ** Math.min(times - 1, 52))
}
