// What an SQL editor offers at a place: after FROM the tables, after a dot the columns of what stands before it, otherwise what the statement names first.
import { sqlName } from './sqlNames'
import type { Completion } from './types'

export interface Suggestion {
  value: string
  meta: string
  /** Taken instead of `value`. */
  snippet?: string
  score: number
}

export interface Known extends Completion {
  /** The kind of database, for its quotes. */
  type: string
  parameters: string[]
}

type Table = Completion['tables'][number]

const TEMPLATES: [value: string, snippet: string][] = [
  ['{{ name }}', '{{ ${1:name} }}'],
  ['{% if %}', '{% if ${1:name} %} ${2} {% endif %}'],
  ['{% for %}', '{% for ${1:item} in ${2:items} %} ${3} {% endfor %}'],
]
const KEYWORDS =
  ('select from where and or not in is null like between exists case when then else end as on join left right inner outer full cross group order by having limit offset distinct union all ' +
    'with over partition asc desc count sum avg min max coalesce nullif cast extract substring lower upper trim round abs current_date current_timestamp interval true false').split(' ')
const NAME = String.raw`(?:[\w$\u0080-\uffff]+|"[^"]+"|\`[^\`]+\`)`
const TABLE = `${NAME}(?:\\.${NAME})*`
const NAMED = new RegExp(String.raw`(?:\bfrom|\bjoin|,)\s+(${TABLE})(?:\s+(?:as\s+)?(?!(?:where|on|join|left|right|inner|outer|full|cross|group|order|having|limit|union|using|natural|offset)\b)(${NAME}))?`, 'gi')
const AFTER_FROM = new RegExp(String.raw`\b(?:from|join|into|update)\s+(?:${TABLE}(?:\s+(?:as\s+)?${NAME})?\s*,\s*)*$`, 'i')
const AFTER_DOT = new RegExp(`(${TABLE})\\.$`)

const bare = (name: string) => name.replace(/["`]/g, '').toLowerCase()
const last = (name: string) => name.split('.').at(-1) ?? name

/** The tables of a statement, by their names and aliases. */
function named(sql: string, tables: Table[]): Map<string, Table> {
  const found = new Map<string, Table>()
  for (const [, written = '', alias] of sql.matchAll(NAMED)) {
    const table = tables.find((one) => one.name.toLowerCase() === bare(written)) ?? tables.find((one) => last(one.name).toLowerCase() === bare(written))
    if (!table) continue
    found.set(last(bare(written)), table)
    if (alias) found.set(bare(alias), table)
  }
  return found
}

/** For the text before the word that is being typed, and the whole statement. */
export function suggest(before: string, sql: string, word: string, known: Known): Suggestion[] {
  const { tables, type, parameters } = known
  const column = (name: string, table: string, score: number): Suggestion => ({ value: sqlName(name, type), meta: table, score })
  const qualified = (name: string) => name.split('.').map((part) => sqlName(part, type)).join('.')
  const here = named(sql, tables)
  const dotted = AFTER_DOT.exec(before)?.[1]
  if (dotted) {
    const table = here.get(last(bare(dotted)))
    if (table) return table.columns.map((name) => column(name, table.name, 900))
    const inSchema = tables.filter((one) => one.name.toLowerCase().startsWith(`${bare(dotted)}.`))
    return inSchema.map((one) => ({ value: sqlName(last(one.name), type), meta: 'table', score: 900 }))
  }
  const isTable = AFTER_FROM.test(before)
  const own = [...new Set(here.values())]
  const others = tables.filter((one) => !own.includes(one))
  const upper = /^[A-Z]/.test(word)
  return [
    ...own.flatMap((table) => table.columns.map((name) => column(name, table.name, 900))),
    ...parameters.map((value) => ({ value, meta: 'parameter', score: 800 })),
    ...tables.map((table) => ({ value: qualified(table.name), meta: 'table', score: isTable ? 2000 : 700 })),
    ...others.flatMap((table) => table.columns.map((name) => column(name, table.name, 400))),
    ...KEYWORDS.map((value) => ({ value: upper ? value.toUpperCase() : value, meta: 'SQL', score: 600 })),
    ...TEMPLATES.map(([value, snippet]) => ({ value, meta: 'template', snippet, score: 200 })),
  ]
}
