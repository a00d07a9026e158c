// Which codec a picture is sent with, what each frame says of those before it, when nothing is sent, and sound without an encoder.
// VideoSender runs with an encoder of this file: what is tested is what it is told and what comes of what it returns.

import assert from 'node:assert/strict'
import { afterEach, beforeEach, mock, test } from 'node:test'
import { defaults } from '../sdk/defaults.js'
import { CodecChoice, preferredCodecs } from '../sdk/send/codecs.js'
import { PCM_CONFIG, PcmEncoder } from '../sdk/send/pcm.js'
import { VideoSender } from '../sdk/send/video.js'

const { settleMs, switchIntervalMs } = defaults.codecs

/** A choice whose browser encodes everything. @param {string[]} [preferred] */
function choiceOf(preferred = ['av1', 'vp9', 'vp8']) {
  const choice = new CodecChoice(preferred)
  choice.setEncodable(choice.candidates)
  return choice
}

test('the best codec that everybody decodes is taken, once that has settled', () => {
  const choice = choiceOf()
  assert.equal(choice.choose(0), 'vp8')
  choice.setDecodable(['vp9', 'h264'])
  assert.equal(choice.choose(1000), 'vp8')
  assert.equal(choice.choose(1000 + settleMs - 1), 'vp8')
  assert.equal(choice.choose(1000 + settleMs), 'vp9')
})

test('a list that changes starts the wait again', () => {
  const choice = choiceOf()
  choice.setDecodable(['vp9', 'av1'])
  choice.choose(0)
  choice.setDecodable(['vp9'])
  assert.equal(choice.choose(settleMs), 'vp8')
  assert.equal(choice.choose(2 * settleMs), 'vp9')
})

test('who cannot decode what is sent brings the floor at once; back up is at most every 30 s', () => {
  const choice = choiceOf()
  choice.setDecodable(['av1'])
  choice.choose(0)
  assert.equal(choice.choose(settleMs), 'av1')
  choice.setDecodable([])
  const down = settleMs + 1
  assert.equal(choice.choose(down), 'vp8')
  choice.setDecodable(['av1', 'vp9'])
  assert.equal(choice.choose(down + 1), 'vp8')
  assert.equal(choice.choose(down + switchIntervalMs - 1), 'vp8')
  assert.equal(choice.choose(down + switchIntervalMs), 'av1')
  assert.deepEqual(choice.counters, { codecSwitches: 3, codecDemanded: 1, codecFailed: 0 })
  // From one good codec to a better one: not before its time either.
  choice.setDecodable(['vp9'])
  assert.equal(choice.choose(down + switchIntervalMs + 1), 'vp8')
})

test('a codec that failed is not tried again', () => {
  const choice = choiceOf()
  choice.setDecodable(['av1', 'vp9'])
  choice.choose(0)
  choice.choose(settleMs)
  assert.equal(choice.failed(), true)
  assert.equal(choice.choose(settleMs + 1), 'vp8')
  choice.reset()
  choice.setDecodable(['av1', 'vp9'])
  choice.choose(settleMs + 2)
  assert.equal(choice.choose(2 * switchIntervalMs), 'vp9')
  choice.failed()
  assert.equal(choice.choose(2 * switchIntervalMs + 1), 'vp8')
  assert.equal(choice.failed(), false, 'below the floor there is nothing')
  assert.equal(choice.choose(9 * switchIntervalMs), 'vp8')
  assert.equal(choice.counters.codecDemanded, 0, 'nobody asked for that')
})

test('what this browser does not encode, and what nobody knows, is not chosen', () => {
  const choice = new CodecChoice(['h265', 'av1', 'vp9'])
  assert.deepEqual(choice.candidates, ['av1', 'vp9'])
  choice.setEncodable(['vp9'])
  choice.setDecodable(['h265', 'av1', 'vp9'])
  choice.choose(0)
  assert.equal(choice.choose(switchIntervalMs), 'vp9')
})

test('an app that wants the floor keeps it; weak machines do by themselves', () => {
  const choice = choiceOf(['vp8', 'av1'])
  choice.setDecodable(['av1'])
  choice.choose(0)
  assert.equal(choice.choose(switchIntervalMs), 'vp8')
  assert.deepEqual(preferredCodecs('camera', 2), ['vp8'])
  assert.deepEqual(preferredCodecs('camera', 2, ['av1']), ['av1'])
  assert.equal(preferredCodecs('screen', 8)[0], 'av1')
})

/** The browser has said what it encodes. */
const answered = () => new Promise((resolve) => setImmediate(resolve))

/** @type {FakeEncoder[]} */
let encoders = []
let clock = 0

/** An encoder that answers when it is told to; its layers are those of L1T3. */
class FakeEncoder {
  static isConfigSupported = async (config) => ({ supported: config.codec !== 'vp09.00.40.08' })
  state = 'unconfigured'
  encodeQueueSize = 0
  configs = []
  frames = []
  #turn = 0

  constructor(init) {
    this.init = init
    encoders.push(this)
  }

  configure(config) {
    this.state = 'configured'
    this.configs.push(config)
  }

  encode({ timestamp }, { keyFrame }) {
    this.frames.push({ timestamp, keyFrame, layered: this.configs.at(-1).scalabilityMode === 'L1T3' })
  }

  /** What was given to it comes out. @param {(keyFrame: boolean) => boolean} [isKey] */
  answer(isKey = (keyFrame) => keyFrame) {
    for (const { timestamp, keyFrame, layered } of this.frames.splice(0)) {
      const key = isKey(keyFrame)
      if (key) this.#turn = 0
      const temporalLayerId = [0, 2, 1, 2][this.#turn++ % 4]
      const chunk = { type: key ? 'key' : 'delta', timestamp, byteLength: 3, copyTo: () => {} }
      this.init.output(chunk, layered ? { svc: { temporalLayerId } } : {})
    }
  }

  close() {
    this.state = 'closed'
  }
}

class FakeFrame {
  static open = 0

  constructor(source, { timestamp }) {
    if (source.broken) throw new Error('not readable')
    this.timestamp = timestamp
    Object.assign(this, { displayWidth: source.displayWidth ?? source.width, displayHeight: source.displayHeight ?? source.height })
    this.format = source.format === undefined ? 'I420' : source.format
    this.colorSpace = null
    FakeFrame.open++
  }

  close() {
    FakeFrame.open--
  }
}

class FakeCanvas {
  width = 1
  height = 1
  drawn = 0
  getContext = () => ({ drawImage: () => this.drawn++ })
}

const real = { VideoEncoder: globalThis.VideoEncoder, VideoFrame: globalThis.VideoFrame, OffscreenCanvas: globalThis.OffscreenCanvas, performance: globalThis.performance }

beforeEach(() => {
  encoders = []
  clock = 1000
  FakeFrame.open = 0
  Object.assign(globalThis, { VideoEncoder: FakeEncoder, VideoFrame: FakeFrame, OffscreenCanvas: FakeCanvas })
  Object.defineProperty(globalThis, 'performance', { value: { timeOrigin: 0, now: () => clock }, configurable: true, writable: true })
})
afterEach(() => {
  Object.assign(globalThis, real)
})

/** @param {{preferred?: string[], settings?: any}} [options] */
function camera({ preferred = ['av1', 'vp9'], settings = defaults.camera } = {}) {
  const choice = new CodecChoice(preferred)
  /** @type {any[]} */
  const sent = []
  /** @type {unknown[]} */
  const errors = []
  const sender = new VideoSender(settings, 0, choice, {
    mayEncode: () => 'send', onConfig: (config, version) => sent.push({ config, version }), onFrame: (frame) => sent.push(frame),
    onError: (error) => errors.push(error),
  })
  /** @param {any} [of] */
  const show = (of = {}) => {
    clock += 33
    sender.push(/** @type {any} */ (new FakeFrame({ displayWidth: 640, displayHeight: 360, ...of }, { timestamp: 0 })))
    for (const encoder of encoders) if (encoder.state === 'configured') encoder.answer()
  }
  const frames = () => sent.filter(({ capturedUs }) => capturedUs)
  const configs = () => sent.filter(({ config }) => config)
  return { sender, choice, sent, errors, show, frames, configs }
}

test('a changed bitrate goes on in the chain of references; another codec begins a new one, under a new version', async () => {
  const { sender, show, frames, configs } = camera()
  for (let i = 0; i < 6; i++) show()
  sender.setRateShare(0.5)
  for (let i = 0; i < 3; i++) show()
  assert.deepEqual(frames().map(({ ref }) => ref), [0, 1, 2, 1, 4, 1, 2, 1, 4])
  assert.equal(encoders[0].configs.at(-1).bitrate, 250_000)
  assert.deepEqual(configs().map(({ config, version }) => [config.codec, version]), [['vp8', 1]])
  await answered()
  sender.demand(1, ['vp9', 'av1'])
  show()
  clock += settleMs
  show()
  // Only AV1 is encoded by this browser as it has to be.
  assert.deepEqual(configs().map(({ config, version }) => [config.codec, version]), [['vp8', 1], ['av01.0.08M.08', 2]])
  const last = frames().at(-1)
  assert.deepEqual([last.keyframe, last.ref, last.version], [true, 0, 2])
  for (let i = 0; i < 4; i++) show()
  assert.deepEqual(frames().slice(-4).map(({ ref }) => ref), [1, 2, 1, 4])
  assert.equal(encoders.length, 1)
  sender.close()
  assert.equal(FakeFrame.open, 0)
})

test('frames of the codec before are told with its version, though they come out after the switch', () => {
  const { sender, choice, frames } = camera()
  const push = () => {
    clock += 33
    sender.push(/** @type {any} */ (new FakeFrame({ displayWidth: 640, displayHeight: 360 }, { timestamp: 0 })))
  }
  choice.setEncodable(['av1'])
  push()
  encoders[0].answer()
  sender.demand(1, ['av1'])
  push()
  clock += settleMs
  push()
  encoders[0].answer()
  assert.deepEqual(frames().map(({ version, ref }) => [version, ref]), [[1, 0], [1, 1], [2, 0]])
})

test('an encoder that begins with a delta is asked for a keyframe; nobody is sent what cannot be decoded', () => {
  const { sender, frames } = camera()
  const push = () => {
    clock += 33
    sender.push(/** @type {any} */ (new FakeFrame({ displayWidth: 640, displayHeight: 360 }, { timestamp: 0 })))
  }
  push()
  encoders[0].answer(() => false)
  assert.equal(frames().length, 0)
  push()
  assert.equal(encoders[0].frames[0].keyFrame, true)
  encoders[0].answer()
  assert.deepEqual(frames().map(({ ref }) => ref), [0])
})

test('nothing is encoded while nobody wants it, once it is announced, and a keyframe leaves at once when somebody does', () => {
  const { sender, show, frames, configs } = camera()
  sender.demand(0, [])
  show()
  assert.equal(configs().length, 1, 'announced all the same')
  for (let i = 0; i < 10; i++) show()
  assert.equal(frames().length, 1)
  assert.deepEqual([sender.counters.unwanted, FakeFrame.open], [10, 1], 'the newest is kept')
  clock += 5000
  sender.demand(2, [])
  assert.equal(FakeFrame.open, 0)
  encoders[0].answer()
  assert.deepEqual([frames().length, frames()[1].keyframe], [2, true])
  show()
  assert.deepEqual([frames().length, frames()[2].ref], [3, 1])
  sender.demand(0, [])
  show()
  sender.restart()
  show()
  assert.equal(frames().length, 4, 'on a new connection nobody has said yet that it is not wanted')
  assert.equal(sender.counters.pauses, 1)
  sender.close()
  assert.equal(FakeFrame.open, 0)
})

test('a floor that is demanded does not wait for a screen to change', (t) => {
  mock.timers.enable({ apis: ['setInterval'] })
  t.after(() => mock.timers.reset())
  const { sender, choice, show, frames, configs } = camera({ settings: defaults.screen })
  const pace = () => {
    mock.timers.tick(1000 / defaults.screen.framerate + 1)
    encoders[0].answer()
  }
  show()
  pace()
  choice.setEncodable(['av1'])
  sender.demand(1, ['av1'])
  clock += settleMs
  pace()
  assert.deepEqual(configs().map(({ config }) => config.codec), ['vp8', 'av01.0.08M.08'])
  sender.demand(1, [])
  encoders[0].answer()
  assert.deepEqual([configs().at(-1).config.codec, frames().at(-1).keyframe], ['vp8', true])
  sender.close()
  assert.equal(FakeFrame.open, 0)
})

test('an encoder that fails with a codec is followed by the floor at once, and nobody is bothered', async () => {
  const { sender, choice, show, frames, configs, errors } = camera()
  show()
  await answered()
  choice.setEncodable(['av1'])
  sender.demand(1, ['av1'])
  show()
  clock += settleMs
  show()
  assert.equal(configs().at(-1).config.codec, 'av01.0.08M.08')
  encoders[0].init.error(new Error('gave up'))
  show()
  assert.deepEqual([encoders.length, configs().at(-1).config.codec, frames().at(-1).keyframe], [2, 'vp8', true])
  assert.equal(errors.length, 0)
  assert.equal(choice.counters.codecFailed, 1)
  sender.close()
})

test('an encoder that always fails is tried again ever later and reported once', () => {
  const { sender, show, errors } = camera({ settings: { ...defaults.camera, scalabilityMode: 'L1T1' } })
  const starts = []
  for (let i = 0; i < 2000; i++) {
    const before = encoders.length
    show()
    if (encoders.length > before) starts.push(clock)
    encoders.at(-1)?.state === 'configured' && encoders.at(-1)?.init.error(new Error('broken'))
  }
  const waits = starts.slice(1).map((at, index) => Math.round((at - starts[index]) / 1000))
  assert.deepEqual(waits.slice(0, 6), [1, 2, 4, 8, 16, 30])
  assert.equal(errors.length, 1)
  sender.close()
})

test('a frame that cannot be read costs itself; one that only the graphics card reads is copied once an encoder has failed at it', () => {
  const { sender, show, frames, errors } = camera()
  show({ displayWidth: 0 })
  const unreadable = new FakeFrame({ displayWidth: 640, displayHeight: 360 }, { timestamp: 0 })
  Object.assign(unreadable, { broken: true })
  sender.push(/** @type {any} */ (unreadable))
  show()
  assert.deepEqual([sender.counters.brokenFrames, frames().length], [2, 1])
  show({ format: null })
  assert.equal(frames().length, 2)
  encoders[0].init.error(new Error('no pixels'))
  show({ format: null })
  assert.deepEqual([encoders.length, frames().length, errors.length], [2, 3, 0])
  sender.close()
  assert.equal(FakeFrame.open, 0)
})

test('what is shed: frames that nothing needs, then every other one, then size; references hold', () => {
  const { sender, show, frames, configs } = camera()
  show()
  sender.setLimits({ divisor: 1, small: false, thin: true })
  for (let i = 0; i < 8; i++) show()
  assert.deepEqual(frames().map(({ temporal, ref }) => [temporal, ref]), [[0, 0], [1, 1], [0, 2], [1, 1], [0, 2]])
  assert.equal(sender.counters.thinned, 4)
  sender.setLimits({ divisor: 2, small: false, thin: false })
  for (let i = 0; i < 8; i++) show()
  assert.equal(sender.counters.skippedShed, 4)
  assert.equal(encoders[0].configs.at(-1).framerate, 15)
  sender.setLimits({ divisor: 1, small: true, thin: false })
  show()
  assert.deepEqual([configs().at(-1).config.codedWidth, configs().at(-1).config.codedHeight], [320, 180])
  assert.equal(encoders[0].configs.at(-1).bitrate, 250_000)
  sender.setLimits({ divisor: 1, small: false, thin: false })
  show()
  assert.equal(configs().at(-1).config.codedWidth, 640)
  sender.close()
})

/** Level of a tone in samples, relative to full scale. @param {Int16Array} samples @param {number} hz */
function levelAt(samples, hz) {
  let re = 0
  let im = 0
  samples.forEach((sample, n) => {
    re += sample * Math.cos((2 * Math.PI * hz * n) / 16_000)
    im += sample * Math.sin((2 * Math.PI * hz * n) / 16_000)
  })
  return (2 * Math.hypot(re, im)) / samples.length / 32_767
}

/** @param {number} hz @param {number} [channels] @returns {Int16Array} a second of the tone as sent, without its beginning */
function sentTone(hz, channels = 1) {
  const encoder = new PcmEncoder()
  const out = []
  for (let block = 0; block < 50; block++) {
    const plane = Float32Array.from({ length: 960 }, (_, i) => 0.5 * Math.sin((2 * Math.PI * hz * (block * 960 + i)) / 48_000))
    const bytes = encoder.encode(Array(channels).fill(plane))
    assert.equal(bytes.length, 640)
    const view = new DataView(bytes.buffer)
    for (let i = 0; i < 320; i++) out.push(view.getInt16(i * 2, true))
  }
  return Int16Array.from(out.slice(800))
}

test('samples at 16 kHz keep voices as they are, over block boundaries, and hold no tones that were not there', () => {
  assert.deepEqual(PCM_CONFIG, { codec: 'pcm-s16', sampleRate: 16_000, numberOfChannels: 1 })
  for (const hz of [200, 1000, 3400, 6000]) {
    const level = levelAt(sentTone(hz), hz)
    assert.ok(Math.abs(level - 0.5) < 0.01, `${hz} Hz has ${level}`)
  }
  for (const hz of [9000, 12_000, 15_000]) {
    const alias = levelAt(sentTone(hz), Math.abs(16_000 - hz))
    assert.ok(alias < 0.5 * 0.003, `${hz} Hz comes back with ${alias}`)
  }
  assert.ok(Math.abs(levelAt(sentTone(1000, 2), 1000) - 0.5) < 0.01, 'two channels become one')
  const loud = new PcmEncoder().encode([new Float32Array(960).fill(3)])
  assert.equal(new DataView(loud.buffer).getInt16(638, true), 32_767)
})
