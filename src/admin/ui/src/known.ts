// The interfaces that there are, for suggestions and for a search in more than the API looks at.
import { api } from './api'
import type { Definition } from './types'

const KEPT_MS = 30_000
let kept: { at: number; rows: Promise<Definition[]> } | null = null

export function knownInterfaces(): Promise<Definition[]> {
  if (!kept || Date.now() - kept.at > KEPT_MS) {
    const rows = api.allInterfaces()
    kept = { at: Date.now(), rows }
    rows.catch(() => (kept = null))
  }
  return kept.rows
}

export function forgetKnown(): void {
  kept = null
}

export interface Wanted { q: string; status: string; datasource_id: string; tag: string; sort: string }

function fits(one: Definition, { q, status, datasource_id: datasource, tag }: Wanted): boolean {
  if (status && (one.status ?? 'active') !== status) return false
  if (datasource && one.datasource_id !== datasource) return false
  if (tag && !one.tags?.includes(tag)) return false
  const words = q.toLowerCase().split(/\s+/).filter(Boolean)
  const text = [one.code, one.name, one.description, one.path, one.owner, ...(one.tags ?? [])].join('\n').toLowerCase()
  return words.every((word) => text.includes(word))
}

/** A page of those that fit, each word of `q` somewhere in what people know an interface by. */
export async function searchInterfaces(wanted: Wanted, page: number, pageSize: number): Promise<{ rows: Definition[]; total: number }> {
  const found = (await knownInterfaces()).filter((one) => fits(one, wanted))
  const key = wanted.sort.replace(/^-/, '')
  const sign = wanted.sort.startsWith('-') ? -1 : 1
  const order = (one: Definition) => String(one[key] ?? '')
  found.sort((a, b) => sign * order(a).localeCompare(order(b)))
  return { rows: found.slice((page - 1) * pageSize, page * pageSize), total: found.length }
}
