// The state of the editor: a form and the YAML of its file, of which one is edited at a time, and saving either.
import { computed, nextTick, onScopeDispose, ref, shallowRef, watch, type Ref } from 'vue'
import { ApiError, api } from './api'
import { clean, locate, read, replaced, toYaml } from './definition'
import { explain, isAbort, type Failure } from './failure'
import { debounce } from './load'
import type { ConfigFile, Definition, Problem } from './types'

export type Side = 'none' | 'form' | 'yaml'
export interface Saved { code: string; version?: string; commit?: string | null }

const copyOf = (one: Definition): Definition => JSON.parse(JSON.stringify(one)) as Definition

export function useEditing(code: string | undefined, version: string | undefined, draft: Definition) {
  // `ref` would unwrap the type, which has no end.
  const form = ref<unknown>(copyOf(draft)) as Ref<Definition>
  const yaml = ref('')
  const before = shallowRef<Definition | null>(null)
  const file = shallowRef<ConfigFile | null>(null)
  const problems = shallowRef<Problem[]>([])
  const checking = ref(false)
  const loading = ref(false)
  const saving = ref(false)
  const failed = shallowRef<Failure | null>(null)
  const refused = shallowRef<Failure | null>(null)
  const conflict = ref(false)
  const side = ref<Side>('none')
  let etag = ''
  let at = 0
  /** True while this module itself writes into one side. */
  let quiet = false
  let check: AbortController | null = null

  const path = computed(() => file.value?.path ?? `definitions/${form.value.code || 'new'}.yaml`)
  const dirty = computed(() => side.value !== 'none')
  const versionChanged = computed(() => Boolean(before.value) && side.value === 'form' && form.value.version !== before.value?.version)

  function written(): string {
    return replaced(file.value?.text ?? '', at, clean(form.value, before.value))
  }

  async function settle(act: () => void): Promise<void> {
    quiet = true
    act()
    await nextTick()
    quiet = false
  }

  async function load(): Promise<void> {
    failed.value = null
    refused.value = null
    if (!code) {
      await settle(() => (yaml.value = written()))
      return
    }
    loading.value = true
    try {
      const { data, meta, etag: found } = await api.definition(code, version)
      const { is_default: _default, ...own } = data
      etag = found
      before.value = own as Definition
      file.value = meta.file ? await api.file(meta.file) : null
      at = Math.max(0, locate(file.value?.text ?? '', code, own.version as string | undefined))
      await settle(() => {
        form.value = copyOf(own as Definition)
        yaml.value = file.value?.text ?? toYaml(own)
        side.value = 'none'
      })
      problems.value = []
    } catch (error) {
      failed.value = explain(error)
    } finally {
      loading.value = false
    }
  }

  const look = debounce(() => {
    check?.abort()
    const mine = new AbortController()
    check = mine
    checking.value = true
    api.check(path.value, yaml.value, mine.signal)
      .then((found) => (problems.value = found.problems), () => {})
      .finally(() => check === mine && (checking.value = false))
  }, 600)

  watch(form, () => {
    if (quiet) return
    side.value = 'form'
    void settle(() => (yaml.value = written()))
    look()
  }, { deep: true })

  watch(yaml, (text) => {
    if (quiet) return
    side.value = 'yaml'
    const one = read(text, at)
    if (one) void settle(() => {
      const { kind: _kind, ...own } = one
      form.value = own as Definition
    })
    look()
  })

  async function send(asNew: boolean): Promise<Saved> {
    if (side.value === 'yaml') {
      // A new file needs no etag, and keeps its comments.
      const done = await api.saveFile(path.value, yaml.value, file.value?.etag ?? '')
      return { code: form.value.code, version: form.value.version, commit: done.commit }
    }
    const one = clean(form.value, before.value)
    // Only one version can be the default, and it is not the one that was just made.
    if (asNew) delete one.default
    const { meta } = code && !asNew ? await api.replace(code, before.value?.version ?? version, one, etag) : await api.create(one)
    return { code: one.code, version: one.version, commit: meta.commit }
  }

  async function save(asNew = false): Promise<Saved | null> {
    saving.value = true
    refused.value = null
    try {
      const saved = await send(asNew)
      side.value = 'none'
      return saved
    } catch (error) {
      if (error instanceof ApiError && error.status === 412) conflict.value = true
      else if (!isAbort(error)) refuse(error)
      return null
    } finally {
      saving.value = false
    }
  }

  function refuse(error: unknown): void {
    refused.value = explain(error)
    if (!(error instanceof ApiError)) return
    const found = error.details.filter((one) => one.file && one.line)
    if (found.length) problems.value = found.map((one) => ({ severity: 'error', code: '', message: '', column: 1, ...one }) as Problem)
  }

  /** Takes the newest state as the base and keeps what is on the screen, to be saved over it. */
  async function rebase(): Promise<void> {
    if (!code) return
    const { data, meta, etag: found } = await api.definition(code, version)
    const { is_default: _default, ...own } = data
    etag = found
    before.value = own as Definition
    const newest = meta.file ? await api.file(meta.file) : null
    at = Math.max(0, locate(newest?.text ?? '', code, own.version as string | undefined))
    file.value = newest
    if (side.value === 'form') await settle(() => (yaml.value = written()))
    conflict.value = false
  }

  onScopeDispose(() => check?.abort())
  return { form, yaml, before, file, path, problems, checking, loading, saving, failed, refused, conflict, side, dirty, versionChanged, load, save, rebase }
}
