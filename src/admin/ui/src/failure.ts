// Failures as sentences, and the short messages of the page.
import { ElMessage } from 'element-plus/es/components/message/index.mjs'
import { ElMessageBox } from 'element-plus/es/components/message-box/index.mjs'
import { ApiError } from './api'
import { t } from './i18n'
import { headline, said } from './said'
import type { Detail } from './types'

export interface Failure {
  title: string
  details: string[]
  status: number
  /** Whether the same again may end better. */
  again?: boolean
  /** Whether it is the server that was not there, which the frame of the page says. */
  unreachable?: boolean
}

function line(detail: Detail | string): string {
  if (typeof detail === 'string') return detail
  const place = detail.file ? `${detail.file}:${detail.line ?? 1}` : detail.field
  const text = detail.message ?? detail.error
  const what = [headline(detail.code), text && said(text), detail.hint && said(detail.hint)].filter(Boolean).join(' — ')
  return place ? `${place}: ${what}` : what
}

export function explain(error: unknown): Failure {
  if (error instanceof ApiError) {
    let title = said(error.message) || t('error.status', { status: error.status })
    if (error.code === 'UNREACHABLE') title = t('error.unreachable')
    if (error.code === 'UNREADABLE') title = t('error.unreadable')
    // Most of those sentences say the time themselves.
    if (error.retryAfter && !/\d/.test(error.message)) title += ` ${t('error.retry', { seconds: error.retryAfter })}`
    // A detail that only says the title again helps nobody.
    const details = error.details.filter((one) => one.hint || (one.message ?? one.error) !== error.message)
    const unreachable = error.code === 'UNREACHABLE'
    const again = unreachable || error.status >= 500 || error.status === 429 || error.code === 'UNREADABLE'
    return { title, details: details.map(line), status: error.status, again, unreachable }
  }
  return { title: error instanceof Error ? error.message : String(error), details: [], status: 0 }
}

export const isAbort = (error: unknown): boolean => error instanceof DOMException && error.name === 'AbortError'

export function complain(error: unknown): void {
  if (isAbort(error) || (error instanceof ApiError && error.status === 401)) return
  const { title, details } = explain(error)
  ElMessage({ type: 'error', message: [title, ...details].join('\n'), duration: 8000, showClose: true, customClass: 'message-lines' })
}

export function tell(message: string): void {
  ElMessage({ type: 'success', message, duration: 3000 })
}

/** Says where a change went: into a commit, onto a branch, or just into the file. */
export function tellSaved(commit: string | null | undefined, branch?: string): void {
  const short = commit?.slice(0, 10) ?? ''
  if (branch) ElMessage({ type: 'success', message: t('save.branch.done', { branch, commit: short }), duration: 10_000, showClose: true })
  else tell(commit ? t('editor.saved.commit', { commit: short }) : t('editor.saved'))
}

/** Asks before something that cannot be taken back. */
export async function sure(message: string, action: string, danger = true): Promise<boolean> {
  try {
    await ElMessageBox.confirm(message, action, {
      confirmButtonText: action,
      cancelButtonText: t('common.cancel'),
      type: danger ? 'warning' : 'info',
      confirmButtonClass: danger ? 'el-button--danger' : '',
      customClass: 'confirm',
    })
    return true
  } catch {
    return false
  }
}

/** Does it, says so, and complains where it fails; true where it went well. */
export async function attempt(act: () => Promise<unknown>, done?: string): Promise<boolean> {
  try {
    await act()
    if (done) tell(done)
    return true
  } catch (error) {
    complain(error)
    return false
  }
}
