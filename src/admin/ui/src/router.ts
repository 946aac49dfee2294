// The pages and their addresses; who is not logged in is sent to the login page and brought back.
import { shallowRef, watch } from 'vue'
import { createRouter, createWebHashHistory, type RouteLocationNormalized, type RouteRecordRaw } from 'vue-router'
import { api, reachable, whenUnauthorized } from './api'
import { locale, t, type Key } from './i18n'
import { forget, resume, session } from './session'
import type { Role } from './types'

declare module 'vue-router' {
  interface RouteMeta {
    /** Without the shell, and without a login. */
    bare?: boolean
    title?: Key
    /** Who may see it; some parts of a page need more than the rest. */
    role?: Role | ((to: RouteLocationNormalized) => Role | undefined)
    /** The entry of the sidebar that is lit. */
    nav?: string
  }
}

const routes: RouteRecordRaw[] = [
  { path: '/login', name: 'login', component: () => import('./pages/LoginPage.vue'), meta: { bare: true, title: 'login.title' } },
  { path: '/setup', name: 'setup', component: () => import('./pages/SetupPage.vue'), meta: { bare: true, title: 'setup.title' } },
  { path: '/', name: 'overview', component: () => import('./pages/OverviewPage.vue'), meta: { nav: 'overview', title: 'nav.overview' } },
  { path: '/interfaces', name: 'interfaces', component: () => import('./pages/InterfacesPage.vue'), meta: { nav: 'interfaces', title: 'nav.interfaces' } },
  { path: '/interfaces/new', name: 'interface-new', component: () => import('./pages/EditorPage.vue'), meta: { nav: 'interfaces', title: 'interfaces.new', role: 'developer' } },
  { path: '/interfaces/:code', name: 'interface', component: () => import('./pages/InterfacePage.vue'), props: true, meta: { nav: 'interfaces', title: 'nav.interfaces' } },
  { path: '/interfaces/:code/edit', name: 'interface-edit', component: () => import('./pages/EditorPage.vue'), props: true, meta: { nav: 'interfaces', title: 'common.edit', role: 'developer' } },
  { path: '/query', name: 'query', component: () => import('./pages/QueryPage.vue'), meta: { nav: 'query', title: 'nav.query', role: 'developer' } },
  { path: '/datasources', name: 'datasources', component: () => import('./pages/DatasourcesPage.vue'), meta: { nav: 'datasources', title: 'nav.datasources' } },
  { path: '/datasources/:id', name: 'datasource', component: () => import('./pages/BrowsePage.vue'), props: true, meta: { nav: 'datasources', title: 'nav.datasources' } },
  { path: '/logs/:kind(calls|queries|operations|logins)?', name: 'logs', component: () => import('./pages/LogsPage.vue'), props: true, meta: { nav: 'logs', title: 'nav.logs', role: (to) => (['operations', 'logins'].includes(String(to.params.kind)) ? 'operator' : undefined) } },
  { path: '/monitor', name: 'monitor', component: () => import('./pages/MonitorPage.vue'), meta: { nav: 'monitor', title: 'nav.monitor', role: (to) => (['online', 'running'].includes(String(to.query.tab)) ? 'operator' : undefined) } },
  { path: '/people', name: 'people', component: () => import('./pages/PeoplePage.vue'), meta: { nav: 'people', title: 'nav.people' } },
  { path: '/password', name: 'password', component: () => import('./pages/PasswordPage.vue'), meta: { title: 'password.title' } },
  { path: '/config', name: 'config', component: () => import('./pages/ConfigPage.vue'), meta: { nav: 'config', title: 'nav.config' } },
  { path: '/:rest(.*)*', name: 'nowhere', component: () => import('./pages/NowherePage.vue'), meta: { title: 'nowhere.title' } },
]

export const router = createRouter({
  history: createWebHashHistory(),
  routes,
  scrollBehavior: (_to, _from, saved) => saved ?? { top: 0 },
})

router.beforeEach(async (to) => {
  if (to.meta.bare) return true
  if (!session.value && !(await resume())) {
    const { needed } = await api.setupNeeded().catch(() => ({ needed: false }))
    return needed ? { name: 'setup' } : { name: 'login', query: { to: to.fullPath } }
  }
  return true
})

/** A page that could not be loaded, and another try. */
export const stuck = shallowRef<{ again: () => void } | null>(null)
const NOT_LOADED = /dynamically imported module|importing a module script|preload css/i
const RELOADED = 'tidegate.reloaded'
const PAUSE_MS = 30_000

router.onError((error, to) => {
  if (!(error instanceof Error) || !NOT_LOADED.test(error.message)) return
  // A browser remembers a module that did not load, and an update has other files: the page begins anew.
  const again = () => {
    sessionStorage.setItem(RELOADED, String(Date.now()))
    location.hash = `#${to.fullPath}`
    location.reload()
  }
  stuck.value = { again }
  api.setupNeeded().then(
    () => {
      if (Date.now() - Number(sessionStorage.getItem(RELOADED)) > PAUSE_MS) again()
    },
    () => {},
  )
})
watch(reachable, (back) => back && stuck.value?.again())
router.afterEach((_to, _from, failure) => {
  if (!failure) stuck.value = null
})

watch([router.currentRoute, locale], ([route]) => {
  const subject = String(route.params.code ?? route.params.id ?? '')
  const title = route.meta.title ? t(route.meta.title) : ''
  document.title = [subject, title, t('product')].filter(Boolean).join(' · ')
})

whenUnauthorized(() => {
  const here = router.currentRoute.value
  forget()
  if (!here.meta.bare) void router.replace({ name: 'login', query: { to: here.fullPath, ended: '1' } })
})
