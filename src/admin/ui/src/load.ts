// Loading for pages: the data, whether it is under way, and why it failed; and what is done again and again.
import { onScopeDispose, ref, shallowRef, watch, type Ref, type ShallowRef } from 'vue'
import { reachable } from './api'
import { explain, isAbort, type Failure } from './failure'

export interface Loaded<D> {
  data: ShallowRef<D | null>
  loading: Ref<boolean>
  failed: ShallowRef<Failure | null>
  reload: () => Promise<void>
}

/** Loads at once; a later load wins over an earlier one that is slow. */
export function useLoad<D>(load: (signal: AbortSignal) => Promise<D>, now = true): Loaded<D> {
  const data: ShallowRef<D | null> = shallowRef(null)
  const loading = ref(false)
  const failed = shallowRef<Failure | null>(null)
  let running: AbortController | null = null

  async function reload(): Promise<void> {
    running?.abort()
    const mine = new AbortController()
    running = mine
    loading.value = true
    try {
      const found = await load(mine.signal)
      if (running === mine) {
        data.value = found
        failed.value = null
      }
    } catch (error) {
      if (running === mine && !isAbort(error)) failed.value = explain(error)
    } finally {
      if (running === mine) loading.value = false
    }
  }

  watch(reachable, (back) => {
    if (back && failed.value?.unreachable) void reload()
  })
  onScopeDispose(() => {
    running?.abort()
    running = null
  })
  if (now) void reload()
  return { data, loading, failed, reload }
}

/** What a dialog sends: whether it is under way, and why it failed. */
export function useSend(act: () => Promise<unknown>) {
  const busy = ref(false)
  const failed = shallowRef<Failure | null>(null)

  async function send(): Promise<void> {
    busy.value = true
    failed.value = null
    try {
      await act()
    } catch (error) {
      failed.value = explain(error)
    } finally {
      busy.value = false
    }
  }

  return { busy, failed, send }
}

/** Repeats while the page can be seen. */
export function useEvery(seconds: number, act: () => void): void {
  const timer = setInterval(() => {
    if (!document.hidden) act()
  }, seconds * 1000)
  onScopeDispose(() => clearInterval(timer))
}

/** Waits for a pause in the typing. */
export function debounce<A extends unknown[]>(act: (...given: A) => void, wait: number): (...given: A) => void {
  let timer: ReturnType<typeof setTimeout> | undefined
  return (...given) => {
    clearTimeout(timer)
    timer = setTimeout(() => act(...given), wait)
  }
}

/** Whether the window is a phone's. */
export const narrow = ref(matchMedia('(max-width: 760px)').matches)
matchMedia('(max-width: 760px)').addEventListener('change', (event) => {
  narrow.value = event.matches
})
