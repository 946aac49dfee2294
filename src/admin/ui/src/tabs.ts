// The tabs of the query workspace, which survive a reload of the page.
import { reactive, watch } from 'vue'
import { isNumber, parseExact, typedNumber } from './exact'
import { debounce } from './load'
import type { Json, JsonMap } from './types'

export const PARAM_TYPES = ['string', 'number', 'boolean', 'date', 'datetime', 'json'] as const

export interface Param {
  name: string
  type: (typeof PARAM_TYPES)[number]
  value: string
}

export interface QueryTab {
  id: string
  title: string
  datasource_id: string
  sql: string
  params: Param[]
  pageSize: number
}

const KEPT = 'tidegate.query'

/** Not `randomUUID`, which browsers give to https only. */
export function freshId(): string {
  return [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}

function kept(): { tabs: QueryTab[]; active: string } {
  try {
    const found = JSON.parse(localStorage.getItem(KEPT) ?? '') as { tabs?: QueryTab[]; active?: string }
    const tabs = (found.tabs ?? []).filter((tab) => typeof tab.id === 'string' && typeof tab.sql === 'string' && Array.isArray(tab.params))
    return { tabs, active: found.active ?? '' }
  } catch {
    return { tabs: [], active: '' }
  }
}

export const workspace = reactive(kept())

export function addTab(title: string, from?: Partial<QueryTab>): void {
  const tab = { id: freshId(), title, datasource_id: '', sql: '', params: [], pageSize: 100, ...from }
  workspace.tabs.push(tab)
  workspace.active = tab.id
}

export function closeTab(id: string): void {
  const at = workspace.tabs.findIndex((tab) => tab.id === id)
  if (at < 0) return
  workspace.tabs.splice(at, 1)
  if (workspace.active === id) workspace.active = (workspace.tabs[at] ?? workspace.tabs[at - 1])?.id ?? ''
}

const keep = debounce(() => {
  try {
    localStorage.setItem(KEPT, JSON.stringify(workspace))
  } catch {
    // A full store costs the memory of the tabs, not the work in them.
  }
}, 300)
watch(workspace, keep, { deep: true })

function valueOf({ type, value }: Param): Json {
  if (type === 'number') return typedNumber(value)
  if (type === 'boolean') return value === 'true'
  return type === 'json' ? (parseExact(value) as Json) : value
}

/** Throws a SyntaxError that names the parameter whose JSON does not parse. */
export function valuesOf(params: Param[]): JsonMap {
  const named = params.filter((param) => param.name)
  return Object.fromEntries(named.map((param) => {
    try {
      return [param.name, valueOf(param)]
    } catch (error) {
      throw new SyntaxError(`${param.name}: ${error instanceof Error ? error.message : ''}`)
    }
  }))
}

/** And back, for a query that was run before. */
export function paramsOf(values: JsonMap): Param[] {
  return Object.entries(values).map(([name, value]) => {
    if (typeof value === 'string') return { name, type: 'string', value }
    const text = JSON.stringify(value)
    return { name, type: isNumber(value) ? 'number' : typeof value === 'boolean' ? 'boolean' : 'json', value: text }
  })
}

/** Names that a statement binds, as `:name` or `{{ name }}`; quotes and comments do not count. */
export function namesIn(sql: string): string[] {
  const bare = sql.replace(/'(?:[^']|'')*'|--[^\n]*|\/\*[\s\S]*?\*\//g, ' ')
  const found = [...bare.matchAll(/(?<![:\w]):([A-Za-z_]\w*)|\{\{\s*([A-Za-z_]\w*)|\{%\s*(?:if|elif)\s+(?:not\s+)?([A-Za-z_]\w*)|\{%\s*for\s+\w+\s+in\s+([A-Za-z_]\w*)/g)]
  const items = new Set([...bare.matchAll(/\{%\s*for\s+(\w+)\s+in/g)].map((match) => match[1]))
  return [...new Set(found.map((match) => match[1] ?? match[2] ?? match[3] ?? match[4] ?? ''))].filter((name) => name && !items.has(name))
}
