// The state of the editor: the text of a file is what is saved. The form shows one of its documents and writes into it.
import { nextTick, onScopeDispose, ref, shallowRef, watch, computed, type Ref } from 'vue'
import { ApiError, api, type Keeping } from './api'
import { clean, excerpt, locate, read, toYaml } from './definition'
import { parseExact } from './exact'
import type { Draft } from './draft'
import { explain, isAbort, type Failure } from './failure'
import { debounce } from './load'
import type { ConfigFile, Definition, Problem } from './types'

export interface Saved { code: string; version?: string; commit?: string | null }

/** Pause in the typing after which the text is compiled. */
const PAUSE_MS = 500

const copyOf = (one: Definition): Definition => parseExact(JSON.stringify(one)) as Definition

/** Of a version that is there, or of a new interface: empty, or `kept` as a draft that is yet to be saved. */
export function useEditing(code: string | undefined, version: string | undefined, fresh: Definition, kept: Draft | null) {
  const draft = kept?.definition ?? fresh
  // `ref` would unwrap the type, which has no end.
  const form = ref<unknown>(copyOf(draft)) as Ref<Definition>
  const yaml = ref('')
  /** The document as the file has it. */
  const before = shallowRef<Definition | null>(null)
  const file = shallowRef<ConfigFile | null>(null)
  const problems = shallowRef<Problem[]>([])
  const checking = ref(false)
  const loading = ref(false)
  const saving = ref(false)
  const failed = shallowRef<Failure | null>(null)
  const refused = shallowRef<Failure | null>(null)
  const conflict = ref(false)
  const dirty = ref(false)
  /** The text parses, so that the form can show it. */
  const readable = ref(true)
  let at = 0
  /** The form holds what the text does not have yet. */
  let ahead = false
  /** True while this module itself writes into one side. */
  let quiet = false
  let check: AbortController | null = null

  const path = computed(() => file.value?.path ?? `definitions/${form.value.code || 'new'}.yaml`)
  const versionChanged = computed(() => Boolean(before.value) && form.value.version !== before.value?.version)

  async function settle(act: () => void): Promise<void> {
    quiet = true
    act()
    await nextTick()
    quiet = false
  }

  /** Shows a text, and its document in the form. */
  async function show(text: string): Promise<void> {
    const one = read(text, at)
    readable.value = Boolean(one)
    ahead = false
    await settle(() => {
      yaml.value = text
      if (one) form.value = one
    })
  }

  async function load(): Promise<void> {
    failed.value = null
    refused.value = null
    problems.value = []
    if (!code) {
      await show(kept?.text ?? toYaml({ kind: 'interface', ...clean(draft, null) }))
      dirty.value = kept !== null
      if (kept) look()
      return
    }
    loading.value = true
    try {
      const { meta } = await api.definition(code, version)
      await take(await api.file(meta.file ?? ''))
      await show(file.value?.text ?? '')
      before.value = copyOf(form.value)
      dirty.value = false
    } catch (error) {
      failed.value = explain(error)
    } finally {
      loading.value = false
    }
  }

  async function take(found: ConfigFile): Promise<void> {
    file.value = found
    at = Math.max(0, locate(found.text, code ?? '', version))
  }

  /** The form as it is to be written; what the text has empty stays so. */
  const written = () => clean(form.value, read(yaml.value, at))

  /** Has the server put the form into the text, where it is ahead, and compile it. */
  async function compile(): Promise<void> {
    check?.abort()
    const mine = new AbortController()
    check = mine
    checking.value = true
    try {
      const definition = ahead ? written() : undefined
      const found = await api.check(path.value, yaml.value, mine.signal, at, definition)
      if (definition) {
        ahead = false
        await settle(() => (yaml.value = found.text))
      }
      problems.value = found.problems
      refused.value = null
    } finally {
      if (check === mine) checking.value = false
    }
  }
  // Saving compiles too, and must not be broken off by a pause in the typing before it.
  const look = debounce(() => saving.value || void compile().catch(refuse), PAUSE_MS)

  watch(form, () => {
    if (quiet) return
    dirty.value = true
    ahead = true
    look()
  }, { deep: true })

  watch(yaml, (text) => {
    if (quiet) return
    dirty.value = true
    void show(text)
    look()
  })

  /** A new version begins as a draft, and is not the default. */
  async function sendAs(number: string): Promise<Saved> {
    const { default: _default, deprecated_at: _since, sunset_at: _until, ...one } = written()
    const { code: name } = form.value
    // Beside the one it comes from, since files of queries are named from there.
    const beside = path.value.replace(/[^/]*$/, `${name}-${number}.yaml`)
    const { text } = await api.check(beside, excerpt(yaml.value, at), undefined, 0, { ...one, version: number, status: 'draft' })
    const done = await api.saveFile(beside, text, '', { message: `Add ${name}@${number}` })
    return { code: name, version: number, commit: done.commit }
  }

  async function send(keeping: Keeping): Promise<Saved> {
    if (ahead) await compile()
    const { code: name, version: number } = form.value
    const usual = `${code ? 'Change' : 'Add'} ${name}@${number ?? '1.0.0'}`
    const done = await api.saveFile(path.value, yaml.value, file.value?.etag ?? '', { ...keeping, message: keeping.message || usual })
    return { code: name, version: number, commit: done.commit }
  }

  async function attempted(sending: () => Promise<Saved>): Promise<Saved | null> {
    saving.value = true
    refused.value = null
    try {
      const saved = await sending()
      dirty.value = false
      return saved
    } catch (error) {
      if (error instanceof ApiError && error.status === 412) conflict.value = true
      else refuse(error)
      return null
    } finally {
      saving.value = false
    }
  }

  const save = (keeping: Keeping = {}) => attempted(() => send(keeping))
  const saveAs = (number: string) => attempted(() => sendAs(number))

  function refuse(error: unknown): void {
    if (isAbort(error)) return
    refused.value = explain(error)
    if (!(error instanceof ApiError)) return
    const found = error.details.filter((one) => one.file && one.line)
    if (!found.length) return
    // They stand in the list of problems.
    refused.value = found.some((one) => (one.message ?? one.error) === error.message) ? null : { ...refused.value, details: [] }
    problems.value = found.map((one) => ({ severity: 'error', code: '', message: '', column: 1, ...one }) as Problem)
  }

  /** Goes on from the newest file with a text in its place, which is yet to be saved. */
  async function rebase(newest: ConfigFile, text: string): Promise<void> {
    await take(newest)
    before.value = read(newest.text, at)
    await show(text)
    dirty.value = true
    conflict.value = false
    look()
  }

  onScopeDispose(() => check?.abort())
  return { form, yaml, before, file, path, problems, checking, loading, saving, failed, refused, conflict, readable, dirty, versionChanged, load, save, saveAs, rebase }
}
