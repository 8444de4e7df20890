import type { JsonText } from '../core/message.ts'
import { fromJson, toJson } from './json.ts'

/** An actor's state between turns. */
export type State = {
  value: unknown
  /** The state as one turn sees it. */
  open(): Draft
}

export type Draft = {
  value: unknown
  readonly isReplaced: boolean
  /** Makes it the actor's state; gives its text when it was replaced and has to be saved. Throws when it is not JSON. */
  commit(): JsonText | undefined
}

/**
 * Holds a state that is replaced, never mutated: a mutation throws, because a failed turn could not take it back. A state that
 * is saved becomes what its JSON text says and is frozen to the bottom, a third of what the text costs anyway; any other one
 * only on top, since a walk through it in each turn would be dear.
 */
export function createState(saved: JsonText | null, options: { readonly isSaved: boolean }): State {
  const state: State = {
    value: saved === null ? undefined : freezeAll(fromJson(saved)),
    open: () => openDraft(state, options.isSaved),
  }
  return state
}

function openDraft(state: State, isSaved: boolean): Draft {
  let value = state.value
  let isReplaced = false
  return {
    get value() {
      return value
    },
    set value(next) {
      value = freezeTop(next)
      isReplaced = true
    },
    get isReplaced() {
      return isReplaced
    },
    commit() {
      if (!isReplaced) return undefined
      const text = isSaved ? toJson(value, 'state') : undefined
      state.value = text === undefined ? value : freezeAll(fromJson(text))
      return text
    },
  }
}

/** Freezes plain objects and lists only: others may have to change to work. */
export function freezeTop(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  return Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype ? Object.freeze(value) : value
}

function freezeAll(json: unknown): unknown {
  if (typeof json !== 'object' || json === null) return json
  for (const member of Object.values(json)) freezeAll(member)
  return Object.freeze(json)
}
