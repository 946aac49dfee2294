// The operator's side in a browser: a file that cannot be read is told on every page, a query that runs too long is ended, a
// consumer gets a key and loses it, and the log says in words who did what.
import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { PASSWORD, becomeAdmin, browser, eventually, gateway, hands, post, sessionOf, shoot } from './harness.mjs'

/** Longer than any test, unless somebody ends it. */
const SLOW = 'SELECT count(*) FROM fact_sales a, fact_sales b, fact_sales c WHERE a.amount + b.amount + c.amount < 0'

const at = await gateway()
const { page, wrong, close } = await browser()
const { by, go } = hands(at, page)
process.on('exit', () => void at.stop())

await becomeAdmin(at, page)

test('a file that cannot be read is told on every page until it is gone', async () => {
  const file = join(at.root, 'definitions/odd.yaml')
  writeFileSync(file, Buffer.from([0x6b, 0x3a, 0x20, 0xff]))
  for (const path of ['/', '/interfaces', '/logs/calls']) {
    await eventually(`the banner stands on ${path}`, async () => {
      await go(path)
      return by('health-banner').locator('p').first().waitFor({ timeout: 2_000 }).then(() => true, () => false)
    })
  }
  await go('/config')
  await page.getByText('odd.yaml').first().waitFor()
  await shoot(page, 'zh-config-unreadable')
  rmSync(file)
  await eventually('it is gone', async () => {
    await go('/')
    await page.waitForTimeout(300)
    return (await by('health-banner').locator('p').count()) === 0
  })
})

test('a query that runs too long is seen and ended', async () => {
  const headers = await sessionOf(await post(at, '/api/session', { username: 'chief', password: PASSWORD }))
  const running = post(at, '/api/dataservice/query', { datasource_id: 'dw_readonly', sql: SLOW, id: 'slow-one' }, headers)
  await go('/monitor?tab=running')
  await page.getByText('fact_sales a, fact_sales b').first().waitFor()
  await shoot(page, 'zh-running')
  await page.getByRole('button', { name: /结束/ }).first().click()
  const yes = page.locator('.el-message-box .el-button--primary, .el-message-box .el-button--danger').first()
  if (await yes.waitFor({ timeout: 2_000 }).then(() => true, () => false)) await yes.click()
  assert.equal((await running).status, 409)
})

test('a consumer gets a key, calls with it, and loses it', async () => {
  await go('/people?tab=consumers')
  await by('consumer-new').click()
  await by('consumer-name').fill('web_shop')
  await by('consumer-roles').click()
  await page.getByRole('option').first().click()
  await page.keyboard.press('Escape')
  await by('consumer-save').click()
  await by('key-new-web_shop').click()
  await by('key-id').fill('first')
  await by('key-save').click()
  await by('key-made').waitFor()
  const key = (await by('key-made').innerText()).trim()
  assert.match(key, /^tg_/)
  assert.equal(at.git('log', '-1', '--format=%an|%s'), 'chief|Made the key first of web_shop')
  const call = () => fetch(`${at.data}/data-api/region_options`, { headers: { 'X-API-Key': key } }).then((answer) => answer.status)
  assert.notEqual(await call(), 401)
  await go('/people?tab=consumers')
  await page.getByRole('button', { name: /web_shop first/ }).click()
  await page.locator('.el-message-box .el-button--danger').click()
  await eventually('the key is of no more use', async () => (await call()) === 401)
})

test('the log says in words who did what', async () => {
  await go('/logs/operations')
  for (const text of ['吊销 web_shop 的密钥 first', '新建调用方 web_shop', '结束 chief 的查询']) await by('log-table').getByText(text).first().waitFor()
  await shoot(page, 'zh-operations-said')
  await by('locale-switch').click()
  await by('log-table').getByText('revoked the key first of web_shop').first().waitFor()
})

test.after(async () => {
  assert.deepEqual(wrong, [])
  await close()
  await at.stop()
})
