// The typed client of the admin API: envelope, CSRF header, failures, and one function a route.
import { ref } from 'vue'
import { parseExact } from './exact'
import { locale } from './i18n'
import type * as T from './types'

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly details: T.Detail[] = [],
    readonly retryAfter?: number,
  ) {
    super(message)
  }
}

export interface Answer<D, M = T.PageMeta> {
  data: D
  meta: M
  etag: string
}

type Query = Record<string, string | number | boolean | null | undefined>

interface Options {
  query?: Query
  body?: unknown
  /** Sent as it is, instead of `body` as JSON. */
  raw?: { type: string; text: string }
  etag?: string
  signal?: AbortSignal
  /** Numbers of the answer keep their digits. */
  exact?: boolean
}

/** Whether the server answered the last time that it was asked. */
export const reachable = ref(true)

let csrf = ''
let onUnauthorized: () => void = () => {}

export function keepCsrf(token: string): void {
  csrf = token
}

export function whenUnauthorized(act: () => void): void {
  onUnauthorized = act
}

function address(path: string, query: Query = {}): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== '')
  const text = new URLSearchParams(given.map(([key, value]) => [key, String(value)])).toString()
  return text ? `${path}?${text}` : path
}

async function send(method: string, path: string, options: Options): Promise<Response> {
  const headers: Record<string, string> = { Accept: 'application/json', 'Accept-Language': locale.value }
  if (method !== 'GET' && csrf) headers['X-CSRF-Token'] = csrf
  if (options.etag) headers['If-Match'] = options.etag
  let body: string | undefined
  if (options.raw) {
    headers['Content-Type'] = options.raw.type
    body = options.raw.text
  } else if (options.body !== undefined) {
    headers['Content-Type'] = 'application/json'
    body = JSON.stringify(options.body)
  }
  const init: RequestInit = { method, headers, credentials: 'same-origin', cache: 'no-store' }
  if (body !== undefined) init.body = body
  if (options.signal) init.signal = options.signal
  try {
    const response = await fetch(address(path, options.query), init)
    // A proxy whose gateway is away answers with words of its own.
    reachable.value = response.status < 500 || (response.headers.get('Content-Type') ?? '').includes('json')
    if (!reachable.value) throw new ApiError(response.status, 'UNREACHABLE', '')
    return response
  } catch (error) {
    if (error instanceof ApiError || (error instanceof DOMException && error.name === 'AbortError')) throw error
    reachable.value = false
    throw new ApiError(0, 'UNREACHABLE', '')
  }
}

async function failure(response: Response): Promise<ApiError> {
  const seconds = Number(response.headers.get('Retry-After'))
  const retryAfter = Number.isFinite(seconds) && seconds > 0 ? seconds : undefined
  try {
    const body = (await response.json()) as { code?: string; message?: string; details?: T.Detail[] }
    const details = Array.isArray(body.details) ? body.details : []
    return new ApiError(response.status, body.code ?? '', body.message ?? '', details, retryAfter)
  } catch {
    return new ApiError(response.status, '', '', [], retryAfter)
  }
}

async function request<D, M = T.PageMeta>(method: string, path: string, options: Options = {}): Promise<Answer<D, M>> {
  const response = await send(method, path, options)
  if (!response.ok) {
    const error = await failure(response)
    // A wrong password and the first look for a session are 401 too; those who ask for them answer that.
    if (error.status === 401 && path !== '/api/session') onUnauthorized()
    throw error
  }
  const text = await response.text()
  const etag = response.headers.get('ETag') ?? ''
  if (!text) return { data: null as D, meta: {} as M, etag }
  let body: { data: D; meta?: M }
  try {
    body = (options.exact ? parseExact(text) : JSON.parse(text)) as { data: D; meta?: M }
  } catch {
    // A proxy's own page, or half an answer.
    throw new ApiError(response.status, 'UNREADABLE', '')
  }
  const meta = (body.meta ?? {}) as M
  return { data: body.data, meta, etag: etag || ((meta as { etag?: string }).etag ?? '') }
}

const get = <D, M = T.PageMeta>(path: string, query?: Query, signal?: AbortSignal) =>
  request<D, M>('GET', path, { ...(query && { query }), ...(signal && { signal }) })
const data = async <D>(answer: Promise<Answer<D, unknown>>): Promise<D> => (await answer).data
const enc = encodeURIComponent

/** Every page of a list, for selects and pages that sort themselves. */
async function all<D>(path: string, query: Query = {}): Promise<D[]> {
  const rows: D[] = []
  for (let page = 1; page <= 50; page += 1) {
    const answer = await get<D[]>(path, { ...query, page, pageSize: 1000 })
    rows.push(...answer.data)
    if (!answer.meta.hasNext) break
  }
  return rows
}

/** Fetches a download and hands it to the browser under a name. */
async function save(method: string, path: string, name: string, options: Options = {}): Promise<void> {
  const response = await send(method, path, options)
  if (!response.ok) {
    const error = await failure(response)
    if (error.status === 401) onUnauthorized()
    throw error
  }
  const link = document.createElement('a')
  link.href = URL.createObjectURL(await response.blob())
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000)
}

const one = (code: string) => `/api/dataservice/interfaces/${enc(code)}`
export interface TestQuestion { as?: T.Json; claims?: T.JsonMap; parameters: T.JsonMap }
export interface Asked { datasource_id: string; sql: string; params: T.JsonMap }
/** How a change is kept: what its commit says, and the branch that gets it where it is to be reviewed first. */
export interface Keeping { message?: string; branch?: string }
export type LogKind = 'calls' | 'queries' | 'operations' | 'logins'
type DefinitionMeta = { file?: string; line?: number; etag?: string; commit?: string }

export const api = {
  login: (username: string, password: string) =>
    data(request<T.Session>('POST', '/api/session', { body: { username, password } })),
  session: () => data(get<T.Session>('/api/session')),
  logout: () => request<null>('DELETE', '/api/session'),
  changePassword: (old_password: string, new_password: string) =>
    request<null>('PUT', '/api/session/password', { body: { old_password, new_password } }),
  setupNeeded: () => data(get<{ needed: boolean }>('/api/setup')),
  setup: (token: string, username: string, password: string) =>
    data(request<T.Session>('POST', '/api/setup', { body: { token, username, password } })),

  accounts: () => all<T.Account>('/api/accounts'),
  addAccount: (body: { username: string; password: string; role: T.Role }) => request('POST', '/api/accounts', { body }),
  changeAccount: (name: string, body: { role?: T.Role; disabled?: boolean; password?: string }) =>
    request('PATCH', `/api/accounts/${enc(name)}`, { body }),
  removeAccount: (name: string) => request('DELETE', `/api/accounts/${enc(name)}`),
  tokens: () => all<T.ApiToken>('/api/tokens'),
  addToken: (body: { name: string; role?: T.Role; expires_in_days?: number }) =>
    data(request<{ id: string; token: string }>('POST', '/api/tokens', { body })),
  removeToken: (id: string) => request('DELETE', `/api/tokens/${enc(id)}`),
  sessions: () => all<T.OnlineSession>('/api/sessions'),
  endSession: (id: string) => request('DELETE', `/api/sessions/${enc(id)}`),
  consumers: () => all<T.Consumer>('/api/consumers'),
  addConsumer: (body: { name: string; description?: string; roles: string[] }) => request('POST', '/api/consumers', { body }),
  addKey: (consumer: string, body: { id: string; expires_at?: string }) =>
    data(request<{ id: string; key: string }>('POST', `/api/consumers/${enc(consumer)}/keys`, { body })),
  removeKey: (consumer: string, id: string) => request('DELETE', `/api/consumers/${enc(consumer)}/keys/${enc(id)}`),

  status: (signal?: AbortSignal) => data(get<T.SystemStatus>('/api/status', undefined, signal)),
  reload: () => data(request<T.Reload>('POST', '/api/reload')),
  config: () => data(get<T.ConfigTree>('/api/config')),
  file: (path: string) => data(get<T.ConfigFile>('/api/config/file', { path })),
  saveFile: (path: string, text: string, etag: string, keeping: Keeping = {}) =>
    data(request<{ path: string; etag: string; commit: string | null }>('PUT', '/api/config/file', { query: { path }, body: { text, ...keeping }, etag })),
  /** Compiles a file; with a definition, puts that into it as the document at `index` first. */
  check: (path: string, text: string, signal?: AbortSignal, index = 0, definition?: T.Definition) =>
    data(request<{ text: string; problems: T.Problem[] }>('POST', '/api/config/check', { query: { path }, body: { text, index, ...(definition && { definition }) }, ...(signal && { signal }) })),
  reloads: () => data(get<T.Reload[]>('/api/config/reloads')),
  commit: (id: string) => data(get<T.Commit & { diff: string }>('/api/config/commit', { id })),
  log: (path?: string) => data(get<T.Commit[]>('/api/config/log', { path })),

  interfaces: (query: Query, signal?: AbortSignal) => get<T.Definition[]>('/api/dataservice/interfaces', query, signal),
  allInterfaces: () => all<T.Definition>('/api/dataservice/interfaces'),
  definition: (code: string, version?: string) => get<T.Definition, DefinitionMeta>(one(code), { version }),
  remove: (code: string, version: string | undefined, etag: string) => request('DELETE', one(code), { query: { version }, etag }),
  setStatus: (code: string, version: string | undefined, status: T.Status) =>
    request('POST', `${one(code)}/status`, { query: { version }, body: { status } }),
  setDefault: (code: string, version: string) => request('POST', `${one(code)}/default`, { body: { version } }),
  copy: (code: string, body: { code: string; version?: string; name?: string }, from?: string) =>
    request('POST', `${one(code)}/copy`, { query: { version: from }, body }),
  test: (code: string, version: string | undefined, body: TestQuestion, signal?: AbortSignal) =>
    data(request<T.TestAnswer>('POST', `${one(code)}/test`, { query: { detail: true, version }, body, exact: true, ...(signal && { signal }) })),
  keepTest: (code: string, version: string | undefined, body: TestQuestion & { name: string; expect: T.JsonMap }) =>
    request('POST', `${one(code)}/tests`, { query: { version }, body }),
  runTests: (code: string, version?: string) => data(request<T.TestOutcome[]>('POST', `${one(code)}/tests/run`, { query: { version } })),
  callers: (code: string, version?: string) => data(get<T.Callers>(`${one(code)}/callers`, { version })),
  diff: (code: string, from: string, to: string) => data(get<{ from: string; to: string; diff: string }>(`${one(code)}/diff`, { from, to })),
  versions: (code: string) => data(get<T.Version[]>(`${one(code)}/versions`)),
  sheet: (code: string, version?: string) => save('GET', `${one(code)}/sheet`, `${code}.xlsx`, { query: { version } }),
  exportAll: (format: 'json' | 'yaml', code?: string) =>
    save('GET', '/api/dataservice/export', `${code ?? 'interfaces'}.${format}`, { query: { format, code } }),
  importAll: (type: string, text: string) =>
    data(request<{ created: string[]; replaced: string[] }>('POST', '/api/dataservice/import', { raw: { type, text } })),

  datasources: () => all<T.Datasource>('/api/datasources'),
  testDatasource: (id: string, signal?: AbortSignal) =>
    data(request<T.ConnectionTest>('POST', `/api/datasources/${enc(id)}/test`, signal && { signal })),
  databases: (id: string) => data(get<string[] | null>(`/api/datasources/${enc(id)}/databases`)),
  tables: (id: string, query: Query, signal?: AbortSignal) => get<T.TableRow[]>(`/api/datasources/${enc(id)}/tables`, query, signal),
  table: (id: string, name: string, schema?: string | null) =>
    data(get<{ columns: T.Column[] }>(`/api/datasources/${enc(id)}/tables/${enc(name)}`, { schema })),
  completion: (id: string) => data(get<T.Completion>(`/api/datasources/${enc(id)}/completion`)),
  query: (body: Asked & { id: string; offset?: number; pageSize: number }, signal?: AbortSignal) =>
    request<T.QueryResult, T.QueryMeta>('POST', '/api/dataservice/query', { body, exact: true, ...(signal && { signal }) }),
  queries: () => all<T.RunningQuery>('/api/dataservice/query'),
  cancelQuery: (id: string) => request('DELETE', `/api/dataservice/query/${enc(id)}`),
  explain: (body: Asked, signal?: AbortSignal) =>
    data(request<{ sql: string; plan: string[] }>('POST', '/api/dataservice/query/explain', { body, ...(signal && { signal }) })),
  exportQuery: (body: Asked, name: string, signal?: AbortSignal) =>
    save('POST', '/api/dataservice/query/export', name, { body, ...(signal && { signal }) }),
  draft: (body: Asked & { code: string; name?: string }) =>
    request<T.Definition, { problems?: string[] }>('POST', '/api/dataservice/query/draft', { body }),

  logs: (kind: LogKind, query: Query, signal?: AbortSignal) => get<T.LogRow[]>(`/api/logs/${kind}`, query, signal),
  saveLogs: (kind: LogKind, query: Query) => save('GET', `/api/logs/${kind}`, `${kind}.csv`, { query: { ...query, format: 'csv' } }),
  server: () => data(get<T.ServerFigures>('/api/monitor/server')),
  figures: (minutes = 60) => all<T.InterfaceFigures>('/api/monitor/interfaces', { minutes }),
  traffic: (code?: string) => data(get<T.Traffic>('/api/monitor/traffic', { code })),
}
