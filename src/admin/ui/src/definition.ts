// Definitions as YAML: finding one in its file, and values as text and back.
import * as yaml from 'js-yaml'
import { isKept, keptNumber, parseExact } from './exact'
import type { Definition, Json } from './types'

const { CORE_SCHEMA, Type, dump, load } = yaml
const { types } = yaml as unknown as { types: Record<'int' | 'float', yaml.Type> }

/** Numbers that JavaScript cannot hold stay as they are written. */
function exactly(tag: 'int' | 'float'): yaml.Type {
  const usual = types[tag]
  const written = usual.represent as (value: unknown, style?: string) => string
  return new Type(`tag:yaml.org,2002:${tag}`, {
    kind: 'scalar',
    resolve: (text: unknown) => usual.resolve(text),
    construct: (text: string) => keptNumber(text, usual.construct(text) as number),
    predicate: (value) => (tag === 'float' && isKept(value)) || Boolean(usual.predicate?.(value)),
    represent: typeof usual.represent === 'function' ? (value: unknown, style?: string) => (isKept(value) ? JSON.stringify(value) : written(value, style)) : (usual.represent ?? {}),
    ...(usual.defaultStyle && { defaultStyle: usual.defaultStyle }),
  })
}

// Dates stay texts, as they are to the appliance.
const YAML = { schema: CORE_SCHEMA.extend({ implicit: [exactly('int'), exactly('float')] }) }

export const toYaml = (value: unknown): string => (value === undefined ? '' : dump(value, { ...YAML, lineWidth: 110, noRefs: true }))
export const fromYaml = (text: string): unknown => load(text, YAML)

interface Part {
  start: number
  lines: string[]
}

function parts(text: string): Part[] {
  const all: Part[] = [{ start: 0, lines: [] }]
  text.split('\n').forEach((line, index) => {
    if (/^---(\s|$)/.test(line)) all.push({ start: index + 1, lines: [] })
    else all.at(-1)?.lines.push(line)
  })
  return all
}

function parsed(part: Part): Definition | null {
  try {
    const value = fromYaml(part.lines.join('\n'))
    return typeof value === 'object' && value !== null && 'code' in value ? (value as Definition) : null
  } catch {
    return null
  }
}

/** Which document of a file has a version of a code. */
export function locate(text: string, code: string, version?: string): number {
  return parts(text).findIndex((part) => {
    const one = parsed(part)
    return one?.code === code && (!version || String(one.version ?? '1.0.0') === version)
  })
}

/** The text of one document, with the comments that stand in it. */
export const excerpt = (text: string, at: number): string => `${(parts(text)[at]?.lines ?? []).join('\n').trimEnd()}\n`

/** The definition in a document without its kind, or null while it does not parse. */
export function read(text: string, at: number): Definition | null {
  const part = parts(text)[at]
  const one = part ? parsed(part) : null
  if (!one) return null
  const { kind: _kind, ...own } = one
  return own as Definition
}

const isEmpty = (value: unknown): boolean =>
  value === undefined || value === null || value === '' || (Array.isArray(value) && value.length === 0) || (typeof value === 'object' && Object.keys(value).length === 0)
const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b)

function trimmed<V extends object>(value: V, before: object = {}): V {
  const had = before as Record<string, unknown>
  return Object.fromEntries(Object.entries(value).filter(([key, each]) => (each !== undefined && each !== '' && each !== null) || (key in had && same(each, had[key])))) as V
}

const named = <V extends { name: string }>(rows: V[] | undefined, name: string): V | undefined => rows?.find((row) => row.name === name)

const SMALL = ['rate_limit', 'cache', 'pagination', 'cors', 'total'] as const

/** What a form left empty is not written, unless the file had it so. */
export function clean(form: Definition, before: Definition | null): Definition {
  const one = parseExact(JSON.stringify(form)) as Definition
  delete one.is_default
  for (const key of SMALL) {
    const value = one[key]
    if (typeof value === 'object' && value !== null && !same(value, before?.[key])) one[key] = trimmed(value, (before?.[key] ?? {}) as object) as never
  }
  if (one.parameters) one.parameters = one.parameters.map((row) => trimmed(row, named(before?.parameters, row.name)))
  if (one.fields) one.fields = one.fields.map((row) => trimmed(row, named(before?.fields, row.name)))
  for (const key of Object.keys(one)) if (isEmpty(one[key]) && !same(one[key], before?.[key])) delete one[key]
  return one
}

/** A default or an example as it stands in a field. */
export function toText(value: unknown): string {
  if (value === undefined) return ''
  return typeof value === 'string' ? value : JSON.stringify(value)
}

/** And back, by the type of its parameter; what does not fit stays text, and the check names it. */
export function toValue(text: string, type = 'string'): Json | undefined {
  if (text === '') return undefined
  if (type === 'string' || type === 'date' || type === 'datetime') return text
  try {
    return fromYaml(text) as Json
  } catch {
    return text
  }
}
