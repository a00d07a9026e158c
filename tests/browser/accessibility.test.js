// Barriers: axe finds none on any screen, panel or dialog, light or dark, on a laptop or a phone; and a whole call needs no mouse.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { theatre } from './harness/play.js'
import { startProxy } from './harness/proxy.js'

const play = theatre({ limitMs: 300_000 })
const axeSource = readFileSync(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8')
const BROKEN_SOCKET = [/WebSocket connection to .* failed/, /net::ERR_/]
const SIZES = [{ width: 1280, height: 800 }, { width: 390, height: 844 }]
// axe is not part of the page; a policy that keeps foreign scripts out must not keep it out. What moves is looked at once it rests.
const context = { bypassCSP: true, reducedMotion: /** @type {const} */ ('reduce') }

/**
 * Looks at the page as it is, in both colours and sizes.
 * @param {import('./harness/browser.js').Person} one @param {string} screen @param {(text: string) => void} note
 */
async function check(one, screen, note) {
  const { page } = one
  if (!(await page.evaluate(() => 'axe' in globalThis))) await page.addScriptTag({ content: axeSource })
  const found = []
  let rules = 0
  for (const size of SIZES) {
    await page.setViewportSize(size)
    for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
      const result = await page.evaluate(async () => {
        // Two frames: the new size has been laid out.
        await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))
        const { violations, passes } = await globalThis.axe.run(document, { rules: { 'target-size': { enabled: true } }, resultTypes: ['violations'] })
        return {
          rules: passes.length + violations.length,
          violations: violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, any }) => `${html.slice(0, 160)} ${any[0]?.message ?? ''}`).join(' | ')}`),
          sticksOut: document.documentElement.scrollWidth - innerWidth,
        }
      })
      rules = Math.max(rules, result.rules)
      if (result.sticksOut > 0) found.push(`${size.width} px: the page is ${result.sticksOut} px wider than the window`)
      for (const violation of result.violations) found.push(`${size.width} px, ${colorScheme}: ${violation}`)
    }
  }
  await page.setViewportSize(SIZES[0])
  assert.ok(rules >= 15, `only ${rules} rules had anything to look at`)
  assert.deepEqual(found, [], screen)
  note(`${screen}: ${rules} rules, no violation`)
}

play('the lobby, however camera and microphone stand', async ({ enter, link, note }) => {
  const ada = await enter('Ada', { context })
  await ada.open(link)
  await ada.page.locator('.preview-picture video').waitFor()
  await check(ada, 'lobby', note)
  await ada.get('join').click()
  await ada.page.getByText('Please enter your name').waitFor()
  await check(ada, 'lobby without a name', note)

  const bob = await enter('Bob', { context, init: () => {
    navigator.permissions.query = async () => Object.assign(new EventTarget(), { state: 'prompt' })
  } })
  await bob.open(link)
  await bob.get('permission-ask').waitFor()
  await check(bob, 'lobby before the browser was asked', note)

  const cleo = await enter('Cleo', { context, init: () => {
    navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('no', 'NotAllowedError'))
  } })
  await cleo.open(link)
  await cleo.get('camera-problem').getByText('Access to the camera was refused.').waitFor()
  await cleo.get('microphone-problem').waitFor()
  await check(cleo, 'lobby with both refused', note)
})

play('screens without a call', async ({ enter, edge, link, note }) => {
  const ada = await enter('Ada', { context, init: () => Reflect.deleteProperty(globalThis, 'VideoEncoder') })
  await ada.page.goto(link)
  await ada.page.locator('[data-screen=unsupported]').waitFor()
  await check(ada, 'unsupported', note)
  const bob = await enter('Bob', { context })
  await bob.page.goto(`${edge.origin}/#no such room`)
  await bob.page.locator('[data-screen=failed]').waitFor()
  await check(bob, 'bad link', note)
})

play('a call with all its panels and dialogs', async ({ enter, edge, room, onEnd, note }) => {
  const proxy = await startProxy(edge.port)
  onEnd(() => proxy.close())
  const ada = await enter('Ada Lovelace', { context, tolerate: BROKEN_SOCKET, init: () => {
    // The clipboard refuses, so that the link is shown.
    navigator.clipboard.writeText = () => Promise.reject(new Error('refused'))
  } })
  await ada.join(`${proxy.origin}/#${room}`)
  await ada.picture(ada.name).waitFor()
  await check(ada, 'alone', note)

  const bob = await enter('Bob')
  await bob.join(edge.linkTo(room))
  await bob.get('control-microphone').click()
  await ada.get('control-hand').click()
  await ada.tile(ada.name).getByTestId('tile-hand').waitFor()
  await ada.seesMoving(ada.picture('Bob'), 3)
  await check(ada, 'two people, one with a raised hand', note)

  await ada.get('header-participants').click()
  await ada.get('row-hand').first().waitFor()
  await check(ada, 'participants', note)
  await ada.get('panel-close').click()

  await ada.openPanel('chat')
  await check(ada, 'chat without a message', note)
  await ada.get('chat-input').evaluate(async (field) => {
    const canvas = new OffscreenCanvas(120, 80)
    canvas.getContext('2d').fillRect(0, 0, 120, 80)
    const clipboardData = new DataTransfer()
    clipboardData.items.add(new File([await canvas.convertToBlob({ type: 'image/png' })], 'black.png', { type: 'image/png' }))
    field.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }))
  })
  await ada.says('See https://example.org/agenda')
  await bob.says('Thank you')
  await ada.get('chat-image').waitFor()
  await ada.get('chat-message').nth(2).waitFor()
  await check(ada, 'chat with an image', note)
  await ada.page.getByRole('button', { name: /^Enlarge/ }).click()
  await check(ada, 'an image enlarged', note)
  await ada.page.keyboard.press('Escape')
  await ada.get('panel-close').click()

  await bob.get('control-share').click()
  await ada.seesMoving(ada.get('stage-video'), 2)
  await check(ada, 'stage with a share', note)
  await ada.get('control-share').click()
  await ada.get('share-tile').waitFor()
  await check(ada, 'both share', note)
  await ada.get('share-stop').click()
  await bob.get('control-share').click()
  await ada.get('stage').waitFor({ state: 'hidden' })
  await ada.tile('Bob').focus()
  await ada.page.keyboard.press('Enter')
  await ada.get('stage').waitFor()
  await check(ada, 'stage with a pinned person', note)
  await ada.page.keyboard.press('Enter')

  await ada.get('control-more').click()
  await ada.page.locator('dialog[open]').waitFor()
  await check(ada, 'more', note)
  await ada.get('open-statistics').click()
  await ada.page.getByText('All counters').click()
  await ada.page.locator('.reading-people table').nth(1).waitFor()
  await check(ada, 'statistics', note)
  await ada.get('panel-close').click()
  await ada.page.keyboard.press('?')
  await ada.get('help-dialog').waitFor()
  await check(ada, 'keyboard help', note)
  await ada.page.keyboard.press('Escape')
  await ada.get('invite').click()
  await ada.get('invite-dialog').waitFor()
  await check(ada, 'invite', note)
  await ada.page.keyboard.press('Escape')

  // Faults as the SDK reports them, all at once.
  await ada.page.evaluate(() => {
    const tell = (/** @type {string} */ name, /** @type {object} */ detail) => globalThis.pulseRoom.dispatchEvent(new CustomEvent(name, { detail }))
    const error = Object.assign(new Error('gone'), { name: 'device_unplugged' })
    tell('deviceFailed', { source: 'camera', error })
    tell('deviceFailed', { source: 'microphone', error })
    tell('qualityLimitationChanged', { reason: 'bandwidth', steps: ['layers'] })
  })
  assert.equal(await ada.get('fault').count(), 3)
  await check(ada, 'everything that can fail has failed', note)

  proxy.cut()
  await ada.page.getByText('Connection lost. Reconnecting…').waitFor()
  await check(ada, 'reconnecting', note)
  await bob.page.locator('[data-testid=tile][data-away=true]').waitFor()
  proxy.restore()
  await ada.state('connected')
  await ada.get('control-leave').click()
  await ada.page.locator('[data-screen=left]').waitFor()
  await check(ada, 'left', note)
  proxy.cut()
  await ada.get('rejoin').click()
  await ada.page.locator('[data-screen=failed]').waitFor()
  await check(ada, 'failed', note)
})

play('a call without a mouse', async ({ enter, link }) => {
  const bob = await enter('Bob')
  await bob.join(link)
  const ada = await enter('Ada')
  const { page } = ada
  const { keyboard } = page
  const focused = () => page.evaluate(() => document.activeElement?.getAttribute('data-testid') ?? document.activeElement?.tagName ?? '')
  /** Presses Tab until the focus is there. @param {string} testid @param {string} [key] */
  async function tabTo(testid, key = 'Tab') {
    for (let presses = 0; presses < 40; presses++) {
      if ((await focused()) === testid) return
      await keyboard.press(key)
    }
    assert.fail(`${testid} was not reached; the focus is on ${await focused()}`)
  }
  await ada.open(link)
  assert.equal(await focused(), 'name')
  await keyboard.type('Ada')
  await keyboard.press('Enter')
  await ada.state('connected')
  await ada.tile('Bob').waitFor()
  await ada.get('control-microphone').and(page.locator('[data-on=true]')).waitFor()

  await keyboard.press('m')
  await bob.page.locator('[data-testid=tile][data-name=Ada][data-muted=true]').waitFor()
  await page.locator('#announcer').getByText('Your microphone is off').waitFor()
  // Held down, the space bar talks; let go, it is silent again.
  await keyboard.down(' ')
  await bob.page.locator('[data-testid=tile][data-name=Ada][data-muted=false]').waitFor()
  await keyboard.up(' ')
  await bob.page.locator('[data-testid=tile][data-name=Ada][data-muted=true]').waitFor()

  await keyboard.press('h')
  await bob.tile('Ada').getByTestId('tile-hand').waitFor()
  await keyboard.press('h')
  await bob.tile('Ada').getByTestId('tile-hand').waitFor({ state: 'hidden' })

  await keyboard.press('c')
  assert.equal(await focused(), 'chat-input')
  // What are shortcuts elsewhere are letters here.
  await keyboard.type('m v s h c p ? are letters')
  await keyboard.press('Enter')
  await bob.openPanel('chat')
  await bob.get('chat-message').getByText('m v s h c p ? are letters').waitFor()
  assert.equal(await ada.get('control-camera').getAttribute('data-on'), 'true')
  await keyboard.press('Escape')
  assert.equal(await focused(), 'control-chat', 'the focus comes back to what opened the panel')

  // The tiles are one stop; arrows lead from one to the next, Enter pins.
  await tabTo('tile', 'Shift+Tab')
  await keyboard.press('Home')
  const name = () => page.evaluate(() => document.activeElement?.getAttribute('data-name'))
  assert.equal(await name(), 'Bob')
  await keyboard.press('ArrowRight')
  assert.equal(await name(), 'Ada')
  await keyboard.press('ArrowLeft')
  await keyboard.press('Enter')
  await ada.get('stage').waitFor()
  assert.equal(await ada.tile('Bob').getAttribute('data-pinned'), 'true')
  assert.equal(await name(), 'Bob', 'the focus goes along to the stage')
  await keyboard.press('Enter')
  await ada.get('stage').waitFor({ state: 'hidden' })

  // A dialog keeps the focus and gives it back.
  await tabTo('control-more')
  await keyboard.press('Enter')
  await page.locator('dialog[open]').waitFor()
  for (let presses = 0; presses < 30; presses++) {
    await keyboard.press('Tab')
    // Between its last and its first control the browser's own bar has the focus.
    assert.ok(await page.evaluate(() => document.activeElement === document.body || document.activeElement?.closest('dialog') !== null), 'the focus left the dialog')
  }
  await keyboard.press('Escape')
  assert.equal(await focused(), 'control-more')
  await tabTo('control-leave')
  assert.notEqual(await ada.get('control-leave').evaluate((button) => getComputedStyle(button).outlineStyle), 'none', 'the focus can be seen')
  await keyboard.press('Enter')
  await page.locator('[data-screen=left]').waitFor()
  assert.equal(await focused(), 'rejoin')
})
