// How the appliance is, asked for again and again by the frame of the page and shown by all that need it.
import { computed, shallowRef } from 'vue'
import { api } from './api'
import { explain, type Failure } from './failure'
import type { SystemStatus } from './types'

export const health = shallowRef<SystemStatus | null>(null)
export const healthFailed = shallowRef<Failure | null>(null)

export async function refreshHealth(): Promise<void> {
  try {
    health.value = await api.status()
    healthFailed.value = null
  } catch (error) {
    healthFailed.value = explain(error)
  }
}

export function forgetHealth(): void {
  health.value = null
  healthFailed.value = null
}

export const down = computed(() => health.value?.datasources.filter((one) => one.up === false) ?? [])
export const isReloadFailed = computed(() => health.value?.last_reload.ok === false)
