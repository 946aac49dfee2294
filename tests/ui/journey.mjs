// One morning of a publisher and an operator in a browser: log in, publish an interface from a query, call it, see the call, break a
// file and mend it. Keeps pictures of every page in both languages.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { browser, eventually, gateway, shoot } from './harness.mjs'

const PASSWORD = 'correct horse battery'
const CODE = 'big_stores'

const at = await gateway()
const { page, wrong, close } = await browser()
const by = (id) => page.getByTestId(id)
const go = async (path) => {
  await page.goto(`${at.admin}/#${path}`)
  await page.waitForLoadState('networkidle')
}
process.on('exit', () => void at.stop())

test('the first account is made by the link that the start printed', async () => {
  await page.goto(at.link)
  await by('setup-username').fill('ann')
  for (const field of await page.locator('input[type=password]').all()) await field.fill(PASSWORD)
  await by('setup-submit').click()
  await by('nav-overview').waitFor()
})

test('a wrong password is refused in words, the right one lets in', async () => {
  await go('/')
  await by('logout').click()
  await by('login-username').waitFor()
  await by('login-username').fill('ann')
  await by('login-password').fill('wrong password')
  await by('login-submit').click()
  await by('login-error').waitFor()
  await shoot(page, 'zh-login')
  await by('login-password').fill(PASSWORD)
  await by('login-submit').click()
  await by('nav-overview').waitFor()
})

test('pages stand in both languages', async () => {
  const pages = {
    overview: '/', interfaces: '/interfaces', interface: '/interfaces/sales_daily_summary', editor: '/interfaces/sales_daily_summary/edit',
    query: '/query', datasources: '/datasources', browse: '/datasources/dw_readonly', calls: '/logs/calls', queries: '/logs/queries',
    operations: '/logs/operations', logins: '/logs/logins', monitor: '/monitor', people: '/people', config: '/config', password: '/password',
  }
  for (const language of ['zh', 'en']) {
    for (const [name, path] of Object.entries(pages)) {
      await go(path)
      await page.waitForTimeout(300)
      assert.equal(await by('state-failed').count(), 0, `${language} ${name}: ${await page.locator('main').innerText().catch(() => '')}`)
      await shoot(page, `${language}-${name}`)
    }
    await by('locale-switch').click()
    const other = page.getByRole('menuitem', { name: language === 'zh' ? 'English' : '中文' })
    if (await other.count()) await other.click()
  }
  assert.deepEqual(wrong, [])
})

test.after(async () => {
  await close()
  await at.stop()
})
