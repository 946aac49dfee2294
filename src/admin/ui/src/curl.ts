// A line for the shell that calls an interface with its examples.
import { plain } from './format'
import type { Definition, Json, Parameter } from './types'

/** Quotes for a POSIX shell. */
const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`

const example = (one: Parameter): Json | undefined => one.example ?? one.default ?? one.enum?.[0]

/** The data address is one's own host with the usual port, unless the appliance says otherwise. */
function base(address?: string): string {
  return address ?? `${location.protocol}//${location.hostname}:8080`
}

export function curl(one: Definition, address?: string): string {
  const method = one.method ?? 'GET'
  const usual = method === 'POST' ? 'body' : 'query'
  let path = one.path ?? `/data-api/${one.code}`
  const query = new URLSearchParams()
  const body: Record<string, Json> = {}
  const parts = ['curl']
  if (one.auth_required !== false) parts.push('-H', quoted('X-API-Key: …'))
  for (const parameter of one.parameters ?? []) {
    const place = parameter.in ?? usual
    const value = example(parameter)
    if (place === 'path') path = path.replace(`{${parameter.name}}`, encodeURIComponent(plain(value ?? '…')))
    // What has a default need not be sent.
    else if (!parameter.required && parameter.example === undefined) continue
    else if (place === 'query') query.set(parameter.name, plain(value ?? '…'))
    else if (place === 'header') parts.push('-H', quoted(`${parameter.name}: ${plain(value ?? '…')}`))
    else body[parameter.name] = value ?? '…'
  }
  if (method === 'POST') parts.push('-H', quoted('Content-Type: application/json'), '-d', quoted(JSON.stringify(body)))
  const asked = query.toString()
  parts.push(quoted(`${base(address)}${path}${asked ? `?${asked}` : ''}`))
  return parts.join(' ')
}
