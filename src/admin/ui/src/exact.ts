// JSON without loss: a number that JavaScript would round or shorten keeps the digits that it was written with.
import type { Json } from './types'

/** What newer browsers have, and the types do not know yet. */
interface RawJson {
  rawJSON(text: string): object
  isRawJSON(value: unknown): boolean
}
const raw = JSON as unknown as Partial<RawJson>
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/

function numberOf(source: string): Json {
  const value = Number(source)
  return raw.rawJSON && String(value) !== source ? (raw.rawJSON(source) as unknown as Json) : value
}


/** Its numbers print with their own digits, also by `JSON.stringify`. */
export function parseExact(text: string): unknown {
  return JSON.parse(text, (_key, value: unknown, context?: { source?: string }) =>
    typeof value === 'number' && context?.source ? numberOf(context.source) : value)
}

/** Whether a value is a number that is kept as its text. */
export const isKept = (value: unknown): boolean => raw.isRawJSON?.(value) ?? false
export const isNumber = (value: unknown): boolean => typeof value === 'number' || isKept(value)

/** The number of a text, or the text itself where the number would be another one. */
export function keptNumber(text: string, value: number): Json {
  const digits = text.replace(/[eE].*$/, '').replace(/\D/g, '').replace(/^0+/, '')
  return digits.length > 15 && NUMBER.test(text) ? numberOf(text) : value
}

/** What was typed as a number; what is none, or could not be kept, stays text. */
export function typedNumber(text: string): Json {
  const typed = text.trim()
  const value = Number(typed)
  if (!typed || !Number.isFinite(value)) return text
  if (!NUMBER.test(typed)) return value
  return raw.rawJSON || String(value) === typed ? numberOf(typed) : typed
}
