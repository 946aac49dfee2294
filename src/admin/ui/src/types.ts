// The shapes of what the admin API answers.
export type Role = 'viewer' | 'developer' | 'operator' | 'admin'
export type Status = 'draft' | 'active' | 'deprecated' | 'disabled'
export type Json = null | boolean | number | string | Json[] | JsonMap
export interface JsonMap {
  [key: string]: Json
}

export interface Detail {
  field?: string
  error?: string
  hint?: string
  code?: string
  message?: string
  file?: string
  line?: number
  column?: number
}

export interface PageMeta {
  page: number
  pageSize: number
  total?: number
  hasNext?: boolean
}

export interface Session {
  username: string
  role: Role
  csrf_token: string
  expires_at?: string
}

export interface Problem {
  file: string
  line: number
  column: number
  code: string
  message: string
  hint?: string
  severity: 'error' | 'warning'
}

export interface Reload {
  at: string
  ok: boolean
  revision?: string | number
  hash: string
  duration_ms: number
  problems: Problem[]
  /** "watch", "signal", "start", or the person who asked for it. */
  by?: string
  /** Files that the reload before had found otherwise. */
  changed?: { path: string; diff: string }[]
}

/** Since when a datasource is as it is, and why. */
export interface SourceState {
  since?: string | null
  error?: string | null
  retry_at?: string | null
}

export interface SourceHealth extends SourceState {
  id: string
  up: boolean | null
  breaker: string
  connections: { idle: number; busy: number; max?: number }
  in_flight: number
  queued: number
}

export interface SystemStatus {
  version: string
  uptime_seconds: number
  draining: boolean
  revision?: string | number
  hash: string
  /** Where the data address is, if the appliance says so. */
  data_address?: string
  counts: Record<string, number>
  datasources: SourceHealth[]
  last_reload: Reload
}

export interface Account {
  username: string
  role: Role
  disabled: boolean
  created_at: string
  last_login_at: string | null
}

export interface ApiToken {
  id: string
  name: string
  role: Role
  created_at: string
  expires_at: string | null
  last_used_at: string | null
}

export interface OnlineSession {
  id: string
  username: string
  role: Role
  ip: string
  user_agent: string
  created_at: string
  last_seen_at: string
  current: boolean
}

export interface Consumer {
  name: string
  description?: string | null
  roles: string[]
  api_keys: { id: string; expires_at: string | null; last_used_at: string | null; is_expired?: boolean }[]
}

export interface ConfigTree {
  edit: 'direct' | 'readonly'
  git: boolean
  branch: string | null
  commit: string | null
  files: { path: string; size: number }[]
  uncommitted?: string[]
}

export interface ConfigFile {
  path: string
  text: string
  etag: string
}

export interface Commit {
  commit: string
  author: string
  at: string
  message: string
}

export interface Parameter {
  name: string
  in?: string
  type?: string
  items?: { type?: string }
  required?: boolean
  default?: Json
  enum?: Json[]
  format?: string
  title?: string
  description?: string
  example?: Json
  control?: string
  options?: { values?: { value: Json; label?: string }[]; interface?: string; value_column?: string; label_column?: string }
  sensitive?: boolean
  pattern?: string
  minimum?: Json
  maximum?: Json
  min_length?: number
  max_length?: number
  depends_on?: string
}

export interface Field {
  name: string
  title?: string
  type?: string
  format?: string
  group?: string
  description?: string
  show?: boolean
  export?: boolean
}

/** A definition as its file has it: keys that are not written are not there. */
export interface Definition {
  code: string
  name?: string
  description?: string
  version?: string
  default?: boolean
  is_default?: boolean
  status?: Status
  tags?: string[]
  owner?: string
  visibility?: string
  path?: string
  method?: string
  auth_required?: boolean
  rate_limit?: { rps?: number; burst?: number; by?: string }
  ip_whitelist?: string[]
  cors?: { allowed_origins?: string[]; allowed_headers?: string[]; allow_credentials?: boolean; max_age_seconds?: number }
  allow_unknown?: boolean
  parameters?: Parameter[]
  datasource_id?: string
  query_type?: string
  query_template?: string
  query_file?: string
  param_binding?: Record<string, string>
  timeout_ms?: number
  safe_mode?: boolean
  pagination?: { enabled?: boolean; max_page_size?: number; default_page_size?: number; count?: string }
  fields?: Field[]
  transform?: { rename?: Record<string, string>; value_map?: Record<string, Record<string, Json>> } & JsonMap
  response_schema?: JsonMap
  validate_response?: string
  example?: Json
  cache?: { enabled?: boolean; ttl_seconds?: number; stale_seconds?: number }
  audit?: boolean | string
  metrics?: { latency?: boolean; errorRate?: boolean }
  tests?: { name: string }[]
  deprecated_at?: string
  sunset_at?: string
  created_at?: string
  updated_at?: string
  created_by?: string
  updated_by?: string
  [key: string]: unknown
}

export interface Version {
  version: string
  status: Status
  is_default?: boolean
  /** Says so itself, and is not only the newest. */
  is_marked?: boolean
  default?: boolean
  file?: string
}

export interface TestAnswer {
  status: number
  headers: Record<string, string>
  answer: Json
  sql: string | null
  binds: Json
  plan: string[] | string | null
  duration_ms: number
}

/** What became of a test that a definition keeps. */
export interface TestOutcome {
  name: string
  ok: boolean
  problems: string[]
  duration_ms: number
}

/** Who may call an interface: everybody, even without a name, or who has one of its roles. */
export interface Callers {
  open: boolean
  /** Everybody who says who it is. */
  any_caller?: boolean
  roles: { name: string; description?: string | null; consumers: string[] }[]
}

export interface Datasource extends SourceState {
  id: string
  name?: string
  type: string
  host?: string | null
  port?: number | null
  database?: string | null
  path?: string | null
  governed: boolean
  read_only: boolean
  up: boolean | null
  breaker: string
  in_flight: number
  queued: number
  connections: { idle: number; busy: number; max?: number }
  interfaces: number | string[]
}

export interface ConnectionTest {
  ok: boolean
  duration_ms: number
  steps: { step: string; ok: boolean; error?: string | null; duration_ms: number }[]
}

export interface TableRow {
  schema: string | null
  name: string
  kind: 'table' | 'view'
  comment: string | null
  created_at: string | null
  updated_at: string | null
  rows_estimate: number | null
}

export interface Column {
  position: number
  name: string
  type: string
  primary_key: boolean
  not_null: boolean
  default: Json
  comment: string | null
}

export interface QueryResult {
  columns: { name: string; type: string }[]
  rows: Json[][]
}

export interface QueryMeta extends PageMeta {
  offset?: number
  /** Delivered. */
  rows?: number
  duration_ms: number
  sql: string
  truncated: boolean
}

export interface Completion {
  tables: { name: string; columns: string[] }[]
}

/** A query by hand that is under way. */
export interface RunningQuery {
  id: string
  username: string
  datasource_id: string
  sql: string
  started_at: string
  elapsed_ms: number
}

export type LogRow = Record<string, Json>

/** Null is what the machine does not tell. */
export interface ServerFigures {
  cpu: { cores: number; percent: number | null }
  memory: { total: number | null; used: number | null; process: number | null }
  disk: { path: string; total: number; used: number; available?: number }[]
  network: { name: string; rx_bytes: number; tx_bytes: number }[]
  load: number[] | null
  process: { pid: number; threads: number | null; open_files: number | null; started_at: string }
}

export interface InterfaceFigures {
  code: string
  version: string
  requests: number
  rate: number
  p50_ms: number | null
  p95_ms: number | null
  p99_ms: number | null
  errors?: number
  /** Errors that are the gateway's or a datasource's, not the caller's. */
  failures?: number
  error_ratio: number | null
  failure_ratio?: number | null
  cache_asked?: number
  cache_hits?: number
  cache_ratio: number | null
}

export interface Traffic {
  step_seconds: number
  points: { at: string; requests: number; errors: number; failures?: number; p50_ms: number | null; p95_ms: number | null; p99_ms: number | null; partial?: boolean }[]
}
