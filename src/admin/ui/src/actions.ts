// What can be done with an interface from its row and from its page.
import { ElMessageBox } from 'element-plus/es/components/message-box/index.mjs'
import { api } from './api'
import { attempt, sure } from './failure'
import { t } from './i18n'
import type { Definition, Status } from './types'

export const CODE = /^[A-Za-z][A-Za-z0-9_.-]*$/

const QUESTION: Partial<Record<Status, () => string>> = {
  disabled: () => t('interfaces.disable.ask'),
  deprecated: () => t('interfaces.deprecate.ask'),
}

export async function changeStatus(one: Definition, status: Status): Promise<boolean> {
  const question = QUESTION[status]?.()
  if (question && !(await sure(`${one.code} ${one.version ?? ''}\n${question}`, t(`to.${status}`), status === 'disabled'))) return false
  return attempt(() => api.setStatus(one.code, one.version, status), t('interfaces.status.done', { code: one.code, status: t(`status.${status}`) }))
}

export async function removeInterface(one: Definition): Promise<boolean> {
  if (!(await sure(`${one.code} ${one.version ?? ''}\n${t('interfaces.delete.ask')}`, t('common.delete')))) return false
  return attempt(async () => {
    // The delete is of what is there now, not of what the list once showed.
    const { etag } = await api.definition(one.code, one.version)
    await api.remove(one.code, one.version, etag)
  }, t('interfaces.delete.done', { code: one.code }))
}

/** Asks for another code; answers it where the copy was made. */
export async function copyInterface(one: Definition): Promise<string | null> {
  let code = ''
  try {
    const answer = await ElMessageBox.prompt(t('interfaces.copy.ask'), t('interfaces.copy'), {
      inputValue: `${one.code}_copy`,
      inputPattern: CODE,
      inputErrorMessage: t('editor.code.rule'),
      confirmButtonText: t('interfaces.copy'),
      cancelButtonText: t('common.cancel'),
    })
    code = (answer as { value: string }).value
  } catch {
    return null
  }
  const body = { code, ...(one.name && { name: t('interfaces.copy.name', { name: one.name }) }) }
  return (await attempt(() => api.copy(one.code, body, one.version), t('interfaces.copy.done', { code }))) ? code : null
}
