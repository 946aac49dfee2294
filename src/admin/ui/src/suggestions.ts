// What is known of a datasource for the completion of an SQL editor.
import { computed, shallowRef, watch } from 'vue'
import { api } from './api'
import type { Known } from './completion'
import type { Completion } from './types'

const seen = new Map<string, Completion>()

async function ofSource(id: string): Promise<Completion> {
  const kept = seen.get(id)
  if (kept) return kept
  const found = await api.completion(id)
  seen.set(id, found)
  return found
}

export function useSuggestions(source: () => string | undefined, type: () => string | undefined, names: () => string[]) {
  const found = shallowRef<Completion>({ tables: [] })
  watch(source, (id) => {
    found.value = { tables: [] }
    if (!id) return
    // An editor without completion is still an editor.
    ofSource(id).then((all) => source() === id && (found.value = all), () => {})
  }, { immediate: true })
  return computed<Known>(() => ({ ...found.value, type: type() ?? '', parameters: names().filter(Boolean) }))
}
