// The draft of a new interface: on its way from the query workspace, and while it is edited. A reload of the page does not lose it.
import type { Definition } from './types'

export interface Draft {
  definition: Definition
  /** What could not be inferred. */
  notes: string[]
  /** As it was edited. */
  text?: string
}

const KEPT = 'tidegate.draft'

export function keepDraft(draft: Draft): void {
  try {
    sessionStorage.setItem(KEPT, JSON.stringify(draft))
  } catch {
    // A full store costs the reload, not the draft in the editor.
    last = draft
  }
}

/** Where the store would not take it. */
let last: Draft | null = null

export function keptDraft(): Draft | null {
  try {
    const found = JSON.parse(sessionStorage.getItem(KEPT) ?? 'null') as Draft | null
    return found?.definition ? found : last
  } catch {
    return last
  }
}

export function dropDraft(): void {
  last = null
  sessionStorage.removeItem(KEPT)
}
