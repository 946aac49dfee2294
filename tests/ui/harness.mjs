// What the browser tests share: a gateway on a copy of the demo in git, and Chromium.
import { spawn, execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { chromium } from 'playwright-core'

const ROOT = resolve(import.meta.dirname, '../..')
const BINARY = process.env.TIDEGATE_BINARY ?? join(ROOT, 'target/debug/tidegate')
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium'
const SHOTS = process.env.TIDEGATE_SCREENSHOTS ?? join(ROOT, 'target/ui-screenshots')
const START_MS = 60_000

const freePort = () =>
  new Promise((done) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => done(port))
    })
  })

/** Waits until `holds` gives something, and gives that. */
export async function eventually(what, holds, ms = 20_000) {
  const end = Date.now() + ms
  for (;;) {
    const found = await holds()
    if (found) return found
    if (Date.now() > end) throw new Error(`it does not come true: ${what}`)
    await new Promise((done) => setTimeout(done, 50))
  }
}

/** A gateway process on a copy of the demo. */
export async function gateway() {
  const root = mkdtempSync(join(tmpdir(), 'tidegate-ui-'))
  for (const folder of ['definitions', 'datasources', 'policies']) cpSync(join(ROOT, folder), join(root, folder), { recursive: true })
  writeFileSync(join(root, '.gitignore'), 'data/\n*.db*\n')
  const git = (...args) => execFileSync('git', ['-C', root, ...args], { encoding: 'utf8' }).trim()
  git('init', '-q', '-b', 'main')
  git('add', '-A')
  git('-c', 'user.name=demo', '-c', 'user.email=demo@localhost', 'commit', '-q', '-m', 'The demo')
  const [data, admin] = [await freePort(), await freePort()]
  const child = spawn(BINARY, ['serve', '--root', root, '--listen', `127.0.0.1:${data}`, '--admin-listen', `127.0.0.1:${admin}`])
  let log = ''
  child.stderr.on('data', (bytes) => (log += bytes))
  const stop = async () => {
    child.kill('SIGKILL')
    rmSync(root, { recursive: true, force: true })
  }
  try {
    const link = await eventually('the gateway invites the first admin', () => /link="?(http\S+token=[\w-]+)/.exec(log)?.[1], START_MS)
    return { root, git, link, data: `http://127.0.0.1:${data}`, admin: `http://127.0.0.1:${admin}`, log: () => log, stop }
  } catch (error) {
    await stop()
    throw new Error(`${error.message}\n${log}`)
  }
}

/** Chromium, and what goes wrong on its pages. */
export async function browser() {
  const launched = await chromium.launch({
    executablePath: CHROMIUM,
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync'],
  })
  const context = await launched.newContext({ viewport: { width: 1280, height: 800 }, locale: 'zh-CN', acceptDownloads: true })
  const page = await context.newPage()
  const wrong = []
  page.on('pageerror', (error) => wrong.push(String(error)))
  page.on('console', (message) => {
    // A refused request is written to the console too; the page shows it.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) wrong.push(message.text())
  })
  return { page, context, wrong, close: () => launched.close() }
}

export const PASSWORD = 'correct horse battery'

/** Finds a control by its test id, and opens a page of the appliance. */
export function hands(at, page) {
  const by = (id) => page.getByTestId(id)
  const go = async (path) => {
    // The same address with another hash would be the same page.
    await page.goto('about:blank')
    await page.goto(`${at.admin}/#${path}`)
    await by('nav-overview').or(by('login-username')).first().waitFor()
  }
  return { by, go }
}

/** Makes the first account by the link that the start printed, and is logged in with it. */
export async function becomeAdmin(at, page) {
  const { by } = hands(at, page)
  await page.goto(at.link)
  await by('setup-username').fill('chief')
  for (const field of await page.locator('input[type=password]').all()) await field.fill(PASSWORD)
  await by('setup-submit').click()
  await by('nav-overview').waitFor()
}

/** Asks the admin API as a page of it would. */
export const post = (at, path, body, headers = {}) =>
  fetch(`${at.admin}${path}`, { method: 'POST', headers: { 'content-type': 'application/json', origin: at.admin, ...headers }, body: JSON.stringify(body) })

/** What goes with the requests of the session that an answer has begun. */
export async function sessionOf(answer) {
  const cookie = answer.headers.get('set-cookie').split(';')[0]
  return { cookie, 'x-csrf-token': (await answer.json()).data.csrf_token }
}

/** Keeps a picture of the page for people to look at. */
export async function shoot(page, name) {
  mkdirSync(SHOTS, { recursive: true })
  // Dialogs take a moment to stand still.
  await page.waitForTimeout(400)
  await page.screenshot({ path: join(SHOTS, `${name}.png`) })
}
