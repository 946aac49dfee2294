// A call as text to paste: for a shell, for Python, for JavaScript.
import { fullUrl, texts, type Call } from './calling'
import type { Json } from './types'

const KEY = 'TIDEGATE_KEY'

/** Quotes for a POSIX shell. */
const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`

export function curl(call: Call): string {
  const parts = [`curl ${quoted(fullUrl(call))}`]
  if (call.needsKey) parts.push(`-H "X-API-Key: $${KEY}"`)
  for (const [name, value] of call.headers) parts.push(`-H ${quoted(`${name}: ${value}`)}`)
  if (call.body) parts.push(`-H 'Content-Type: application/json'`, `-d ${quoted(JSON.stringify(call.body))}`)
  return parts.join(' \\\n  ')
}

function pythonValue(value: Json): string {
  if (value === null) return 'None'
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  if (Array.isArray(value)) return `[${value.map(pythonValue).join(', ')}]`
  if (typeof value === 'object') return pythonDict(Object.entries(value).map(([name, each]) => [name, pythonValue(each)]))
  return JSON.stringify(value)
}

const pythonDict = (entries: [string, string][]) => `{${entries.map(([name, text]) => `${JSON.stringify(name)}: ${text}`).join(', ')}}`

export function python(call: Call): string {
  const headers: [string, string][] = call.headers.map(([name, value]) => [name, JSON.stringify(value)])
  if (call.needsKey) headers.unshift(['X-API-Key', `os.environ["${KEY}"]`])
  const params = call.query.map(([name, value]): [string, string] => {
    const sent = texts(value)
    return [name, pythonValue(sent.length === 1 ? (sent[0] ?? '') : sent)]
  })
  const given = [
    JSON.stringify(call.url),
    ...(headers.length ? [`headers=${pythonDict(headers)}`] : []),
    ...(params.length ? [`params=${pythonDict(params)}`] : []),
    ...(call.body ? [`json=${pythonValue(call.body)}`] : []),
    'timeout=30',
  ]
  return [
    ...(call.needsKey ? ['import os', ''] : []),
    'import requests',
    '',
    `response = requests.${call.method.toLowerCase()}(`,
    ...given.map((line) => `    ${line},`),
    ')',
    'answer = response.json()',
    'if not response.ok:',
    `    raise RuntimeError(f"{answer['code']}: {answer['message']}")`,
    'for row in answer["data"]:',
    '    print(row)',
  ].join('\n')
}

/** A text in single quotes, as JavaScript reads it. */
const scriptText = (text: string) => `'${JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'")}'`
const scriptName = (name: string) => (/^[A-Za-z_$][\w$]*$/.test(name) ? name : scriptText(name))

function scriptValue(value: Json): string {
  if (typeof value === 'string') return scriptText(value)
  if (Array.isArray(value)) return `[${value.map(scriptValue).join(', ')}]`
  if (typeof value === 'object' && value !== null) return scriptObject(Object.entries(value).map(([name, each]) => [name, scriptValue(each)]))
  return String(value)
}

function scriptObject(entries: [string, string][]): string {
  return entries.length ? `{ ${entries.map(([name, text]) => `${scriptName(name)}: ${text}`).join(', ')} }` : '{}'
}

export function javascript(call: Call): string {
  const headers: [string, string][] = call.headers.map(([name, value]) => [name, scriptText(value)])
  if (call.body) headers.unshift(['Content-Type', scriptText('application/json')])
  if (call.needsKey) headers.unshift(['X-API-Key', `process.env.${KEY}`])
  const options = [
    ...(call.body ? [`method: 'POST'`] : []),
    ...(headers.length ? [`headers: ${scriptObject(headers)}`] : []),
    ...(call.body ? [`body: JSON.stringify(${scriptValue(call.body)})`] : []),
  ]
  const url = scriptText(fullUrl(call))
  const asked = options.length ? [`const response = await fetch(${url}, {`, ...options.map((line) => `  ${line},`), '})'] : [`const response = await fetch(${url})`]
  return [...asked, 'const answer = await response.json()', 'if (!response.ok) throw new Error(`${answer.code}: ${answer.message}`)', 'console.log(answer.data)'].join('\n')
}
