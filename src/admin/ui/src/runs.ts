// The test runs of an interface that this browser remembers.
import type { TestQuestion } from './api'
import { parseExact } from './exact'
import type { Definition } from './types'

export interface Run extends TestQuestion {
  at: string
  status: number
  duration_ms: number
}

const MOST = 20
const key = (code: string) => `tidegate.runs.${code}`

export function runsOf(code: string): Run[] {
  try {
    const kept: unknown = parseExact(localStorage.getItem(key(code)) ?? '[]')
    return Array.isArray(kept) ? (kept as Run[]) : []
  } catch {
    return []
  }
}

/** Values that must not be in logs are not kept here either. */
export function keepRun(one: Definition, run: Run): Run[] {
  const secret = new Set((one.parameters ?? []).filter((parameter) => parameter.sensitive).map((parameter) => parameter.name))
  const parameters = Object.fromEntries(Object.entries(run.parameters).filter(([name]) => !secret.has(name)))
  const runs = [{ ...run, parameters }, ...runsOf(one.code)].slice(0, MOST)
  try {
    localStorage.setItem(key(one.code), JSON.stringify(runs))
  } catch {
    // A full store costs the history, not the run.
  }
  return runs
}
