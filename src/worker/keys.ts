import { hash, randomUUID } from 'node:crypto'
import { messageId } from '../core/message-id.ts'

/** Makes the keys of one turn's requests: the same run makes the same keys, another path makes others. */
export type Keys = {
  /** Of a message, an ask or a function call: the k-th of this kind, target, type and body. */
  request(kind: string, target: string, type: string, body: string): string
  /** A uuid of a name. */
  id(name: string): string
}

/** `delivery` is the id of the message or job; a broadcast's is the same for all its receivers, so the agent is part of every key. */
export function createKeys(agent: string, delivery: string): Keys {
  const counts = new Map<string, number>()
  return {
    request(kind, target, type, body) {
      const key = `${kind}:${digest([agent, delivery, kind, target, type, body])}`
      const count = (counts.get(key) ?? 0) + 1
      counts.set(key, count)
      return `${key}:${count}`
    },
    id: (name) => uuidOf([agent, delivery, name]),
  }
}

/** The id of a message that is made now, and is another one each time. */
export function newMessageId(): string {
  return messageId(randomUUID(), Date.now())
}

/** A version 8 uuid (RFC 9562) that is always the same for these parts, none of which contains NUL. */
export function uuidOf(parts: readonly string[]): string {
  const hex = hash('sha256', parts.join('\0'), 'hex')
  const variant = ((Number.parseInt(hex.charAt(16), 16) & 3) | 8).toString(16)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

function digest(parts: readonly string[]): string {
  return hash('sha256', parts.join('\0'), 'base64url')
}
