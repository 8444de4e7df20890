/**
 * Why a child has ended. `start_failed`: it ended before it was ready. `gave_up`: it is a team that is over its budget;
 * a reason of its own, because as a clean shutdown it would never be restarted where restarts depend on the reason.
 */
export type Exit = 'normal' | 'shutdown' | 'crash' | 'hung' | 'out_of_memory' | 'poison' | 'start_failed' | 'start_timeout' | 'gave_up'

/** Whether a child that ended like this has done what it was meant to do. */
export function isClean(exit: Exit): boolean {
  return exit === 'normal' || exit === 'shutdown'
}
