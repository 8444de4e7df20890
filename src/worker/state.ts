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
    open: () => new OneDraft(state, options.isSaved),
  }
  return state
}

class OneDraft implements Draft {
  readonly #state: State
  readonly #isSaved: boolean
  #value: unknown
  #isReplaced = false

  constructor(state: State, isSaved: boolean) {
    this.#state = state
    this.#isSaved = isSaved
    this.#value = state.value
  }

  get value(): unknown {
    return this.#value
  }

  set value(next: unknown) {
    this.#value = freezeTop(next)
    this.#isReplaced = true
  }

  get isReplaced(): boolean {
    return this.#isReplaced
  }

  commit(): JsonText | undefined {
    if (!this.#isReplaced) return undefined
    const text = this.#isSaved ? toJson(this.#value, 'state') : undefined
    this.#state.value = text === undefined ? this.#value : freezeAll(fromJson(text))
    return text
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
