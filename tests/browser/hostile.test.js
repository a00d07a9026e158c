// A member whose frames lie: only its own tracks suffer, the page stays bounded, and what happened is counted and said.

import assert from 'node:assert/strict'
import { FAKE_MICROPHONE_HZ } from './harness/browser.js'
import { theatre } from './harness/play.js'

const ALLOWED_GROWTH_BYTES = 48 * 2 ** 20
const play = theatre()

/**
 * Joins by the bare protocol and sends every kind of lie that an edge, which reads headers only, passes on. Serialised into a page of the edge's origin.
 * @param {{url: string, room: string, rounds: number}} target
 * @returns {Promise<{sent: number, state: number}>}
 */
async function lie({ url, room, rounds }) {
  const path = '/sdk/wire.js'
  const wire = await import(path)
  const { FrameType } = wire
  const socket = new WebSocket(url, 'pulse.v2')
  socket.binaryType = 'arraybuffer'
  let id = wire.ZERO_ID
  const control = (/** @type {number} */ type, /** @type {object} */ message) => socket.send(wire.encodeControl(id, type, message))
  await new Promise((resolve) => (socket.onopen = resolve))
  control(FrameType.JOIN, { hello: { version: 2, features: [], agent: 'liar' }, room, name: 'Mallory' })
  id = await new Promise((resolve) => {
    socket.onmessage = ({ data }) => {
      const frame = wire.parseFrame(new Uint8Array(data))
      if (frame.type === FrameType.WELCOME) resolve(wire.parseControl(frame.type, frame.payload).id)
    }
  })
  socket.onmessage = null
  const beat = setInterval(() => control(FrameType.PING, { t: 0 }), 2000)
  let version = 0
  let sent = 0
  let sequence = 0xffff_ff00
  const config = (/** @type {object} */ change) => ({ codec: 'vp8', codedWidth: 640, codedHeight: 360, framerate: 30, ...change })
  const announce = (/** @type {number} */ track, /** @type {string} */ source, /** @type {object} */ about) =>
    control(FrameType.TRACK_CONFIG, { track, source, version: (version = (version + 1) & 255), muted: false, config: about })
  const junk = (/** @type {number} */ bytes) => crypto.getRandomValues(new Uint8Array(bytes))
  const media = (/** @type {object} */ change) => {
    const frame = {
      id, track: 1, config: version, keyframe: true, discardable: false, last: true, spatial: 0, temporal: 0, ref: 0, level: 0x7f, chunk: 0, sequence: sequence++ >>> 0,
      captured: BigInt(Date.now()) * 1000n, payload: junk(400), ...change,
    }
    socket.send(wire.encodeMedia({ ...frame, keyframe: frame.ref === 0 }))
    sent++
  }
  const sound = { codec: 'opus', sampleRate: 48_000, numberOfChannels: 1 }
  const breath = () => new Promise((resolve) => setTimeout(resolve, 20))
  announce(0, 'microphone', sound)
  const voice = version
  for (let round = 0; round < rounds; round++) {
    const change = [
      // Codecs and sizes that nobody has, an init segment that is none, another size than the stream's.
      { codec: 'nonsense' }, { codec: 'av01.0.99M.99' }, { codedWidth: 8192, codedHeight: 8192 }, { codec: 'avc1.42E01F', description: 'deadbeef' }, { codec: 'vp09.00.10.08' }, {},
    ][round % 6]
    announce(1, 'camera', config(change))
    for (let index = 0; index < 20; index++) {
      // Keyframes that break decoders; frames that need what never was.
      media({})
      media({ ref: 200 })
      // First chunks of frames that never go on.
      media({ last: false, payload: junk(wire.CHUNK_BYTES) })
      // A config that is never announced; times at both ends of the clock; numbers that jump nearly half the circle.
      media({ config: (version + 100) & 255 })
      media({ captured: (1n << 63n) - 1n })
      media({ captured: 0n })
      if (index === 10) sequence += 0x7fff_ff00
      media({ track: 0, config: voice, level: 0x80, payload: junk(120), captured: index % 2 ? 0n : 1n << 62n })
      await breath()
    }
  }
  const state = socket.readyState
  clearInterval(beat)
  socket.close(1000)
  return { sent, state }
}

play('a member whose frames lie harms only its own tracks', async ({ enter, edge, room, link, note, browser, onEnd }) => {
  const ada = await enter('Ada')
  const bob = await enter('Bob', { tolerate: [/./] })
  await ada.join(link)
  await bob.join(link)
  await bob.seesMoving(bob.picture('Ada'))
  const heap = () => bob.page.evaluate(() => performance.measureUserAgentSpecificMemory().then(({ bytes }) => bytes))
  const before = await heap()
  await bob.page.evaluate(() => {
    const failures = []
    Object.assign(globalThis, { failures })
    globalThis.pulseRoom.addEventListener('trackSubscriptionFailed', ({ detail: { participant, track, error } }) => failures.push([participant.name, track.source, error.name]))
  })

  const liar = await browser.newPage()
  onEnd(() => liar.close())
  await liar.goto(`${edge.origin}/app.css`)
  const lying = liar.evaluate(lie, { url: `${edge.origin.replace('http', 'ws')}/v2`, room, rounds: 24 })
  await bob.tile('Mallory').waitFor()
  // While it goes on, the honest one is seen and heard as before.
  await bob.seesMoving(bob.picture('Ada'), 60)
  await bob.hears({ hz: FAKE_MICROPHONE_HZ, wanted: 6 })
  const { sent } = await lying
  await bob.tile('Mallory').waitFor({ state: 'detached' })
  const after = await heap()
  const failures = await bob.page.evaluate(() => globalThis.failures)
  const statistics = await bob.page.evaluate(() => globalThis.pulseProbe.freshStatistics())
  note(`${sent} lies; Bob's memory ${(before / 2 ** 20).toFixed(1)} → ${(after / 2 ** 20).toFixed(1)} MiB; failures ${JSON.stringify(failures)}`)
  assert.ok(failures.length > 0, 'a picture that cannot be shown is said')
  assert.ok(failures.every(([name]) => name === 'Mallory'), JSON.stringify(failures))
  assert.ok(after - before < ALLOWED_GROWTH_BYTES, `${after - before} bytes`)
  assert.equal(statistics.connection.reconnects, 0)
  assert.equal(statistics.received.tracks.filter(({ source }) => source === 'camera').length, 1)
  await bob.seesMoving(bob.picture('Ada'), 10)
})
