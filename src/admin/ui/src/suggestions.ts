// What an SQL editor completes: tables and columns of a datasource, parameters, and the forms of templates.
import { computed, shallowRef, watch } from 'vue'
import { api } from './api'
import type { Suggestion } from './components/CodeEditor.vue'

const FORMS: Suggestion[] = [
  { value: '{{ name }}', meta: 'template', snippet: '{{ ${1:name} }}' },
  { value: '{% if %}', meta: 'template', snippet: '{% if ${1:name} %} ${2} {% endif %}' },
  { value: '{% for %}', meta: 'template', snippet: '{% for ${1:item} in ${2:items} %} ${3} {% endfor %}' },
]
const seen = new Map<string, Suggestion[]>()

async function ofSource(id: string): Promise<Suggestion[]> {
  const kept = seen.get(id)
  if (kept) return kept
  const { tables } = await api.completion(id)
  const columns = new Map<string, string>()
  for (const table of tables) for (const column of table.columns) columns.set(column, columns.has(column) ? '…' : table.name)
  const all = [...tables.map((table) => ({ value: table.name, meta: 'table' })), ...[...columns].map(([value, meta]) => ({ value, meta }))]
  seen.set(id, all)
  return all
}

export function useSuggestions(source: () => string | undefined, names: () => string[]) {
  const found = shallowRef<Suggestion[]>([])
  watch(source, (id) => {
    found.value = []
    if (!id) return
    // An editor without completion is still an editor.
    ofSource(id).then((all) => source() === id && (found.value = all), () => {})
  }, { immediate: true })
  return computed<Suggestion[]>(() => [...names().filter(Boolean).map((name) => ({ value: name, meta: 'parameter' })), ...found.value, ...FORMS])
}
