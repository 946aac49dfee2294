// Something under way and for how long, in seconds with one decimal.
import { onScopeDispose, ref } from 'vue'

export function useElapsed() {
  const running = ref(false)
  const seconds = ref('0.0')
  let timer: ReturnType<typeof setInterval> | undefined

  function stop(): void {
    clearInterval(timer)
    running.value = false
  }

  function start(): void {
    stop()
    const from = performance.now()
    seconds.value = '0.0'
    running.value = true
    timer = setInterval(() => (seconds.value = ((performance.now() - from) / 1000).toFixed(1)), 100)
  }

  onScopeDispose(stop)
  return { running, seconds, start, stop }
}
