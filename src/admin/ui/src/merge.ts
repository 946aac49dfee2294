// Two changes of one text: what each of them changed, and both in one where they do not touch the same lines.
import { applyPatch, createPatch, structuredPatch } from 'diff'

/** Lines shown around a change. */
const CONTEXT = 3

/** What is different, with a sign before each line. */
export function changes(from: string, to: string): string {
  if (from === to) return ''
  // Without the head that names a file.
  return createPatch('', from, to, '', '', { context: CONTEXT }).split('\n').slice(4).join('\n')
}

/** Both changes in one text, or null where they touch the same lines or lines side by side. */
export function merged(base: string, mine: string, theirs: string): string | null {
  const patch = structuredPatch('', '', base, mine, '', '', { context: 1 })
  const text = applyPatch(theirs, patch)
  return text === false ? null : text
}
