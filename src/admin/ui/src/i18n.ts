// The two languages of the page: which one is on, and the text of a key in it.
import { computed, ref, watch } from 'vue'
import { en } from './locales/en'
import { zh, type Key } from './locales/zh'

export type Locale = 'zh' | 'en'
export type { Key }

const KEPT = 'tidegate.locale'
const kept = localStorage.getItem(KEPT)

export const locale = ref<Locale>(kept === 'zh' || kept === 'en' ? kept : navigator.language.startsWith('zh') ? 'zh' : 'en')
const texts = computed<Record<Key, string>>(() => (locale.value === 'zh' ? zh : en))

watch(
  locale,
  (now) => {
    document.documentElement.lang = now === 'zh' ? 'zh-CN' : 'en'
  },
  { immediate: true },
)

/** The browser's language stands until somebody chooses. */
export function choose(next: Locale): void {
  locale.value = next
  localStorage.setItem(KEPT, next)
}

export function t(key: Key, values: Record<string, string | number> = {}): string {
  return texts.value[key].replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole))
}

/** The text of a key that is put together at run time, or the value itself where there is none. */
export function label(group: string, value: string | null | undefined): string {
  if (!value) return '–'
  const key = `${group}.${value}`
  return key in zh ? texts.value[key as Key] : value
}
