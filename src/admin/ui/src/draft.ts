// A draft on its way from the query workspace to the editor, with what could not be inferred.
import type { Definition } from './types'

export interface Draft {
  definition: Definition
  notes: string[]
}

let kept: Draft | null = null

export function keepDraft(draft: Draft): void {
  kept = draft
}

export function takeDraft(): Draft | null {
  const draft = kept
  kept = null
  return draft
}
