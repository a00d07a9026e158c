// The interface in a running call: layout and pins, hands that others see, what is received, devices, statistics, faults from their
// beginning to their end, the lobby's permissions, large type.

import assert from 'node:assert/strict'
import { theatre } from './harness/play.js'

const play = theatre()

/** Lets the page believe that the SDK said this. @param {import('./harness/browser.js').Person} one @param {string} name @param {object} detail */
const tell = (one, name, detail) =>
  one.page.evaluate(([name, detail]) => {
    const { error, ...rest } = detail
    globalThis.pulseRoom.dispatchEvent(new CustomEvent(name, { detail: error ? { ...rest, error: Object.assign(new Error(error), { name: error }) } : rest }))
  }, /** @type {const} */ ([name, detail]))

play('a pinned person has the stage, moving, until let go', async ({ enter, link }) => {
  // Tiles stand where they belong at once: what is pressed twice does not move in between.
  const ada = await enter('Ada', { context: { reducedMotion: 'reduce' } })
  const bob = await enter('Bob')
  const cleo = await enter('Cleo')
  for (const one of [ada, bob, cleo]) await one.join(link, { audioOnly: one === cleo })
  await ada.seesMoving(ada.picture('Bob'), 3)
  const before = await ada.tile('Bob').boundingBox()
  await ada.tile('Bob').hover()
  await ada.tile('Bob').getByTestId('tile-pin').click()
  await ada.get('stage').waitFor()
  await ada.seesMoving(ada.picture('Bob'), 5)
  const after = await ada.tile('Bob').boundingBox()
  const other = await ada.tile('Cleo').boundingBox()
  assert.ok(after.width * after.height > 1.2 * before.width * before.height, `the pinned tile went from ${before.width} to ${after.width}`)
  assert.ok(after.width > 2 * other.width, 'it is by far the largest')
  assert.equal(await bob.get('stage').isVisible(), false, 'a pin is this person’s own')
  await ada.tile('Cleo').hover()
  await ada.tile('Cleo').getByTestId('tile-pin').click()
  await ada.page.locator('[data-testid=stage] [data-testid=tile][data-name=Cleo]').waitFor()
  await ada.get('stage').getByTestId('tile-pin').click()
  await ada.get('stage').waitFor({ state: 'hidden' })
  await ada.seesMoving(ada.picture('Bob'), 3)
  // Whoever is pinned and leaves gives the stage back.
  await ada.tile('Cleo').dblclick({ position: { x: 20, y: 20 } })
  await ada.get('stage').waitFor()
  await cleo.get('control-leave').click()
  await ada.get('stage').waitFor({ state: 'hidden' })
})

play('the speaker view shows whoever has the word; own shares are a tile', async ({ enter, link }) => {
  const ada = await enter('Ada')
  const bob = await enter('Bob')
  await ada.join(link)
  await bob.join(link)
  await ada.get('control-more').click()
  await ada.get('view-speaker').check()
  await ada.page.keyboard.press('Escape')
  await ada.page.locator('[data-testid=stage] [data-testid=tile][data-name=Bob]').waitFor()
  await ada.get('control-share').click()
  await ada.seesMoving(ada.get('share-preview'), 3)
  await ada.get('share-stop').click()
  await ada.get('share-tile').waitFor({ state: 'detached' })
  // What was chosen is remembered for the next call.
  await ada.get('control-leave').click()
  await ada.page.reload()
  await ada.get('join').click()
  await ada.page.locator('[data-testid=stage] [data-testid=tile][data-name=Bob]').waitFor()
  assert.equal(await ada.tile('Ada').count(), 1)
})

play('hands are seen by others in the order they went up', async ({ enter, link }) => {
  const ada = await enter('Ada')
  const bob = await enter('Bob')
  const cleo = await enter('Cleo')
  for (const one of [ada, bob, cleo]) await one.join(link, { audioOnly: true })
  await cleo.sees(3)
  await bob.get('control-hand').click()
  await cleo.tile('Bob').getByTestId('tile-hand').waitFor()
  await cleo.page.locator('#announcer').getByText('Bob raised a hand').waitFor()
  await ada.get('control-hand').click()
  await cleo.tile('Ada').getByTestId('tile-hand').getByText('2').waitFor()
  assert.equal(await cleo.tile('Bob').getByTestId('tile-hand').textContent(), '1')
  await cleo.openPanel('participants')
  assert.deepEqual(await cleo.get('participant-row').locator('.person-name').allTextContents(), ['Bob', 'Ada', 'Cleo (you)'])
  await cleo.page.getByRole('button', { name: 'Participants (P), 2 hands raised' }).waitFor()
  await bob.get('control-hand').click()
  await cleo.tile('Ada').getByTestId('tile-hand').getByText('1').waitFor()
  await cleo.tile('Bob').getByTestId('tile-hand').waitFor({ state: 'hidden' })
})

play('what is received can be chosen', async ({ enter, link }) => {
  const ada = await enter('Ada')
  const bob = await enter('Bob')
  await ada.join(link)
  await bob.join(link)
  await ada.seesMoving(ada.picture('Bob'), 10)
  const received = () => ada.page.evaluate(() => globalThis.pulseProbe.freshStatistics().then((all) => all.received.tracks.find(({ source }) => source === 'camera')?.fps ?? 0))
  await ada.get('control-more').click()
  await ada.get('receive-low').check()
  await ada.page.keyboard.press('Escape')
  assert.equal(await ada.page.evaluate(() => globalThis.pulseRoom.receiveQuality), 'low')
  // The base layer of L1T3 has a quarter of the pictures.
  let fps = Infinity
  for (let tries = 0; tries < 20 && fps > 16; tries++) fps = await received()
  assert.ok(fps <= 16, `${fps} pictures a second still arrive`)
  await ada.seesMoving(ada.picture('Bob'), 3)
  await ada.get('control-more').click()
  await ada.get('receive-audioOnly').check()
  await ada.page.keyboard.press('Escape')
  await ada.page.getByText('Audio only: no video is received.').waitFor()
  await ada.picture('Bob').waitFor({ state: 'detached' })
  await bob.picture('Ada').waitFor({ state: 'detached' })
  await ada.get('show-video').click()
  await ada.seesMoving(ada.picture('Bob'), 3)
  assert.equal(await ada.page.evaluate(() => globalThis.pulseRoom.receiveQuality), 'low', 'back to what was chosen before')
})

play('statistics are readable, and copied whole', async ({ enter, link }) => {
  const ada = await enter('Ada', { context: { permissions: ['clipboard-read', 'clipboard-write', 'camera', 'microphone'] } })
  const bob = await enter('Bob')
  await ada.join(link)
  await bob.join(link)
  await ada.seesMoving(ada.picture('Bob'), 10)
  await ada.get('control-more').click()
  await ada.get('open-statistics').click()
  const table = ada.get('reading-people').locator('table', { hasText: 'Bob' })
  await table.getByText(/640.×.360/).waitFor()
  await table.getByText(/\d+.fps · VP8/).waitFor()
  await table.getByText(/buffer.\d+.ms/).waitFor()
  await ada.get('reading-rtt').getByText(/^\d+.ms$/).waitFor()
  await ada.get('reading-down').getByText(/^[\d.]+.[kM]bit\/s$/).waitFor()
  await ada.get('quality-label').getByText(/Excellent|Good|Poor/).waitFor()
  await ada.get('reading-mos').getByText(/^[1-5]\.\d$/).waitFor()
  await ada.get('statistics-copy').click()
  await ada.page.getByText('Statistics copied.').waitFor()
  const copied = JSON.parse(await ada.page.evaluate(() => navigator.clipboard.readText()))
  assert.equal(copied.state, 'connected')
  assert.ok(copied.received.tracks.length >= 2)
})

play('a press counts while the device still opens', async ({ enter, link }) => {
  const ada = await enter('Ada', {
    init: () => {
      const devices = navigator.mediaDevices
      const open = devices.getUserMedia.bind(devices)
      devices.getUserMedia = async (constraints) => {
        await globalThis.held
        return open(constraints)
      }
    },
  })
  const microphone = (/** @type {string} */ how) => ada.get('control-microphone').and(ada.page.locator(how)).waitFor()
  await ada.open(link)
  await ada.get('name').fill('Ada')
  await ada.page.evaluate(() => void (globalThis.held = new Promise((resolve) => (globalThis.release = resolve))))
  await ada.get('join').click()
  await microphone('[data-on=true][aria-busy=true]')
  await ada.get('control-microphone').click()
  await microphone('[data-on=false][aria-busy=true]')
  await ada.page.evaluate(() => globalThis.release())
  await microphone('[data-on=false]:not([aria-busy])')
  assert.equal(await ada.page.evaluate(() => globalThis.pulseRoom.localParticipant.tracks.get('microphone')?.muted), true)
  const bob = await enter('Bob')
  await bob.join(link)
  await bob.page.locator('[data-testid=tile][data-name=Ada][data-muted=true]').waitFor()
})

play('each fault is one line with a way out, and gone when it is over', async ({ enter, link }) => {
  const ada = await enter('Ada')
  await ada.join(link)
  await ada.get('control-microphone').and(ada.page.locator('[data-on=true]')).waitFor()
  // A busy machine has a true one of its own: that is looked at apart.
  const lines = async () => (await ada.get('fault').evaluateAll((all) => all.map((line) => line.dataset.fault))).filter((id) => id !== 'limit')
  await tell(ada, 'deviceFailed', { source: 'microphone', error: 'device_unplugged' })
  await tell(ada, 'deviceFailed', { source: 'microphone', error: 'device_ended' })
  await tell(ada, 'microphoneSilent', { silent: true })
  assert.deepEqual(await lines(), ['device-microphone'])
  await ada.get('fault-action').getByText('Choose another microphone').click()
  await ada.get('settings-dialog').waitFor()
  await ada.page.waitForFunction(() => document.activeElement?.getAttribute('data-testid') === 'microphone-select')
  await ada.page.keyboard.press('Escape')
  await tell(ada, 'deviceRecovered', { source: 'microphone', deviceId: 'x', label: 'Other' })
  assert.deepEqual(await lines(), ['silent'])
  await tell(ada, 'microphoneSilent', { silent: false })
  assert.deepEqual(await lines(), [])
  await tell(ada, 'qualityLimitationChanged', { reason: 'cpu', steps: ['framerate'] })
  await ada.get('fault-action').getByText('Receive less video').click()
  assert.equal(await ada.page.evaluate(() => globalThis.pulseRoom.receiveQuality), 'low')
  const left = await ada.page.evaluate(() => {
    globalThis.pulseRoom.dispatchEvent(new CustomEvent('qualityLimitationChanged', { detail: { reason: 'none', steps: [] } }))
    return document.querySelectorAll('[data-fault=limit]').length
  })
  assert.equal(left, 0)
})

play('a camera that is refused in the call is said once, and trying again works', async ({ enter, link }) => {
  const ada = await enter('Ada', { init: () => {
    const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices)
    navigator.mediaDevices.getUserMedia = (wanted) => (globalThis.refuse && wanted.video ? Promise.reject(new DOMException('no', 'NotAllowedError')) : real(wanted))
  } })
  await ada.join(link)
  await ada.picture('Ada').waitFor()
  await ada.get('control-camera').click()
  await ada.picture('Ada').waitFor({ state: 'detached' })
  await ada.page.evaluate(() => (globalThis.refuse = true))
  await ada.get('control-camera').click()
  await ada.page.getByText('Access to the camera was refused.').waitFor()
  const fault = ada.page.locator('[data-fault=device-camera]')
  assert.equal(await fault.count(), 1)
  assert.equal(await ada.get('toast').count(), 0)
  await ada.page.evaluate(() => (globalThis.refuse = false))
  await fault.getByTestId('fault-action').click()
  await ada.picture('Ada').waitFor()
  await fault.waitFor({ state: 'detached' })
})

play('not asked yet and refused are different in the lobby', async ({ enter, link }) => {
  const ada = await enter('Ada', { init: () => {
    globalThis.asked = 0
    const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices)
    navigator.mediaDevices.getUserMedia = (wanted) => {
      globalThis.asked++
      return globalThis.refuse ? Promise.reject(new DOMException('no', 'NotAllowedError')) : real(wanted)
    }
    navigator.permissions.query = async () => Object.assign(new EventTarget(), { state: 'prompt' })
  } })
  await ada.open(link)
  await ada.get('permission-ask').waitFor()
  assert.equal(await ada.page.evaluate(() => globalThis.asked), 0, 'the browser is not made to ask before somebody wants it')
  await ada.page.evaluate(() => (globalThis.refuse = true))
  await ada.get('allow-devices').click()
  await ada.get('camera-problem').getByText('The question for the camera was closed.').waitFor()
  await ada.get('microphone-problem').waitFor()
  assert.equal(await ada.get('permission-ask').isVisible(), false)
  await ada.page.evaluate(() => (globalThis.refuse = false))
  await ada.get('camera-retry').click()
  await ada.page.locator('.preview-picture video').waitFor()
  await ada.get('camera-problem').waitFor({ state: 'detached' })
  await ada.get('speaker-test').click()
  await ada.get('speaker-test').getByText('Playing…').waitFor()
  await ada.get('speaker-test').getByText('Test').waitFor()
  // The name is remembered, and the enter key joins.
  await ada.get('name').fill('Ada')
  await ada.get('name').press('Enter')
  await ada.state('connected')
  await ada.get('control-leave').click()
  await ada.page.reload()
  await ada.page.locator('[data-screen=lobby]').waitFor()
  assert.equal(await ada.get('name').inputValue(), 'Ada')
})

play('dark and light can be chosen against the system', async ({ enter, link }) => {
  const ada = await enter('Ada', { context: { colorScheme: 'light', reducedMotion: 'reduce' } })
  await ada.join(link)
  const back = () => ada.page.evaluate(() => getComputedStyle(document.body).backgroundColor)
  const light = await back()
  await ada.get('control-more').click()
  await ada.get('theme-dark').check()
  const dark = await back()
  assert.notEqual(dark, light)
  await ada.page.emulateMedia({ colorScheme: 'dark' })
  await ada.get('theme-light').check()
  assert.equal(await back(), light)
  await ada.get('theme-system').check()
  assert.equal(await back(), dark)
})

play('type twice as large, and the narrowest phone: everything stays within reach', async ({ enter, link }) => {
  const ada = await enter('Ada', { context: { viewport: { width: 320, height: 640 }, hasTouch: true, isMobile: true } })
  const bob = await enter('Bob', { context: { viewport: { width: 1280, height: 800 } } })
  await bob.join(link)
  await ada.join(link)
  await ada.tile('Bob').waitFor()
  /** @param {import('./harness/browser.js').Person} one @param {string} when */
  const within = async (one, when) => {
    const found = await one.page.evaluate(() => ({
      sticksOut: document.documentElement.scrollWidth - innerWidth,
      controls: [...document.querySelectorAll('.controls button, .call-header button')].map((button) => [button.getAttribute('data-testid'), button.getBoundingClientRect()])
        .filter(([, box]) => box.width > 0).map(([name, { left, top, right, bottom, width, height }]) => ({ name, outside: left < 0 || top < 0 || right > innerWidth + 0.5 || bottom > innerHeight + 0.5, least: Math.min(width, height) })),
    }))
    assert.ok(found.sticksOut <= 0, `${when}: the page is ${found.sticksOut} px too wide`)
    assert.deepEqual(found.controls.filter(({ outside }) => outside), [], when)
    return found.controls
  }
  for (const { name, least } of await within(ada, '320 px')) assert.ok(least >= 43.9, `${name} is ${least} px small`)
  assert.equal(await ada.get('control-share').isVisible(), false)
  await ada.get('control-more').click()
  await ada.get('open-participants').click()
  await ada.get('participant-row').nth(1).waitFor()
  await ada.get('panel-close').click()
  for (const one of [ada, bob]) {
    await one.page.evaluate(() => document.documentElement.style.setProperty('font-size', '200%', 'important'))
    await within(one, `${one.name}, type twice as large`)
  }
})

play('fifty people stand on pages, and whoever speaks comes to the first', async ({ enter, link }) => {
  const ada = await enter('Ada')
  await ada.join(link)
  // People as the SDK would list them; that many real ones would be a test of the machine.
  await ada.page.evaluate(() => {
    const room = globalThis.pulseRoom
    for (let index = 0; index < 49; index++) {
      const participant = { id: `p${index}`, name: `Guest ${index}`, protocol: 'v2', isLocal: false, away: false, isSpeaking: false, audioLevel: 0, tracks: new Map(), microphoneMuted: false, cameraTrack: undefined, screenTrack: undefined, handRaised: false, handRaisedAt: null, connectionQuality: 'excellent' }
      room.participants.set(participant.id, participant)
      room.dispatchEvent(new CustomEvent('participantJoined', { detail: { participant } }))
    }
  })
  await ada.sees(50)
  const shown = () => ada.page.locator('[data-testid=tile]:visible').count()
  await ada.get('page-text').getByText(/^Page 1 of [234]$/).waitFor()
  const first = await shown()
  assert.ok(first >= 12 && first <= 30, `${first} tiles on a page`)
  assert.equal(await ada.tile('Ada').isVisible(), true)
  assert.equal(await ada.tile('Guest 48').isVisible(), false)
  await ada.page.evaluate(() => {
    const room = globalThis.pulseRoom
    const speaker = room.participants.get('p48')
    speaker.isSpeaking = true
    room.dispatchEvent(new CustomEvent('activeSpeakersChanged', { detail: { participants: [speaker] } }))
  })
  await ada.tile('Guest 48').waitFor()
  assert.equal(await ada.tile('Guest 48').getAttribute('data-speaking'), 'true')
  await ada.get('page-next').click()
  await ada.get('page-text').getByText(/^Page 2/).waitFor()
  assert.equal(await ada.tile('Guest 48').isVisible(), false)
  await ada.get('page-previous').click()
  await ada.tile('Guest 48').waitFor()
  assert.equal(await shown(), first)
  await ada.screenshot('fifty')
})

play('the camera can be asked for more, and gives it from then on', async ({ enter, link }) => {
  // Alone: a second page of this browser would hold the one camera at its size.
  const ada = await enter('Ada')
  await ada.join(link)
  await ada.picture('Ada').waitFor()
  await ada.get('control-more').click()
  await ada.get('camera-quality-high').check()
  await ada.page.keyboard.press('Escape')
  const wide = (/** @type {string} */ selector) => ada.page.waitForFunction((selector) => document.querySelector(selector)?.videoWidth === 1280, selector)
  await wide('[data-testid=tile][data-name=Ada] video')
  await ada.page.waitForFunction(() => globalThis.pulseRoom.statistics().sent?.tracks.some(({ config }) => config?.codedWidth >= 640))
  await ada.page.reload()
  await wide('.preview-picture video')
})
