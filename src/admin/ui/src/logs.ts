// The logs: which columns, filters and words each kind has.
import type { LogKind } from './api'
import { OUTCOMES } from './answering'
import { bytes, millis, number, plain, time } from './format'
import { label, type Key } from './i18n'
import { said } from './said'
import type { LogRow } from './types'

export interface LogColumn { key: string; title: Key; width?: number; min?: number; /** Its width on a phone. */ small?: number; /** Left out on a phone. */ wide?: boolean }

export const COLUMNS: Record<LogKind, LogColumn[]> = {
  calls: [
    { key: 'at', title: 'log.at', width: 176, small: 126 }, { key: 'interface', title: 'log.interface', min: 150 }, { key: 'principal', title: 'log.principal', min: 110, wide: true },
    { key: 'outcome', title: 'log.outcome', width: 186, small: 62 }, { key: 'error', title: 'log.error', min: 200, wide: true }, { key: 'duration_ms', title: 'log.duration_ms', width: 88, wide: true },
  ],
  queries: [
    { key: 'at', title: 'log.at', width: 176, small: 126 }, { key: 'state', title: 'log.state', width: 96, small: 80 }, { key: 'username', title: 'log.username', width: 104, wide: true }, { key: 'datasource_id', title: 'log.datasource_id', width: 116, wide: true },
    { key: 'sql', title: 'log.sql', min: 130 }, { key: 'rows', title: 'log.rows', width: 72, wide: true }, { key: 'duration_ms', title: 'log.duration_ms', width: 88, wide: true }, { key: 'error', title: 'log.error', min: 150, wide: true },
  ],
  operations: [
    { key: 'at', title: 'log.at', width: 176, small: 126 }, { key: 'summary', title: 'log.summary', min: 140 }, { key: 'username', title: 'log.username', width: 110, wide: true }, { key: 'request', title: 'log.request', min: 240, wide: true },
    { key: 'status', title: 'log.status', width: 76, small: 66 }, { key: 'duration_ms', title: 'log.duration_ms', width: 88, wide: true },
  ],
  logins: [
    { key: 'at', title: 'log.at', width: 176, small: 126 }, { key: 'ok', title: 'log.ok', width: 90 }, { key: 'username', title: 'log.username', width: 130, small: 110 }, { key: 'ip', title: 'log.ip', width: 140, wide: true },
    { key: 'reason', title: 'log.reason', min: 160, wide: true }, { key: 'user_agent', title: 'log.user_agent', min: 220, wide: true },
  ],
}

export const PERSON = { calls: 'principal', queries: 'username', operations: 'username', logins: 'username' } as const satisfies Record<LogKind, string>

export function statesOf(kind: LogKind): { value: string; text: string }[] {
  const plainly = (value: string) => ({ value, text: label('state', value) })
  if (kind === 'queries') return ['ok', 'failed', 'cancelled'].map(plainly)
  return kind === 'calls' ? [...['ok', 'failed'].map(plainly), ...OUTCOMES.map((value) => ({ value, text: `${value} ${label('outcome', value)}` }))] : []
}

/** Who called: a name, or that nobody said who. */
export const caller = (row: LogRow): string => plain(row.principal) || label('principal', plain(row.principal_kind))

/** What was done, in a sentence. */
export const summary = (row: LogRow): string => said(plain(row.summary))

/** Why a call failed: each parameter that is wrong has a sentence. */
const reason = (text: string) => text.split(/(?<=\.) (?=Parameter )/).map(said).join(' ')

/** The zone of the reader at that time. */
export function zone(at: unknown): string {
  const minutes = -new Date(String(at)).getTimezoneOffset()
  if (!minutes) return 'UTC'
  const two = (value: number) => String(Math.floor(value)).padStart(2, '0')
  return `UTC${minutes < 0 ? '-' : '+'}${two(Math.abs(minutes) / 60)}:${two(Math.abs(minutes) % 60)}`
}

/** A value of a log as people read it. */
export function logText(key: string, value: unknown): string {
  if (value === null || value === undefined || value === '') return ''
  switch (key) {
    case 'at': return `${time(value)} (${zone(value)})`
    case 'duration_ms': return millis(Number(value))
    case 'bytes': return bytes(Number(value))
    case 'rows': return number(Number(value))
    case 'state': return label('state', String(value))
    case 'ok': return label('state', value ? 'ok' : 'failed')
    case 'principal_kind': return label('principal', String(value))
    case 'kind': return label('execute', String(value))
    case 'cache': return label('cached', String(value))
    case 'reason': return label('reason', String(value))
    case 'code': return `${String(value)} ${label('outcome', String(value))}`
    case 'error': return reason(String(value))
    default: return plain(value)
  }
}
