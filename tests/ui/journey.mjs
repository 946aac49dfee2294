// One morning of a publisher and an operator in a browser: log in, publish an interface from a query, call it, see the call, break a
// file and mend it. Keeps pictures of every page in both languages.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { PASSWORD, becomeAdmin, browser, eventually, gateway, hands, shoot } from './harness.mjs'

const CODE = 'stores_of_region'
/** The demo's key, which everybody knows. */
const KEY = 'tidegate-demo-key'

const at = await gateway()
const { page, wrong, close } = await browser()
const { by, go } = hands(at, page)
process.on('exit', () => void at.stop())

test('the first account is made by the link that the start printed', () => becomeAdmin(at, page))

test('a wrong password is refused in words, the right one lets in', async () => {
  await go('/')
  await by('user-menu').click()
  await by('logout').click()
  await by('login-username').waitFor()
  await by('login-username').fill('chief')
  await by('login-password').fill('wrong password')
  await by('login-submit').click()
  await by('login-error').waitFor()
  await shoot(page, 'zh-login')
  await by('login-password').fill(PASSWORD)
  await by('login-submit').click()
  await by('nav-overview').waitFor()
})

test('a query becomes an interface, which answers at once', async () => {
  await go('/query')
  await by('query-datasource').click()
  await page.getByRole('option', { name: 'dw_readonly' }).click()
  await by('query-editor').locator('.ace_content').click()
  await page.keyboard.type('SELECT store_id, name FROM stores WHERE region = :region ORDER BY store_id')
  await page.keyboard.press('Escape')
  await by('query-param-add-region').click()
  await by('query-param-region').fill('华东')
  await by('query-run').click()
  await by('result-table').waitFor()
  assert.equal(await page.getByText('上海南京路店').count(), 1)
  await shoot(page, 'zh-query-result')
  await by('query-save-as-interface').click()
  await by('draft-code').fill(CODE)
  await by('draft-name').fill('大区门店')
  await by('draft-go').click()
  await by('save').waitFor()
  await eventually('the draft has no problems', () => by('save').isEnabled())
  await shoot(page, 'zh-draft')
  await by('save').click()
  await eventually('the file is written', () => at.git('log', '-1', '--format=%an %s').startsWith('chief Add'))
  // It is a draft until somebody makes it active.
  await go(`/interfaces/${CODE}`)
  await by(`interface-more-${CODE}`).click()
  await by('interface-to-active').click()
  const yes = page.locator('.el-message-box .el-button--primary')
  if (await yes.isVisible({ timeout: 1_000 }).catch(() => false)) await yes.click()
  await eventually('it answers', async () => {
    const answer = await fetch(`${at.data}/data-api/${CODE}?region=${encodeURIComponent('华东')}`, { headers: { 'X-API-Key': KEY } })
    return answer.status === 200 && (await answer.json()).data.length === 5
  })
})

test('the call stands in the log and in the figures', async () => {
  await go('/logs/calls')
  await by('log-code').fill(CODE)
  await by('log-search').click()
  await by('log-table').getByText(CODE).first().waitFor()
  await shoot(page, 'zh-calls-found')
  await go('/logs/queries')
  await by('log-table').getByText('SELECT store_id').first().waitFor()
  await go('/logs/operations')
  await by('log-table').getByText('/api/dataservice/interfaces').first().waitFor()
  await eventually('the figures have it', async () => {
    await go('/monitor')
    await page.getByRole('tab').last().click()
    return by('figures-table').getByText(CODE).first().waitFor({ timeout: 2_000 }).then(() => true, () => false)
  }, 40_000)
  await go('/')
  await page.waitForTimeout(500)
  await shoot(page, 'zh-overview-busy')
})

test('a broken file shows its problem, and mended it serves again', async () => {
  const file = join(at.root, 'definitions/sales_daily_summary.yaml')
  const text = readFileSync(file, 'utf8')
  writeFileSync(file, text.replace('datasource_id: dw_readonly', 'datasource_id: nowhere'))
  await eventually('the problem is on the page', async () => {
    await go('/config')
    return page.getByText('nowhere').first().waitFor({ timeout: 2_000 }).then(() => true, () => false)
  })
  await shoot(page, 'zh-config-problem')
  writeFileSync(file, text)
  await eventually('it is gone', async () => {
    await go('/config')
    await by('file-tree').waitFor()
    return (await page.getByText('nowhere').count()) === 0
  })
})

test('a field edited in the form changes one line of the file', async () => {
  const file = join(at.root, 'definitions/sales_daily_summary.yaml')
  const before = readFileSync(file, 'utf8')
  await go('/interfaces/sales_daily_summary/edit')
  await by('editor-name').fill('每天的销售')
  await eventually('it can be saved', () => by('save').isEnabled())
  await by('save').click()
  await eventually('the file has it', () => readFileSync(file, 'utf8') !== before)
  assert.equal(readFileSync(file, 'utf8'), before.replace('name: 每日销售汇总', 'name: 每天的销售'))
  await eventually('and git too', () => at.git('log', '-1', '--format=%an') === 'chief' && at.git('status', '--porcelain') === '')
})

test('an interface is tried with a form made of its parameters', async () => {
  await go('/interfaces/sales_daily_summary?tab=test')
  for (const [name, day] of [['startDate', '2025-01-01'], ['endDate', '2025-01-31']]) {
    await page.locator(`#p-${name}`).fill(day)
    await page.keyboard.press('Enter')
  }
  await by('test-run').click()
  await by('test-result').waitFor()
  await page.waitForTimeout(300)
  await shoot(page, 'zh-test-run')
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
      // Charts and tables take a moment.
      await page.waitForTimeout(700)
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
