// What a caller sends to an interface: where, with which parameters, and values that show how.
import { plain } from './format'
import { t } from './i18n'
import type { Definition, Json, Parameter, Version } from './types'

export const FORMATS = ['json', 'csv', 'ndjson', 'xlsx']

export interface Call {
  method: string
  /** Without its query. */
  url: string
  query: [string, Json][]
  headers: [string, string][]
  body: Record<string, Json> | null
  needsKey: boolean
  /** Whether a value is missing that only the caller can know. */
  isOpen: boolean
}

export const usualPlace = (one: Definition): string => (one.method === 'POST' ? 'body' : 'query')

/** The data address is one's own host with the usual port, unless the appliance says otherwise. */
export function dataAddress(told?: string): string {
  return (told ?? `${location.protocol}//${location.hostname}:8080`).replace(/\/$/, '')
}

/** Pages add parameters that a definition need not name. */
export function pageParameters({ pagination, parameters = [] }: Definition): Parameter[] {
  if (!pagination || pagination.enabled === false) return []
  const most = pagination.max_page_size ?? 1000
  const size = pagination.default_page_size ?? Math.min(50, most)
  const named = new Set(parameters.map((one) => one.name))
  const added: Parameter[] = [
    { name: 'page', type: 'integer', default: 1, minimum: 1, description: t('call.page') },
    { name: 'pageSize', type: 'integer', default: size, minimum: 1, maximum: most, description: t('call.pageSize') },
  ]
  return added.filter((one) => !named.has(one.name))
}

/** What the gateway itself takes in the address of every interface. */
export function commonParameters(versions: Version[]): Parameter[] {
  const served = versions.filter(({ status }) => status === 'active' || status === 'deprecated').map((one) => one.version)
  const usual = versions.find((one) => one.is_default)?.version
  return [
    { name: 'version', in: 'query', ...(served.length && { enum: served }), ...(usual && { default: usual }), description: t('call.version') },
    { name: 'format', in: 'query', enum: FORMATS, default: 'json', description: t('call.format') },
  ]
}

function example(one: Parameter): Json | undefined {
  const given = one.example ?? one.default
  if (given !== undefined && given !== null) return given
  const first = one.enum?.[0] ?? one.options?.values?.[0]?.value
  return first !== undefined && one.type === 'array' ? [first] : first
}

/** `version` is named where a call without one would get another. */
export function callOf(one: Definition, address: string, version?: string): Call {
  let path = one.path ?? `/data-api/${one.code}`
  let isOpen = false
  const query: [string, Json][] = []
  const headers: [string, string][] = []
  const body: Record<string, Json> = {}
  for (const parameter of one.parameters ?? []) {
    const { name } = parameter
    const place = parameter.in ?? usualPlace(one)
    // What has a default need not be sent.
    if (place !== 'path' && !parameter.required && parameter.example === undefined) continue
    const known = example(parameter)
    const value = known ?? `<${name}>`
    isOpen ||= known === undefined
    if (place === 'path') path = path.replace(`{${name}}`, encoded(plain(value)))
    else if (place === 'query') query.push([name, value])
    else if (place === 'header') headers.push([name, plain(value)])
    else body[name] = value
  }
  if (version) query.push(['version', version])
  const isPost = one.method === 'POST'
  return { method: isPost ? 'POST' : 'GET', url: address + path, query, headers, body: isPost ? body : null, needsKey: one.auth_required !== false, isOpen }
}

const PLACEHOLDER = /^<[\w.-]+>$/

function encoded(text: string): string {
  return PLACEHOLDER.test(text) ? text : encodeURIComponent(text).replaceAll('%3A', ':').replaceAll('%2C', ',')
}

/** A list goes with commas, or as a repeated key where an item has one itself. */
export function texts(value: Json): string[] {
  if (!Array.isArray(value)) return [plain(value)]
  const items = value.map(plain)
  return items.some((item) => item.includes(',')) ? items : [items.join(',')]
}

export function fullUrl({ url, query }: Call): string {
  const pairs = query.flatMap(([name, value]) => texts(value).map((text) => `${encoded(name)}=${encoded(text)}`))
  return pairs.length ? `${url}?${pairs.join('&')}` : url
}
