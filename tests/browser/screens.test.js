// Every screen, at a laptop's and a phone's size, light and dark: each comes up without an error and without anything sticking out of
// the page. The pictures are in tests/output/screens/, for eyes.

import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { outputFolder } from './harness/browser.js'
import { theatre } from './harness/play.js'
import { startProxy } from './harness/proxy.js'

// A long walk with four people.
const play = theatre({ limitMs: 300_000 })
const folder = `${outputFolder}screens/`
mkdirSync(folder, { recursive: true })
const BROKEN_SOCKET = [/WebSocket connection to .* failed/, /net::ERR_/]
const VIEWPORTS = { laptop: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } }

for (const [device, viewport] of Object.entries(VIEWPORTS)) {
  play(`every screen on a ${device}, light and dark`, async ({ enter, edge, room, onEnd }) => {
    const proxy = await startProxy(edge.port)
    onEnd(() => proxy.close())
    const link = `${proxy.origin}/#${room}`
    const ada = await enter('Ada Lovelace', { context: { viewport }, tolerate: BROKEN_SOCKET })
    /** @param {string} screen */
    const shoot = async (screen) => {
      // Toasts and tooltips come and go; the pictures show what stays.
      await ada.page.mouse.move(0, 0)
      if (screen !== 'lobby') await ada.page.evaluate(() => document.activeElement?.blur())
      for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
        await ada.page.emulateMedia({ colorScheme })
        await ada.page.screenshot({ path: `${folder}${screen}-${device}-${colorScheme}.png` })
      }
      const sticksOut = await ada.page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
      assert.ok(sticksOut <= 0, `${screen}: the page is ${sticksOut} px wider than the window`)
    }
    await ada.open(link)
    await ada.page.locator('.preview-picture video').waitFor()
    await shoot('lobby')
    await ada.get('name').fill(ada.name)
    await ada.get('join').click()
    await ada.state('connected')
    await ada.picture(ada.name).waitFor()
    await shoot('call-1')
    const bob = await enter('Bob')
    await bob.join(edge.linkTo(room))
    await ada.seesMoving(ada.picture('Bob'), 5)
    await shoot('call-2')
    const cleo = await enter('Cleopatra VII Philopator')
    await cleo.join(edge.linkTo(room), { audioOnly: true })
    const dan = await enter('Dan')
    await dan.join(edge.linkTo(room))
    await dan.get('control-microphone').click()
    await ada.seesMoving(ada.picture('Dan'), 5)
    await ada.page.locator('[data-testid=tile][data-name=Dan][data-muted=true]').waitFor()
    await ada.sees(4)
    await shoot('call-4')

    await bob.get('control-hand').click()
    await ada.tile('Bob').getByTestId('tile-hand').waitFor()
    // A phone's bar has no room for it; the header has, everywhere.
    await ada.get('header-participants').click()
    await ada.get('participant-row').nth(3).waitFor()
    await shoot('participants')
    await ada.get('panel-close').click()
    await bob.says('Good morning! The agenda is at https://example.org/agenda')
    await ada.says('Thank you. Shall we start?')
    await ada.get('chat-message').nth(1).waitFor()
    await bob.says('One moment, Cleo is only listening today and I would like to say a few words about why before we begin.')
    await ada.get('chat-message').nth(2).waitFor()
    await shoot('chat')
    await ada.get('panel-close').click()
    await bob.get('control-share').click()
    await ada.seesMoving(ada.get('stage-video'), 3)
    await shoot('stage')
    await bob.get('control-share').click()
    await ada.get('stage').waitFor({ state: 'hidden' })
    await ada.get('control-share').click()
    await ada.seesMoving(ada.get('share-preview'), 3)
    await shoot('own-share')
    await ada.get('share-stop').click()
    await ada.tile('Bob').dblclick({ position: { x: 40, y: 40 } })
    await ada.get('stage').waitFor()
    await shoot('pinned')
    await ada.get('stage').getByTestId('tile-pin').click()
    await ada.get('control-more').click()
    await ada.page.locator('dialog[open]').waitFor()
    await shoot('more')
    await ada.get('open-statistics').click()
    await ada.page.locator('.reading-people table').nth(1).waitFor()
    await shoot('statistics')
    await ada.get('panel-close').click()
    await ada.page.keyboard.press('?')
    await ada.get('help-dialog').waitFor()
    await shoot('keyboard')
    await ada.page.keyboard.press('Escape')
    await ada.page.locator('dialog[open]').waitFor({ state: 'detached' })

    proxy.cut()
    await ada.page.getByText('Connection lost. Reconnecting…').waitFor()
    await shoot('reconnecting')
    proxy.restore()
    await ada.state('connected')
    await ada.get('control-leave').click()
    await ada.page.locator('[data-screen=left]').waitFor()
    await shoot('left')
    proxy.cut()
    await ada.get('rejoin').click()
    await ada.page.locator('[data-screen=failed]').waitFor()
    await shoot('failed')
  })
}
