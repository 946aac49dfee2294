// Filters and tabs that stand in the address of a page, so that reloading, links and going back keep them.
import { computed, onScopeDispose, reactive, watch, type WritableComputedRef } from 'vue'
import { useRoute, useRouter } from 'vue-router'

const PAUSE_MS = 250

/** Takes them from the address and writes those that are not as usual, after a pause in the typing; `changed` hears of both. */
export function useAddress<K extends string>(usual: Record<K, string>, changed: () => void): Record<K, string> {
  const route = useRoute()
  const router = useRouter()
  const here = route.path
  const names = Object.keys(usual) as K[]
  const given = (): Record<K, string> => Object.fromEntries(names.map((name) => [name, typeof route.query[name] === 'string' ? route.query[name] : usual[name]])) as Record<K, string>
  const values = reactive(given()) as Record<K, string>
  let timer: ReturnType<typeof setTimeout> | undefined

  function write(): void {
    const others = Object.entries(route.query).filter(([name]) => !names.includes(name as K))
    const own = names.filter((name) => values[name] && values[name] !== usual[name]).map((name) => [name, values[name]])
    void router.replace({ query: Object.fromEntries([...others, ...own]) })
  }

  watch(values, () => {
    clearTimeout(timer)
    timer = setTimeout(() => {
      write()
      changed()
    }, PAUSE_MS)
  })
  // A page that is being left has an address that is not its own.
  watch(() => route.query, () => route.path === here && Object.assign(values, given()))
  onScopeDispose(() => clearTimeout(timer))
  return values
}

/** The tab that the address names, of those that there are; the first where it names none of them. */
export function useTab<N extends string>(names: () => readonly N[]): WritableComputedRef<N> {
  const route = useRoute()
  const router = useRouter()
  return computed({
    get: () => names().find((name) => name === route.query.tab) ?? (names()[0] as N),
    set: (tab) => void router.replace({ query: { ...route.query, tab } }),
  })
}
