// The small pure parts of sending and receiving: references, levels, speakers, rings, samples, v1 sound.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaults } from '../sdk/defaults.js'
import { Ring, ringBytes } from '../sdk/recv/ring.js'
import { conceal, opusDurationMs } from '../sdk/recv/samples.js'
import { audioLevel } from '../sdk/send/level.js'
import { References } from '../sdk/send/references.js'
import { fitSize } from '../sdk/send/video.js'
import { Speakers } from '../sdk/speakers.js'
import { pcmToFloat, PcmBlocks, Resampler } from '../sdk/v1/pcm.js'

test('L1T3 refers to the newest frame of a lower layer', () => {
  const references = new References('L1T3')
  const pattern = [[true, 0], [false, 2], [false, 1], [false, 2], [false, 0], [false, 2], [false, 1], [false, 2], [false, 0]]
  const refs = pattern.map(([keyframe, layer]) => references.next(keyframe, layer))
  assert.deepEqual(refs.map(({ ref }) => ref), [0, 1, 2, 1, 4, 1, 2, 1, 4])
  assert.deepEqual(refs.map(({ discardable }) => discardable), [false, true, false, true, false, true, false, true, false])
  assert.deepEqual(references.next(true, 0), { keyframe: true, ref: 0, discardable: false, temporal: 0 })
  assert.equal(references.next(false, 2).ref, 1)
})

test('without layers every frame needs the one before', () => {
  const references = new References()
  assert.equal(references.next(true).ref, 0)
  assert.deepEqual(references.next(false), { keyframe: false, ref: 1, discardable: false, temporal: 0 })
})

test('levels follow RFC 6464', () => {
  assert.equal(audioLevel(new Float32Array(960), -50), 127)
  assert.equal(audioLevel(new Float32Array(960).fill(0.1), -50), 0x80 | 20)
  assert.equal(audioLevel(new Float32Array(960).fill(1), -50), 0x80)
  assert.equal(audioLevel(new Float32Array(960).fill(0.001), -50), 60)
})

test('speakers are those with voice, loudest first, and stay through a pause', () => {
  const speakers = new Speakers()
  for (let now = 0; now <= 1000; now += 20) {
    speakers.heard(now, 'quiet', 0x80 | 30)
    speakers.heard(now, 'loud', 0x80 | 10)
    speakers.heard(now, 'silent', 100)
  }
  assert.deepEqual(speakers.report(1000).speaking, ['loud', 'quiet'])
  assert.deepEqual(speakers.report(1000 + defaults.speakers.holdMs - 1).speaking.length, 2)
  assert.deepEqual(speakers.report(1000 + defaults.speakers.holdMs).speaking, [])
  const levels = new Map(speakers.report(1000).levels)
  assert.ok(levels.get('loud') > levels.get('quiet') && levels.get('silent') < 0.1)
})

test('a ring gives back what was written, over its end, and never more than it holds', () => {
  const ring = new Ring(new ArrayBuffer(ringBytes(8, 2)), 2)
  const out = [new Float32Array(4), new Float32Array(4)]
  for (let round = 0; round < 5; round++) {
    ring.write([Float32Array.of(1, 2, 3), Float32Array.of(4, 5, 6)])
    assert.equal(ring.depth, 3)
    assert.equal(ring.read(out), 3)
    assert.deepEqual([[...out[0].slice(0, 3)], [...out[1].slice(0, 3)]], [[1, 2, 3], [4, 5, 6]])
  }
  ring.write([new Float32Array(20), new Float32Array(20)])
  assert.deepEqual([ring.depth, ring.overflow], [8, 12])
  ring.skip(5)
  assert.equal(ring.depth, 3)
})

test('Opus packets tell their duration', () => {
  assert.equal(opusDurationMs(Uint8Array.of(0x78)), 20)
  assert.equal(opusDurationMs(Uint8Array.of(0x08)), 20)
  assert.equal(opusDurationMs(Uint8Array.of(0xfb, 0x03)), 60)
  assert.equal(opusDurationMs(Uint8Array.of(0xf1)), 20)
})

test('sizes are even and fit', () => {
  assert.deepEqual(fitSize(641, 361, 1280), { width: 640, height: 360 })
  assert.deepEqual(fitSize(3840, 2160, 1920), { width: 1920, height: 1080 })
  assert.deepEqual(fitSize(8, 8, 1280), { width: 16, height: 16 })
})

test('a resampled stream keeps its pitch and its length, over block boundaries', () => {
  const resampler = new Resampler(48_000, 44_100)
  const tone = (i) => Math.sin((2 * Math.PI * 440 * i) / 48_000)
  const out = []
  for (let block = 0; block < 50; block++) {
    out.push(...resampler.process(Float32Array.from({ length: 960 }, (_, i) => tone(block * 960 + i))))
  }
  assert.ok(Math.abs(out.length - 44_100) <= 1, String(out.length))
  // One sample late: the first output lies on the silence before the first input.
  const expected = (n) => Math.sin(2 * Math.PI * 440 * (n / 44_100 - 1 / 48_000))
  for (let n = 100; n < 44_000; n++) assert.ok(Math.abs(out[n] - expected(n)) < 0.01, String(n))
})

test('v1 blocks hold their number of samples, in little-endian', () => {
  const blocks = new PcmBlocks(4)
  assert.deepEqual(blocks.push(Float32Array.of(0, 1, -1)), [])
  const [block] = blocks.push(Float32Array.of(0.5, 0))
  assert.deepEqual([...block], [0, 0, 0xff, 0x7f, 0x01, 0x80, 0x00, 0x40])
  assert.deepEqual([...pcmToFloat(block)].map((sample) => Math.round(sample * 100) / 100), [0, 1, -1, 0.5])
  blocks.clear()
  assert.deepEqual(blocks.push(new Float32Array(3)), [])
})
