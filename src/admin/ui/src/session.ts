// Who is logged in, and what they may do here.
import { computed, ref } from 'vue'
import { api, keepCsrf } from './api'
import { forgetHealth } from './health'
import type { ConfigTree, Role, Session } from './types'

const ORDER: Role[] = ['viewer', 'developer', 'operator', 'admin']

export const session = ref<Session | null>(null)
export const config = ref<ConfigTree | null>(null)

export function may(role: Role): boolean {
  return session.value !== null && ORDER.indexOf(session.value.role) >= ORDER.indexOf(role)
}

/** The roles that one's own role can hand on. */
export const ownRoles = computed(() => ORDER.filter((role) => may(role)))
export const allRoles = ORDER

/** Whether this appliance changes only by git. */
export const isReadOnly = computed(() => config.value?.edit === 'readonly')
/** Whether definitions may be changed here. */
export const canEdit = computed(() => may('developer') && !isReadOnly.value)

export function enter(next: Session): void {
  session.value = next
  keepCsrf(next.csrf_token)
  void refreshConfig()
}

export function forget(): void {
  session.value = null
  config.value = null
  forgetHealth()
  keepCsrf('')
}

export async function refreshConfig(): Promise<void> {
  try {
    config.value = await api.config()
  } catch {
    config.value = null
  }
}

/** Takes up the session of the cookie, once. */
export async function resume(): Promise<boolean> {
  if (session.value) return true
  try {
    enter(await api.session())
    return true
  } catch {
    return false
  }
}
