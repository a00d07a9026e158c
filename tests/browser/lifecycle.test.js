// What browsers do to pages: hide, freeze and leave them, change their network; and that a call leaves nothing behind.

import assert from 'node:assert/strict'
import { FAKE_MICROPHONE_HZ } from './harness/browser.js'
import { installLedger } from './harness/ledger.js'
import { theatre } from './harness/play.js'
import { startProxy } from './harness/proxy.js'

const play = theatre()
const BROKEN_SOCKET = [/WebSocket connection to .* failed/, /net::ERR_/]
// The bare page has no icon.
const NO_ICON = /Failed to load resource.*404/

/** @param {import('./harness/browser.js').Person} one @param {(argument: any) => unknown} holds */
const until = (one, holds, argument) => one.page.waitForFunction(holds, argument, { polling: 50 })
const trackOfAda = (one, source, property, value) => until(one, ({ source, property, value }) => {
  const [ada] = [...globalThis.pulseRoom.participants.values()]
  return ada?.tracks.get(source)?.[property] === value
}, { source, property, value })

/** The SDK alone, without the app, which has devices and listeners of its own. */
const bare = (one, edge) => one.page.goto(`${edge.origin}/example.html`)

play('three calls leave nothing behind: no track, worker, socket, context, listener or timer', async ({ enter, edge, room, link, note }) => {
  const bob = await enter('Bob')
  await bob.join(link)
  const ada = await enter('Ada', { init: installLedger, tolerate: [NO_ICON] })
  await bare(ada, edge)
  const held = await ada.page.evaluate(async ({ room }) => {
    const { Room } = await import('/sdk/pulse.js')
    globalThis.ledger.counting = true
    const inCall = []
    for (let turn = 0; turn < 3; turn++) {
      const call = new Room()
      const sees = new Promise((resolve) => call.addEventListener('trackPublished', ({ detail: { track } }) => {
        if (track.kind !== 'video') return
        document.body.append(track.attach())
        track.addEventListener('firstFrame', resolve)
      }))
      await call.connect({ room, name: 'Ada' })
      await call.localParticipant.setMicrophoneEnabled(true)
      await call.localParticipant.setCameraEnabled(true)
      await call.localParticipant.setScreenShareEnabled(true)
      document.body.append(call.localParticipant.cameraTrack.attach())
      await call.switchDevice('microphone', call.devices.microphones.at(-1).deviceId)
      await sees
      inCall.push(globalThis.ledger.read())
      await call.disconnect()
      // The worker gets a moment to say goodbye; the next call is counted without it.
      const until = performance.now() + 5000
      while (Object.keys(globalThis.ledger.read()).length > 0 && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 50))
    }
    return { inCall, after: globalThis.ledger.read(), elements: document.querySelectorAll('canvas, video').length }
  }, { room })
  note(`in a call: ${JSON.stringify(held.inCall[0])}`)
  for (const kind of ['Worker', 'AudioContext', 'MediaStreamTrack', 'mediaDevices/devicechange', 'document/visibilitychange', 'track/ended']) {
    assert.ok(held.inCall.every((counts) => counts[kind] > 0), `${kind} is counted: ${JSON.stringify(held.inCall)}`)
  }
  assert.deepEqual(held.inCall[2], held.inCall[0], 'no call holds more than the first')
  assert.deepEqual(held.after, {})
  assert.equal(held.elements, 0)
  await bob.sees(1)
})

play('a call that is left while it connects leaves nothing behind either', async ({ enter, edge, room }) => {
  const ada = await enter('Ada', { init: installLedger, tolerate: [NO_ICON] })
  await bare(ada, edge)
  const { outcome, after } = await ada.page.evaluate(async ({ room }) => {
    const { Room } = await import('/sdk/pulse.js')
    globalThis.ledger.counting = true
    const call = new Room()
    const connecting = call.connect({ room, name: 'Ada' }).catch(({ name }) => name)
    await call.disconnect()
    const outcome = await connecting
    const until = performance.now() + 5000
    while (Object.keys(globalThis.ledger.read()).length > 0 && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 50))
    return { outcome, after: globalThis.ledger.read() }
  }, { room })
  assert.equal(outcome, 'not_connected')
  assert.deepEqual(after, {})
})

play('a page in the background goes on sending sound and pictures', async ({ enter, link }) => {
  const ada = await enter('Ada')
  const bob = await enter('Bob')
  await ada.join(link)
  await bob.join(link)
  await bob.seesMoving(bob.picture('Ada'), 10)
  const other = await ada.context.newPage()
  await other.goto('about:blank')
  await other.bringToFront()
  await ada.page.evaluate(() => {
    Object.defineProperty(document, 'hidden', { value: true, configurable: true })
    Object.defineProperty(document, 'visibilityState', { value: 'hidden', configurable: true })
    document.dispatchEvent(new Event('visibilitychange'))
  })
  await bob.hears({ hz: FAKE_MICROPHONE_HZ, wanted: 3 })
  await bob.seesMoving(bob.picture('Ada'), 20)
})

play('who cannot see a picture does not receive it, until it is seen again', async ({ enter, link }) => {
  const ada = await enter('Ada')
  const bob = await enter('Bob')
  await ada.join(link)
  await bob.join(link)
  await bob.seesMoving(bob.picture('Ada'), 10)
  const hide = (hidden) => bob.page.evaluate((hidden) => {
    Object.defineProperty(document, 'hidden', { value: hidden, configurable: true })
    document.dispatchEvent(new Event('visibilitychange'))
  }, hidden)
  const rate = () => bob.page.evaluate(() => {
    const camera = globalThis.pulseRoom.statistics().received?.tracks.find(({ source }) => source === 'camera')
    return camera?.bitsPerSecond ?? -1
  })
  // From before the first picture the rate says 0 as well.
  await until(bob, () => globalThis.pulseRoom.statistics().received?.tracks.find(({ source }) => source === 'camera')?.bitsPerSecond > 0)
  await hide(true)
  await until(bob, () => globalThis.pulseRoom.statistics().received?.tracks.find(({ source }) => source === 'camera')?.bitsPerSecond === 0)
  await bob.hears({ hz: FAKE_MICROPHONE_HZ, wanted: 2 })
  assert.equal(await rate(), 0)
  await hide(false)
  await bob.seesMoving(bob.picture('Ada'), 10)
})

play('a page that is frozen says so before, and is back after', async ({ enter, link }) => {
  const ada = await enter('Ada')
  const bob = await enter('Bob')
  await ada.join(link)
  await bob.join(link)
  await bob.seesMoving(bob.picture('Ada'), 10)
  const id = await ada.page.evaluate(() => globalThis.pulseRoom.localParticipant.id)
  await ada.page.evaluate(() => document.dispatchEvent(new Event('freeze')))
  await trackOfAda(bob, 'camera', 'interrupted', 'frozen')
  await trackOfAda(bob, 'microphone', 'interrupted', 'frozen')
  await ada.page.evaluate(() => document.dispatchEvent(new Event('resume')))
  await trackOfAda(bob, 'camera', 'interrupted', null)
  await bob.seesMoving(bob.picture('Ada'), 10)
  assert.equal(await ada.page.evaluate(() => globalThis.pulseRoom.localParticipant.id), id)
})

play('a change of network is no reason to reconnect while the way is good, and a good one once it is dead', async ({ enter, edge, room, link, onEnd, note }) => {
  const proxy = await startProxy(edge.port)
  onEnd(() => proxy.close())
  const ada = await enter('Ada')
  const bob = await enter('Bob', { tolerate: BROKEN_SOCKET })
  await ada.join(link)
  await bob.join(`${proxy.origin}/#${room}`)
  await ada.seesMoving(ada.picture('Bob'), 10)
  const reconnects = () => bob.page.evaluate(() => globalThis.pulseRoom.statistics().connection.reconnects)
  await bob.page.evaluate(() => dispatchEvent(new Event('offline')))
  await bob.page.evaluate(() => navigator.connection.dispatchEvent(new Event('change')))
  await until(bob, () => globalThis.pulseRoom.statistics().connection.proven > 0)
  assert.equal(await reconnects(), 0, 'a healthy path is left alone')

  // As after a change from one network to another: nothing comes back, and nobody says so.
  proxy.silence()
  const from = await bob.page.evaluate(() => performance.now())
  await bob.page.evaluate(() => {
    globalThis.lostAt = new Promise((resolve) => globalThis.pulseRoom.addEventListener('connectionStateChanged', () => resolve(performance.now()), { once: true }))
    dispatchEvent(new Event('online'))
  })
  const ms = (await bob.page.evaluate(() => globalThis.lostAt)) - from
  note(`given up ${Math.round(ms)} ms after the change`)
  assert.ok(ms < 2500, `given up after ${ms} ms, long before the silence limit`)
  proxy.restore()
  await bob.state('connected')
  await ada.seesMoving(ada.picture('Bob'), 10)
})

play('sound that the system interrupts goes on without a click', async ({ enter, link }) => {
  const ada = await enter('Ada')
  const bob = await enter('Bob')
  await ada.join(link)
  await bob.join(link)
  await bob.hears({ hz: FAKE_MICROPHONE_HZ, wanted: 2 })
  await bob.page.evaluate(() => globalThis.pulseRoom.audioContext.suspend())
  await until(bob, () => globalThis.pulseRoom.canPlayAudio)
  await bob.hears({ hz: FAKE_MICROPHONE_HZ, wanted: 2 })
})
