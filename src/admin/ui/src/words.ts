// The options of a definition in words.
import { label, t } from './i18n'
import type { Definition } from './types'

const joined = (parts: (string | false | undefined)[]) => parts.filter(Boolean).join(t('list.clause'))
const list = (items: string[]) => items.join(t('list.comma'))

export function limitText(limit: NonNullable<Definition['rate_limit']>): string {
  const rps = limit.rps ?? 1
  return t('limit.text', { rps, burst: limit.burst ?? Math.max(1, Math.floor(rps)), by: label('limit.by', limit.by ?? 'caller') })
}

export function pagesText({ pagination }: Definition): string {
  if (!pagination || pagination.enabled === false) return t('pages.off')
  const most = pagination.max_page_size ?? 1000
  return joined([t('pages.text', { size: pagination.default_page_size ?? Math.min(50, most), max: most }), pagination.count === 'none' && t('pages.noTotal')])
}

export function corsText({ cors }: Definition): string {
  if (!cors) return ''
  const origins = cors.allowed_origins ?? []
  return joined([
    origins.includes('*') ? t('cors.any') : t('cors.origins', { list: list(origins) }),
    Boolean(cors.allowed_headers?.length) && t('cors.headers', { list: list(cors.allowed_headers ?? []) }),
    cors.allow_credentials && t('cors.credentials'),
    cors.max_age_seconds !== undefined && t('cors.age', { seconds: cors.max_age_seconds }),
  ])
}

export function cacheText({ cache }: Definition): string {
  if (!cache || cache.enabled === false) return t('cache.off')
  return joined([t('def.cache.for', { seconds: cache.ttl_seconds ?? 0 }), Boolean(cache.stale_seconds) && t('cache.stale', { seconds: cache.stale_seconds ?? 0 })])
}

export function auditText({ audit }: Definition): string {
  return audit === false ? t('audit.off') : t(audit === true ? 'safety.audit.true' : 'safety.audit.buffered')
}

export function metricsText({ metrics }: Definition): string {
  return joined([metrics?.latency === false && t('metrics.noLatency'), metrics?.errorRate === false && t('metrics.noErrors')]) || t('metrics.on')
}

const CLAIM = /^\$\.principal\.claims\.(.+)$/

/** Who may call it, with which claims, and from where. */
export function whoText(one: Definition): string {
  const who = one.auth_required === false ? t('call.who.anyone') : label('call.who', one.visibility ?? 'internal')
  const claims = Object.values(one.param_binding ?? {}).flatMap((path) => CLAIM.exec(path)?.[1] ?? [])
  return joined([who, claims.length > 0 && t('call.claims', { list: list(claims) }), Boolean(one.ip_whitelist?.length) && t('call.ip', { list: list(one.ip_whitelist ?? []) })])
}
