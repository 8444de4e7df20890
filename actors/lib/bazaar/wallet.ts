import { createHash } from 'node:crypto'

/** A wallet that is nobody's, the same for the same agent of the same owner: the marketplace knows an agent by its wallet. */
export function placeholderWallet(owner: string, agent: string): string {
  return `0x${createHash('sha256')
    .update(JSON.stringify([owner, agent]))
    .digest('hex')
    .slice(0, 40)}`
}
