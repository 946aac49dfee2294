// What the server says in words, in the language of the page: it speaks English, and a table has the Chinese.
import { locale } from './i18n'
import { reasonsInChinese } from './locales/reasons.zh'
import { problemsInChinese, saidInChinese } from './locales/said.zh'

interface Pattern { shape: RegExp; chinese: string }

const exact = new Map<string, string>()
const patterns: Pattern[] = []
for (const [english, chinese] of [...saidInChinese, ...reasonsInChinese]) {
  if (!/\{\d\}/.test(english)) exact.set(english, chinese)
  else {
    const parts = english.split(/\{\d\}/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    patterns.push({ shape: new RegExp(`^${parts.join('(.+?)')}$`, 's'), chinese })
  }
}

function find(text: string): string | null {
  const known = exact.get(text)
  if (known !== undefined) return known
  for (const { shape, chinese } of patterns) {
    const match = shape.exec(text)
    if (match) return chinese.replace(/\{(\d)\}/g, (_, at: string) => said(match[Number(at) + 1] ?? ''))
  }
  const several = text.split(', ')
  if (several.length > 1) {
    const all = several.map(find)
    if (all.every((one) => one !== null)) return all.join('，')
  }
  const colon = text.indexOf(': ')
  if (colon < 0) return null
  // A cause after what it caused, or after the host it comes from.
  const [effect, cause] = [text.slice(0, colon), text.slice(colon + 2)]
  const [newEffect, newCause] = [find(effect), find(cause)]
  return newEffect === null && newCause === null ? null : `${newEffect ?? effect}：${newCause ?? cause}`
}

/** A sentence of the server; one that the table does not have stays as it is. */
export function said(text: string): string {
  if (locale.value !== 'zh' || !text) return text
  const found = find(text)
  if (found !== null) return found
  const bare = text.endsWith('.') ? find(text.slice(0, -1)) : null
  return bare === null ? text : `${bare}。`
}

/** What kind of problem of a definition a code is; nothing in English, where the problem's own words do. */
export const headline = (code: string | undefined): string => (locale.value === 'zh' && code ? (problemsInChinese[code] ?? '') : '')
