// What is sent follows what the others decode and whether they look, and what this machine carries: over the SDK itself, on the page of
// its example, with Chromium's own encoders and decoders.

import assert from 'node:assert/strict'
import { FAKE_MICROPHONE_HZ } from './harness/browser.js'
import { theatre } from './harness/play.js'

// A worker whose script a test has touched counts as from nowhere, and may else not connect to this machine.
const play = theatre({ flags: ['--disable-features=LocalNetworkAccessChecks'] })
// The example has no icon, and the browser asks for one.
const tolerate = [/favicon/]

/** Runs in the page, before it: the browser decodes what every client decodes and nothing else. */
function decodeFloorOnly() {
  const ask = VideoDecoder.isConfigSupported
  VideoDecoder.isConfigSupported = (config) => (config.codec === 'vp8' ? ask.call(VideoDecoder, config) : Promise.resolve({ supported: false, config }))
}

/** Puts a line before everything the worker does. @param {import('./harness/browser.js').Person} one @param {string} prelude */
async function inWorker(one, prelude) {
  await one.context.route('**/sdk/worker.js', async (route) => {
    const response = await route.fetch()
    await route.fulfill({ response, body: `${prelude}\n${await response.text()}` })
  })
}

/**
 * Into a room over the SDK, with camera and microphone; every picture of somebody else gets a place on the page, named after them.
 * @param {import('./harness/browser.js').Person} one @param {string} origin @param {string} room @param {Record<string, any>} [options] of the Room
 */
async function enterRoom(one, origin, room, options = {}) {
  await one.page.goto(`${origin}/example.html`)
  await one.page.evaluate(async ({ room, name, options }) => {
    const { Room } = await import('/sdk/pulse.js')
    const call = new Room(options)
    const seen = { firstPictures: {}, limitations: [], errors: [] }
    Object.assign(globalThis, { pulseRoom: call, seen })
    call.addEventListener('trackPublished', ({ detail: { participant, track } }) => {
      if (track.kind !== 'video') return
      const canvas = track.attach()
      canvas.dataset.of = participant.name
      canvas.style.width = '160px'
      document.body.append(canvas)
      track.addEventListener('firstFrame', () => (seen.firstPictures[participant.name] ??= performance.now() - seen.connectedAt))
    })
    call.addEventListener('participantLeft', ({ detail: { participant } }) => document.querySelector(`[data-of=${participant.name}]`)?.remove())
    call.addEventListener('qualityLimitationChanged', ({ detail }) => seen.limitations.push(detail))
    call.addEventListener('error', ({ detail: { error } }) => seen.errors.push(error.message))
    seen.connectedAt = performance.now()
    await call.connect({ room, name })
    seen.connectedAt = performance.now()
    await call.localParticipant.setMicrophoneEnabled(true)
    await call.localParticipant.setCameraEnabled(true)
  }, { room, name: one.name, options })
}

/** @param {import('./harness/browser.js').Person} one @param {string} name */
const pictureOf = (one, name) => one.page.locator(`canvas[data-of=${name}]`)

/** What the page's own camera counts. @param {import('./harness/browser.js').Person} one @returns {Promise<any>} */
const sentCamera = (one) => one.page.evaluate(() => globalThis.pulseProbe.freshStatistics().then(({ sent }) => sent.tracks.find(({ source }) => source === 'camera')))

/** Waits until what is sent of the page's camera is of this codec. @param {import('./harness/browser.js').Person} one @param {string} codec */
const sends = (one, codec) => one.page.waitForFunction((codec) =>
  globalThis.pulseRoom.statistics().sent?.tracks.find(({ source }) => source === 'camera')?.config?.codec.startsWith(codec), codec)

/** Faults of what arrives. @param {import('./harness/browser.js').Person} one */
const decoderFaults = (one) => one.page.evaluate(() => globalThis.pulseProbe.freshStatistics().then(({ received }) =>
  received.tracks.filter(({ kind }) => kind === 'video').reduce((sum, { decoderErrors }) => sum + decoderErrors, 0)))

play('the codec is the best that everybody decodes, and the floor at once when somebody comes who does not', async ({ enter, edge, room, note }) => {
  const ada = await enter('Ada', { tolerate })
  const bob = await enter('Bob', { tolerate })
  const options = { videoCodecs: ['av1', 'vp9'] }
  await enterRoom(ada, edge.origin, room, options)
  await enterRoom(bob, edge.origin, room, options)
  for (const one of [ada, bob]) await sends(one, 'av01')
  for (const [one, other] of [[ada, 'Bob'], [bob, 'Ada']]) {
    const { ms } = await one.seesMoving(pictureOf(one, other), 20)
    note(`${one.name} saw 20 pictures in AV1 in ${ms} ms`)
    assert.equal(await decoderFaults(one), 0, 'a switch is no fault of a decoder')
  }

  const cleo = await enter('Cleo', { tolerate, init: decodeFloorOnly })
  await enterRoom(cleo, edge.origin, room, options)
  for (const one of [ada, bob]) await sends(one, 'vp8')
  const floorAt = performance.now()
  for (const name of ['Ada', 'Bob']) await cleo.seesMoving(pictureOf(cleo, name), 20)
  const { firstPictures } = await cleo.page.evaluate(() => globalThis.seen)
  note(`Cleo, who decodes VP8 alone, had her first pictures after ${Object.values(firstPictures).map(Math.round).join(' and ')} ms`)
  // The machine is shared: the better of the two says what the software does.
  assert.ok(Math.min(...Object.values(firstPictures)) <= 1000, JSON.stringify(firstPictures))
  for (const [one, other] of [[ada, 'Bob'], [bob, 'Ada'], [ada, 'Cleo']]) await one.seesMoving(pictureOf(one, other), 20)
  const { codecSwitches, codecDemanded } = await sentCamera(ada)
  assert.deepEqual({ codecSwitches, codecDemanded }, { codecSwitches: 2, codecDemanded: 1 })

  await cleo.page.evaluate(() => globalThis.pulseRoom.disconnect())
  await ada.page.waitForFunction(() => globalThis.pulseRoom.participants.size === 1)
  for (let look = 0; look < 8; look++) {
    const { codecSwitches, config } = await sentCamera(ada)
    // A machine that is slow enough has waited them out here.
    if (performance.now() - floorAt > 28_000) break
    assert.deepEqual([codecSwitches, config.codec], [2, 'vp8'], 'the way back is taken once in 30 s at most')
  }
  await bob.seesMoving(pictureOf(bob, 'Ada'), 20)
})

play('nothing is encoded while nobody looks, and a picture is there at once when somebody does', async ({ enter, edge, room, note }) => {
  const ada = await enter('Ada', { tolerate })
  await enterRoom(ada, edge.origin, room)
  await ada.page.waitForFunction(() => globalThis.pulseRoom.statistics().sent?.tracks.some(({ unwanted }) => unwanted > 0))
  const { frames, pauses } = await sentCamera(ada)
  assert.equal((await sentCamera(ada)).frames, frames, 'frames are encoded for nobody')
  assert.equal(pauses, 1)

  const bob = await enter('Bob', { tolerate })
  await enterRoom(bob, edge.origin, room)
  await bob.seesMoving(pictureOf(bob, 'Ada'), 20)
  const { firstPictures } = await bob.page.evaluate(() => globalThis.seen)
  note(`first picture of a sleeping camera ${Math.round(firstPictures.Ada)} ms after joining`)
  await bob.page.evaluate(() => globalThis.pulseRoom.setReceiveQuality('audioOnly'))
  await ada.page.waitForFunction(() => globalThis.pulseRoom.statistics().sent.tracks.some(({ pauses }) => pauses === 2))
  await bob.hears({ hz: FAKE_MICROPHONE_HZ })
  await bob.page.evaluate(() => globalThis.pulseRoom.setReceiveQuality('low'))
  await bob.seesMoving(pictureOf(bob, 'Ada'), 10)
  const { fps } = await bob.page.evaluate(() => globalThis.pulseProbe.freshStatistics().then(({ received }) => received.tracks.find(({ kind }) => kind === 'video')))
  note(`at low quality ${fps} pictures a second arrive`)
  assert.ok(fps <= 15, `${fps} pictures a second`)
})

play('a browser without an Opus encoder is heard all the same', async ({ enter, edge, room }) => {
  const ada = await enter('Ada', { tolerate, init: () => void Reflect.deleteProperty(globalThis, 'AudioEncoder') })
  const bob = await enter('Bob', { tolerate })
  await inWorker(ada, 'delete globalThis.AudioEncoder')
  await enterRoom(ada, edge.origin, room)
  await enterRoom(bob, edge.origin, room)
  assert.deepEqual(await ada.page.evaluate(() => import('/sdk/pulse.js').then(({ isSupported }) => isSupported())), { ok: true })
  await bob.hears({ hz: FAKE_MICROPHONE_HZ })
  await ada.hears({ hz: FAKE_MICROPHONE_HZ })
  const codec = (/** @type {import('./harness/browser.js').Person} */ one) => one.page.evaluate(() =>
    globalThis.pulseRoom.statistics().received.tracks.find(({ source }) => source === 'microphone').config.codec)
  assert.deepEqual([await codec(bob), await codec(ada)], ['pcm-s16', 'opus'])
})

play('a page that cannot keep up gives up layers, keeps its sound, and harms nobody', async ({ enter, edge, room }) => {
  const ada = await enter('Ada', { tolerate })
  const bob = await enter('Bob', { tolerate })
  // Three quarters of the time of Ada's worker are gone while the channel says so.
  await inWorker(ada, `let burn = false; new BroadcastChannel('burn').onmessage = ({ data }) => (burn = data)
setInterval(() => { const until = performance.now() + 150; while (burn && performance.now() < until); }, 200)`)
  await enterRoom(ada, edge.origin, room)
  await enterRoom(bob, edge.origin, room)
  await ada.seesMoving(pictureOf(ada, 'Bob'), 20)
  await bob.seesMoving(pictureOf(bob, 'Ada'), 20)
  const burn = (/** @type {boolean} */ on) => ada.page.evaluate((on) => {
    const channel = new BroadcastChannel('burn')
    channel.postMessage(on)
    channel.close()
  }, on)
  await burn(true)
  const limited = await ada.page.waitForFunction(() => globalThis.seen.limitations.at(-1)).then((handle) => handle.jsonValue())
  assert.deepEqual(limited, { reason: 'cpu', steps: ['layers'] })
  await ada.hears({ hz: FAKE_MICROPHONE_HZ, wanted: 2 })
  const { sent, limitation } = await bob.page.evaluate(() => globalThis.pulseProbe.freshStatistics())
  const { skippedShed, thinned, config } = sent.tracks.find(({ source }) => source === 'camera')
  assert.deepEqual([thinned, config.codec], [0, 'vp8'])
  // Both share this machine: only what Bob gives up for himself may be missing.
  if (limitation.steps.length === 0) assert.deepEqual([skippedShed, config.codedWidth], [0, 640], 'Bob sends as before')
  await burn(false)
  // Fewer pictures than before, but pictures.
  await ada.seesMoving(pictureOf(ada, 'Bob'), 10)
})
