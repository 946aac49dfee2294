// Light and dark: the system's choice until somebody makes another.
import { ref, watch } from 'vue'

const KEPT = 'tidegate.theme'
const system = matchMedia('(prefers-color-scheme: dark)')
const kept = localStorage.getItem(KEPT)

export const dark = ref(kept ? kept === 'dark' : system.matches)

system.addEventListener('change', (event) => {
  if (!localStorage.getItem(KEPT)) dark.value = event.matches
})

watch(dark, (now) => document.documentElement.classList.toggle('dark', now), { immediate: true })

export function toggleTheme(): void {
  dark.value = !dark.value
  localStorage.setItem(KEPT, dark.value ? 'dark' : 'light')
}
