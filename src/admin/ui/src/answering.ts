// What an interface answers: the fields of a row, an example, and the errors that a caller may meet.
import { limitText } from './words'
import { label, t, type Key } from './i18n'
import type { Definition, Field, Json, JsonMap } from './types'

export interface AnswerField {
  name: string
  title: string
  /** Of the value in JSON; empty where the definition leaves it open. */
  type: string
  notes: string[]
}

/** Most values of a field that are listed. */
const MOST_VALUES = 12

const JSON_TYPES: Record<string, string> = {
  integer: 'integer', plain_integer: 'integer',
  number: 'number', decimal: 'number', plain_decimal: 'number', decimal1: 'number', percent: 'number', plain_percent: 'number', percent1: 'number',
  year: 'integer | string', boolean: 'boolean | integer',
  string: 'string', date: 'string', month: 'string', datetime: 'string',
}

const isMap = (value: unknown): value is JsonMap => typeof value === 'object' && value !== null && !Array.isArray(value)

/** The labels that stand in a field instead of codes. */
function labels({ transform }: Definition, name: string): string[] {
  const { rename = {}, value_map: maps = {} } = transform ?? {}
  const from = Object.keys(maps).find((column) => (rename[column] ?? column) === name)
  return from ? [...new Set(Object.values(maps[from] ?? {}).map(String))] : []
}

function described(one: Definition, field: Field, own?: JsonMap): AnswerField {
  const values = labels(one, field.name)
  const listed = values.length > MOST_VALUES ? [...values.slice(0, MOST_VALUES), '…'] : values
  // Labels are of another type than the codes that they stand for.
  const declared = values.length ? 'string' : field.type && JSON_TYPES[field.type]
  const schema = own?.type
  const type = declared ?? (Array.isArray(schema) ? schema.filter((each) => each !== 'null').join(' | ') : typeof schema === 'string' ? schema : '')
  const description = field.description ?? (typeof own?.description === 'string' ? own.description : '')
  const notes = [
    description,
    field.type && ['date', 'month', 'datetime'].includes(field.type) && label('fieldType', field.type),
    typeof own?.format === 'string' && own.format,
    listed.length > 0 && t('call.values', { list: listed.join(t('list.comma')) }),
    field.show === false && t('field.notShown'),
    field.export === false && t('field.notExported'),
  ]
  return { name: field.name, title: [field.group, field.title].filter(Boolean).join(' / '), type, notes: notes.filter((note) => typeof note === 'string' && note !== '') as string[] }
}

/** The schema of each field of a row, where the whole answer has one. */
function rowSchema({ response_schema: schema }: Definition): Record<string, JsonMap> {
  const properties = ['properties', 'data', 'items', 'properties'].reduce<Json | undefined>((at, key) => (isMap(at) ? at[key] : undefined), schema)
  return isMap(properties) ? Object.fromEntries(Object.entries(properties).map(([name, own]) => [name, isMap(own) ? own : {}])) : {}
}

function exampleRow({ example }: Definition): JsonMap {
  const data = isMap(example) ? example.data : null
  const row = Array.isArray(data) ? data[0] : null
  return isMap(row) ? row : {}
}

export function answerFields(one: Definition): AnswerField[] {
  const schema = rowSchema(one)
  const names = [one.fields?.map((field) => field.name), Object.keys(schema), Object.keys(exampleRow(one))].find((found) => found?.length) ?? []
  return names.map((name) => described(one, one.fields?.find((field) => field.name === name) ?? { name }, schema[name]))
}

const SAMPLES: Record<string, Json> = {
  integer: 1, plain_integer: 1, number: 1.5, decimal: 12.5, plain_decimal: 12.5, decimal1: 12.5, percent: 0.25, plain_percent: 0.25, percent1: 0.25,
  year: 2025, month: '2025-01', date: '2025-01-31', datetime: '2025-01-31 08:00:00', 'date-time': '2025-01-31T08:00:00Z', boolean: true, json: {}, array: [], object: {},
}

/** The example of the definition, or one of the shape that an answer has. */
export function exampleAnswer(one: Definition): { answer: Json; isSample: boolean } {
  if (one.example !== undefined && one.example !== null) return { answer: one.example, isSample: false }
  const schema = rowSchema(one)
  const row: JsonMap = {}
  for (const { name } of answerFields(one)) {
    const field = one.fields?.find((each) => each.name === name)
    const format = schema[name]?.format
    const kind = field?.type ?? (typeof format === 'string' && format in SAMPLES ? format : schema[name]?.type)
    row[name] = labels(one, name)[0] ?? (typeof kind === 'string' ? SAMPLES[kind] : undefined) ?? '…'
  }
  if (!Object.keys(row).length) row['…'] = '…'
  const meta: JsonMap = {}
  if (one.pagination && one.pagination.enabled !== false) {
    Object.assign(meta, { page: 1, pageSize: one.pagination.default_page_size ?? 50, ...(one.pagination.count !== 'none' && { total: 1 }), hasNext: false })
  }
  return { answer: { code: 'OK', message: 'OK', success: true, data: [row], meta }, isSample: true }
}

export const OUTCOMES = ['INVALID_PARAM', 'UNAUTHORIZED', 'FORBIDDEN', 'NOT_FOUND', 'RATE_LIMITED', 'TIMEOUT', 'DATASOURCE_ERROR', 'OVERLOADED', 'SCHEMA_MISMATCH', 'INTERNAL_ERROR'] as const
type Outcome = (typeof OUTCOMES)[number]
const STATUS: Record<Outcome, string> = {
  INVALID_PARAM: '400', UNAUTHORIZED: '401', FORBIDDEN: '403', NOT_FOUND: '404, 405', RATE_LIMITED: '429', TIMEOUT: '504',
  DATASOURCE_ERROR: '502, 503', OVERLOADED: '503', SCHEMA_MISMATCH: '500', INTERNAL_ERROR: '500',
}

export interface PossibleError { code: Outcome; status: string; when: string; todo: string }

function when(code: Outcome, { rate_limit: limit, timeout_ms: most }: Definition): string {
  if (code === 'RATE_LIMITED') return limit ? t('when.RATE_LIMITED', { limit: limitText(limit) }) : t('when.RATE_LIMITED.none')
  if (code === 'TIMEOUT') return most ? t('when.TIMEOUT', { seconds: most / 1000 }) : t('when.TIMEOUT.usual')
  return t(`when.${code}`)
}

export function possibleErrors(one: Definition): PossibleError[] {
  const found = OUTCOMES.filter((code) => code !== 'SCHEMA_MISMATCH' || (one.response_schema && one.validate_response === 'always'))
  return found.map((code) => ({
    code,
    status: code === 'INVALID_PARAM' && one.method === 'POST' ? '400, 408, 413, 415' : STATUS[code],
    when: when(code, one),
    todo: todo(code),
  }))
}

/** What to do about an outcome; empty where there is nothing to do. */
export function todo(code: unknown): string {
  return OUTCOMES.some((one) => one === code) ? t(`todo.${code as Outcome}` as Key) : ''
}
