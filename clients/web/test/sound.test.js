// What happens to samples: stretching, concealment, seams, plain PCM, a decoder that breaks, and the audio thread.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaults } from '../sdk/defaults.js'
import { isPcm, PcmDecoder } from '../sdk/recv/pcm.js'
import { Ring, ringBytes } from '../sdk/recv/ring.js'
import { conceal, join } from '../sdk/recv/samples.js'
import { SoundDecoder } from '../sdk/recv/sound-decoder.js'
import { Stretcher } from '../sdk/recv/stretch.js'
import { seeded, speech } from './traces.js'

const RATE = 48_000
const tone = (frequency, seconds, gain = 0.5) => Float32Array.from(
  { length: seconds * RATE }, (_, i) => gain * Math.sin((2 * Math.PI * frequency * i) / RATE))

function stretch(samples, wantMs, stretcher = new Stretcher()) {
  const out = []
  for (let at = 0; at + 960 <= samples.length; at += 960) out.push(...stretcher.process([samples.slice(at, at + 960)], wantMs)[0])
  return Float32Array.from(out)
}

const largestJump = (samples) => samples.reduce((most, sample, i) => (i ? Math.max(most, Math.abs(sample - samples[i - 1])) : 0), 0)

/** Share of a signal's power within 3 % of a frequency: Hann window, Goertzel on a grid. */
function purity(samples, frequency) {
  const n = 24_000
  const from = samples.length > n ? (samples.length - n) >> 1 : 0
  let total = 0
  const windowed = Float64Array.from({ length: n }, (_, i) => {
    const sample = samples[from + i] * (0.5 - 0.5 * Math.cos((2 * Math.PI * i) / n))
    total += sample * sample
    return sample
  })
  let near = 0
  for (let bin = Math.floor((frequency * 0.97 * n) / RATE); bin <= (frequency * 1.03 * n) / RATE; bin++) {
    let re = 0
    let im = 0
    for (let i = 0; i < n; i++) {
      re += windowed[i] * Math.cos((2 * Math.PI * bin * i) / n)
      im += windowed[i] * Math.sin((2 * Math.PI * bin * i) / n)
    }
    near += (2 * (re * re + im * im)) / n
  }
  return near / total
}

for (const frequency of [110, 220, 440, 1000]) {
  for (const wantMs of [-20, 20]) {
    test(`${frequency} Hz lasts 4 % ${wantMs < 0 ? 'shorter' : 'longer'}, as pure as before and without a click`, () => {
      const input = tone(frequency, 4)
      const output = stretch(input, wantMs)
      const share = output.length / input.length - 1
      assert.ok(Math.abs(Math.abs(share) - 0.04) < 0.006 && Math.sign(share) === Math.sign(wantMs), String(share))
      assert.ok(largestJump(output) <= 1.05 * largestJump(input), `${largestJump(output)} over ${largestJump(input)}`)
      assert.ok(purity(output, frequency) > 0.995, `purity ${purity(output, frequency)} of ${purity(input, frequency)}`)
    })
  }
}

test('speech is stretched by 4 % where it is loud, faster in pauses, without a click', () => {
  const input = speech(20, 3)
  for (const wantMs of [-30, 30]) {
    const stretcher = new Stretcher()
    const output = stretch(input, wantMs, stretcher)
    const share = Math.abs(output.length / input.length - 1)
    assert.ok(share > 0.04 && share < 0.4, String(share))
    assert.ok(largestJump(output) <= 1.3 * largestJump(input), `${largestJump(output)} over ${largestJump(input)}`)
    const { expandedMs, compressedMs } = stretcher.counters
    assert.ok(Math.abs((output.length - input.length) / 48 - (expandedMs - compressedMs)) < 1)
  }
})

test('little is wanted: a seam that does not fit is not made; noise gives way once much is wanted', () => {
  const random = seeded(2)
  const noise = Float32Array.from({ length: RATE }, () => random() - 0.5)
  assert.equal(stretch(noise, -8).length, noise.length)
  assert.ok(stretch(noise, -70).length < noise.length * 0.98)
})

test('both channels are cut at the same place', () => {
  const left = tone(300, 0.02)
  const [a, b] = new Stretcher().process([left, left.map((sample) => -sample)], -15)
  assert.ok(a.length < 960 && a.every((sample, i) => Math.abs(sample + b[i]) < 1e-6))
})

test('concealment goes on with the period, fades, and what comes is faded over from it: no click anywhere', () => {
  for (const frequency of [100, 237, 440]) {
    const before = tone(frequency, 0.02)
    const after = tone(frequency, 0.06).slice(1700, 2660)
    for (const [ms, quiet] of [[5, false], [20, false], [100, false], [30, true]]) {
      const { planes: [gap], head: [head] } = conceal([before], ms * 48, quiet)
      assert.equal(gap.length, ms * 48)
      const all = Float32Array.of(...before, ...gap, ...join(head, after))
      assert.ok(largestJump(all) <= 2 * largestJump(before) + 0.01, `${frequency} Hz, ${ms} ms: ${largestJump(all)}`)
    }
    const { planes: [long] } = conceal([before], 120 * 48)
    assert.ok(long.slice(0, 480).some((sample) => Math.abs(sample) > 0.3), 'the sound goes on')
    assert.ok(long.slice(80 * 48).every((sample) => sample === 0), 'and ends')
  }
  assert.deepEqual([...conceal([], 3).planes[0]], [0, 0, 0])
})

test('plain samples at 16 kHz become the same tone at 48 kHz, across packets', () => {
  const decoder = new PcmDecoder()
  const out = []
  for (let packet = 0; packet < 60; packet++) {
    const payload = new DataView(new ArrayBuffer(640))
    for (let i = 0; i < 320; i++) payload.setInt16(i * 2, Math.round(16_000 * Math.sin((2 * Math.PI * 1000 * (packet * 320 + i)) / 16_000)), true)
    const samples = decoder.decode(new Uint8Array(payload.buffer))
    assert.equal(samples.length, 960)
    out.push(...samples)
  }
  const samples = Float32Array.from(out.slice(960))
  assert.ok(purity(samples, 1000) > 0.9999)
  assert.ok(Math.abs(Math.max(...samples) - 16_000 / 32_768) < 0.005)
  assert.equal(isPcm({ codec: 'pcm-s16', sampleRate: 16_000, numberOfChannels: 1 }), true)
  assert.equal(isPcm({ codec: 'pcm-s16', sampleRate: 192_000, numberOfChannels: 8 }), false)
})

/** @param {(decoder: any) => void} onDecode */
function withDecoder(onDecode, run) {
  const made = []
  class FakeDecoder {
    state = 'unconfigured'
    decodeQueueSize = 0
    constructor(init) {
      Object.assign(this, init)
      made.push(this)
    }

    configure({ numberOfChannels }) {
      if (numberOfChannels > 2) throw new TypeError('absurd')
      this.state = 'configured'
    }

    decode() {
      onDecode(this)
    }

    close() {
      this.state = 'closed'
    }
  }
  const before = [globalThis.AudioDecoder, globalThis.EncodedAudioChunk]
  Object.assign(globalThis, { AudioDecoder: FakeDecoder, EncodedAudioChunk: class {} })
  try {
    run(made)
  } finally {
    Object.assign(globalThis, { AudioDecoder: before[0], EncodedAudioChunk: before[1] })
  }
}

test('a config that cannot be is tried again ever more rarely, not at the rate of packets', () => {
  withDecoder(() => {}, (made) => {
    let failures = 0
    const decoder = new SoundDecoder({ codec: 'opus', numberOfChannels: 8 }, () => {}, () => failures++)
    for (let now = 0; now < 300_000; now += 20) if (decoder.ready(now)) decoder.decode(now, new Uint8Array(10), 0)
    assert.ok(failures >= 5 && failures <= 16, `${failures} failures in five minutes`)
    assert.equal(made.length, failures)
    assert.ok(made.every(({ state }) => state === 'closed'))
    assert.equal(decoder.counters.undecoded + failures, 15_000)
  })
})

test('a payload that breaks the decoder costs a second; one that is stuck takes no more', () => {
  withDecoder((fake) => fake.error(new Error('corrupt')), (made) => {
    let failures = 0
    const decoder = new SoundDecoder({ codec: 'opus', numberOfChannels: 1 }, () => {}, () => failures++)
    const now = performance.now()
    decoder.decode(now, new Uint8Array(1), 0)
    assert.deepEqual([failures, decoder.ready(now + 500), decoder.ready(now + 1100)], [1, false, true])
    assert.equal(made[0].state, 'closed')
  })
  withDecoder((fake) => fake.decodeQueueSize++, () => {
    const decoder = new SoundDecoder({ codec: 'opus', numberOfChannels: 1 }, () => {}, () => {})
    let taken = 0
    for (let i = 0; i < 1000; i++) if (decoder.ready(i) && ++taken) decoder.decode(i, new Uint8Array(1), 0)
    assert.ok(taken <= defaults.soundDecoder.maxQueue + 2)
  })
})

test('the audio thread starts and stops without a click, and only stops when it has given everything', async () => {
  let Playout
  Object.assign(globalThis, {
    sampleRate: RATE,
    AudioWorkletProcessor: class { port = {} },
    registerProcessor: (_, made) => (Playout = made),
  })
  await import('../sdk/recv/playout.worklet.js')
  const memory = new ArrayBuffer(ringBytes(8192, 1))
  const worklet = new Playout({ processorOptions: { memory, channels: 1, reportMs: 20 } })
  const ring = new Ring(memory, 1)
  ring.target = 480
  const wave = tone(437, 1)
  const heard = []
  let written = 0
  for (let quantum = 0; quantum < 500; quantum++) {
    // Blocks come with holes between: it runs dry at every place of a quantum.
    if (quantum % 13 === 0) {
      const block = wave.slice(written, (written += 700 + quantum))
      ring.write([block])
    }
    const plane = new Float32Array(128)
    assert.equal(worklet.process([], [[plane]]), true)
    heard.push(...plane)
  }
  assert.ok(ring.underruns > 20)
  assert.ok(largestJump(heard) <= largestJump(wave) * 1.6, `${largestJump(heard)} over ${largestJump(wave)}`)
  assert.ok(ring.depth < 480 || ring.playing)
})
