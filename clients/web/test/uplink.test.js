// The sending side on paths of all kinds, in simulated time: sound stays in time, pictures take what is left and come back.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaults } from '../sdk/defaults.js'
import { Pacer } from '../sdk/send/pacer.js'
import { VideoRate } from '../sdk/send/rate.js'
import { Uplink } from '../sdk/send/uplink.js'
import { delayOf, publish } from './path.js'

const { uplink: limits, rate: rates } = defaults
const ack = (/** @type {number} */ seq, /** @type {number} */ bytes, delayMs = 0, track = 1) => ({ acks: [{ track, seq }], bytes, delayMs })

test('a path without a queue holds so many bytes, and gets room with what is acknowledged', () => {
  const uplink = new Uplink()
  for (let sequence = 0; sequence < 100; sequence++) uplink.sent(1, sequence, 1000, true)
  assert.ok(uplink.roomBytes(0) < 0)
  uplink.acknowledged(100, ack(60, 61_000), 10)
  assert.equal(uplink.unackedBytes, 39_000)
  assert.equal(uplink.roomBytes(100), limits.startBytes - 39_000)
})

test('an acknowledged frame stands for everything before it, of other tracks too, whatever the edge has not counted', () => {
  const uplink = new Uplink()
  uplink.sent(1, 7, 1000, true)
  uplink.sent(0, 3, 200, true)
  uplink.sent(1, 8, 1000, true)
  uplink.sent(1, 8, 1000, false)
  uplink.acknowledged(0, ack(3, 200, 0, 0), 10)
  assert.equal(uplink.unackedBytes, 2000)
  uplink.acknowledged(100, ack(8, 1200), 10)
  assert.equal(uplink.unackedBytes, 1000)
})

test('the chunks of one frame count as they come, with nothing after them', () => {
  const uplink = new Uplink()
  for (let chunk = 0; chunk < 20; chunk++) uplink.sent(1, 0, 1000, chunk === 0)
  uplink.acknowledged(0, ack(0, 12_000), 10)
  assert.equal(uplink.unackedBytes, 8000)
  uplink.acknowledged(100, ack(0, 20_000), 10)
  assert.equal(uplink.unackedBytes, 0)
  assert.equal(uplink.isLate(5000), false)
})

test('acknowledgements of what was never sent, or that count wildly, do no harm', () => {
  const uplink = new Uplink()
  uplink.sent(1, 7, 1000, true)
  for (const [seq, bytes, delayMs] of [[6, 0, 0], [0x9000_0000, 1e15, 1e9], [5, -1e9, -5], [7, 0, 0]]) uplink.acknowledged(500 * seq % 7, ack(seq, bytes, delayMs), 10)
  assert.equal(uplink.unackedBytes, 0)
  assert.ok(Number.isFinite(uplink.bitsPerSecond))
  assert.equal(uplink.roomBytes(1e6) > 0, true)
})

test('a path that queues, or that is silent, holds what it carries in a round trip and a little more', () => {
  const uplink = new Uplink()
  let sequence = 0
  for (let now = 0; now <= 2000; now += 100) {
    uplink.sent(1, sequence, 5000, true)
    uplink.acknowledged(now, ack(sequence++, now * 50, now > 1000 ? limits.delayLimitMs + 1 : 0), 40)
  }
  assert.ok(Math.abs(uplink.bitsPerSecond - 400_000) < 1000, String(uplink.bitsPerSecond))
  assert.equal(uplink.isLate(2000), true)
  const bound = 50 * (40 + limits.slackMs)
  assert.ok(Math.abs(uplink.roomBytes(2000) - bound) < 200, String(uplink.roomBytes(2000)))
  const silent = new Uplink()
  silent.acknowledged(0, ack(0, 0), 40)
  silent.sent(1, 1, 1000, true)
  assert.equal(silent.isLate(400), false)
  assert.equal(silent.isLate(500), true)
  assert.equal(silent.roomBytes(500), limits.floorBytes - 1000)
})

test('what waits too long for room is dropped whole, and its tracks are told', () => {
  const pacer = new Pacer()
  const chunk = (/** @type {number} */ track, /** @type {number} */ at) => ({ track, sequence: 0, first: true, bytes: new Uint8Array(100), at })
  pacer.push(chunk(1, 0))
  pacer.push(chunk(2, 900))
  assert.equal(pacer.take(0), undefined)
  assert.deepEqual([...pacer.takeStale(defaults.pacer.maxWaitMs)], [])
  assert.equal(pacer.bytes, 200)
  assert.deepEqual([...pacer.takeStale(defaults.pacer.maxWaitMs + 1)], [1, 2])
  assert.equal(pacer.bytes, 0)
  assert.equal(pacer.take(1000), undefined)
  assert.deepEqual(pacer.counters, { staleDropped: 2 })
})

test('what waits of a track that stopped does not leave after it', () => {
  const pacer = new Pacer()
  for (const track of [1, 2, 1]) pacer.push({ track, sequence: 0, first: true, bytes: new Uint8Array(100), at: 0 })
  pacer.forget(1)
  assert.equal(pacer.bytes, 100)
  assert.equal(pacer.take(1000)?.track, 2)
  assert.equal(pacer.take(1000), undefined)
})

test('pictures go down to what was carried at once, and up to where trouble began before they probe', () => {
  const rate = new VideoRate()
  const calm = { trouble: false, clear: true, carried: 1 }
  assert.equal(rate.update(0, calm), false)
  assert.equal(rate.update(1000, { trouble: true, clear: false, carried: 0.6 }), true)
  assert.equal(rate.share, 0.6)
  assert.equal(rate.update(1100, { trouble: true, clear: false, carried: 0.6 }), false, 'what was done has not shown yet')
  assert.equal(rate.update(1600, { trouble: true, clear: false, carried: 0.1 }), true)
  assert.equal(rate.share, 0.6 * rates.downLeast, 'one bad reading does not take everything')
  let now = 1600
  while (rate.share < 1 && now < 60_000) rate.update((now += 100), calm)
  assert.equal(rate.share, 1)
  assert.ok(now < 15_000, String(now))
  assert.deepEqual(rate.counters, { down: 2, up: rate.counters.up, probes: 1, failedProbes: 0 })
  for (let i = 0; i < 100; i++) rate.update((now += 1000), { trouble: true, clear: false, carried: 0 })
  assert.equal(rate.share, rates.minShare)
})

const rows = []
for (const { kbit, rttMs } of [{ kbit: 500, rttMs: 40 }, { kbit: 500, rttMs: 20 }, { kbit: 1000, rttMs: 40 }, { kbit: 500, rttMs: 200 }]) {
  test(`a camera of 1.5 Mbit/s on ${kbit} kbit/s and ${rttMs} ms, which ends after half a minute`, () => {
    const { audio, video, shares } = publish({ seconds: 60, rttMs, bitsPerSecond: (second) => (second < 30 ? kbit * 1000 : 20e6) })
    const settled = [5000, 30_000]
    const audioP99 = delayOf(audio, settled[0], settled[1], 0.99) - rttMs / 2
    const videoP95 = delayOf(video, settled[0], settled[1], 0.95) - rttMs / 2
    const mean = shares.filter(({ at }) => at >= 5000 && at < 30_000).reduce((sum, { share }) => sum + share, 0) / 250
    const back = (shares.find(({ at, share }) => at >= 30_000 && share === 1)?.at ?? Infinity) - 30_000
    rows.push({ path: `${kbit} kbit/s, ${rttMs} ms`, 'sound p99 beyond path, ms': audioP99, 'picture p95 beyond path, ms': videoP95, 'mean share': mean.toFixed(2), 'all back after, s': back / 1000 })
    assert.ok(audioP99 <= limits.slackMs + 60, `sound waits ${audioP99} ms`)
    assert.ok(videoP95 <= 300, `pictures are ${videoP95} ms old`)
    const carries = (kbit * 1000 - 60_000) / 1_500_000
    assert.ok(mean > 0.6 * carries && mean < 1.25 * carries, `pictures use ${mean} where ${carries} is carried`)
    assert.ok(back <= 15_000, `back after ${back} ms`)
  })
}

test('on a path that carries everything, everything is sent within seconds and nothing waits', (t) => {
  const { audio, shares, counts } = publish({ seconds: 20, rttMs: 2, bitsPerSecond: () => 100e6 })
  assert.ok(/** @type {number} */ (shares.find(({ share }) => share === 1)?.at) <= 5000)
  assert.ok(delayOf(audio, 0, 20_000, 1) <= 10)
  assert.deepEqual([counts.skipped, counts.restarts], [0, 0])
  for (const row of rows) t.diagnostic(JSON.stringify(row))
})

test('a path that stands still for five seconds gets a keyframe, not what was kept', () => {
  const { audio, video, counts } = publish({ seconds: 30, rttMs: 40, bitsPerSecond: () => 5e6, stall: [10, 15] })
  assert.ok(counts.restarts > 0)
  assert.ok(delayOf(video, 16_500, 30_000, 0.99) < 200)
  assert.ok(delayOf(audio, 16_500, 30_000, 0.99) < 100)
})
