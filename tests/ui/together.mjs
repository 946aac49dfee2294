// Two developers in two browsers, with less than an admin's rights: one interface edited by both, and a change that is to be reviewed.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { PASSWORD, browser, eventually, gateway, hands, post, sessionOf, shoot } from './harness.mjs'

const CODE = 'sales_daily_summary'
const FILE = 'definitions/sales_daily_summary.yaml'

const at = await gateway()
const text = () => readFileSync(join(at.root, FILE), 'utf8')
const written = text()
process.on('exit', () => void at.stop())

/** A browser of its own, logged in. */
async function person(name) {
  const own = await browser()
  const { by, go } = hands(at, own.page)
  await go('/login')
  await by('login-username').fill(name)
  await by('login-password').fill(PASSWORD)
  await by('login-submit').click()
  await by('nav-overview').waitFor()
  return { ...own, by, go }
}

async function edit(who, field, value) {
  await who.by(`editor-${field}`).fill(value)
  await eventually('it can be saved', () => who.by('save').isEnabled())
}

const headers = await sessionOf(await post(at, '/api/setup', { token: /token=(.+)$/.exec(at.link)[1], username: 'chief', password: PASSWORD }))
for (const username of ['first', 'second']) {
  const answer = await post(at, '/api/accounts', { username, password: PASSWORD, role: 'developer' }, headers)
  assert.equal(answer.status, 201)
}
const [first, second] = [await person('first'), await person('second')]

test('form and text follow each other, and comments stay', async () => {
  await first.go(`/interfaces/${CODE}/edit`)
  await edit(first, 'name', '每天的销售')
  await eventually('the text has the name', async () => (await first.by('editor-yaml').innerText()).includes('name: 每天的销售'))
  assert.match(await first.by('editor-yaml').innerText(), /# 每日销售汇总：最完整的一个例子/)
  await first.by('editor-yaml').locator('.ace_content').click()
  await first.page.keyboard.press('Control+Home')
  await first.page.keyboard.type('# 一行新注释\n')
  await edit(first, 'description', '按日期与门店汇总。')
  await eventually('the text has both', async () => /一行新注释[^]*按日期与门店汇总/.test(await first.by('editor-yaml').innerText()))
})

test('changes of different lines are both kept', async () => {
  await second.go(`/interfaces/${CODE}/edit`)
  await second.page.locator('#tab-limits').click()
  const timeout = second.page.getByRole('spinbutton', { name: /^超时/ })
  await timeout.fill('9000')
  await timeout.press('Tab')
  await eventually('it can be saved', () => second.by('save').isEnabled())
  await first.by('save').click()
  await eventually('the first is saved', () => text().includes('一行新注释'))
  await second.by('save').click()
  await second.by('conflict-merge').waitFor()
  await shoot(second.page, 'zh-conflict')
  await second.by('conflict-merge').click()
  await eventually('it can be saved', () => second.by('save').isEnabled())
  await second.by('save').click()
  const both = `# 一行新注释\n${written}`.replace('name: 每日销售汇总', 'name: 每天的销售')
    .replace('description: 按日期和门店维度汇总销售额与订单量。', 'description: 按日期与门店汇总。').replace('timeout_ms: 20000', 'timeout_ms: 9000')
  await eventually('both are in the file', () => text() === both)
  // The commit comes right behind the file.
  await eventually('git has both', () => at.git('log', '-2', '--format=%an') === 'second\nfirst')
})

test('changes of the same line are shown, and one is chosen', async () => {
  for (const who of [first, second]) {
    await who.go(`/interfaces/${CODE}/edit`)
    await edit(who, 'name', `${who === first ? '甲' : '乙'}的名字`)
  }
  await first.by('save').click()
  await eventually('the first is saved', () => text().includes('甲的名字'))
  await second.by('save').click()
  await second.by('conflict-keep').waitFor()
  assert.equal(await second.by('conflict-merge').count(), 0)
  await second.by('conflict-keep').click()
  await eventually('it can be saved', () => second.by('save').isEnabled())
  await second.by('save').click()
  await eventually('the second is saved', () => text().includes('name: 乙的名字'))
})

test('a change goes onto a branch to be reviewed', async () => {
  const before = text()
  await second.go(`/interfaces/${CODE}/edit`)
  await edit(second, 'name', '评审中的名字')
  await second.by('save-more').click()
  await second.by('save-message').fill('换一个名字\n\n因为旧的太长。')
  await second.by('save-on-branch').click()
  await second.by('save-branch').fill('review/name')
  await shoot(second.page, 'zh-save-on-branch')
  await second.by('save-go').click()
  await eventually('the branch has it', () => at.git('branch', '--list', 'review/name') !== '')
  assert.equal(at.git('log', '-1', '--format=%an|%B', 'review/name'), 'second|换一个名字\n\n因为旧的太长。')
  assert.match(at.git('show', `review/name:${FILE}`), /name: 评审中的名字/)
  assert.equal(text(), before)
  assert.equal(at.git('status', '--porcelain'), '')
})

test.after(async () => {
  assert.deepEqual([...first.wrong, ...second.wrong], [])
  await Promise.all([first.close(), second.close()])
  await at.stop()
})
