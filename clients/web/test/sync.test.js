// When pictures are shown against their sound, in made-up time.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaults } from '../sdk/defaults.js'
import { PictureQueue, SkewLog } from '../sdk/recv/sync.js'

const { leadMs, maxPictures } = defaults.sync
/** The sender's clock is far from this one's. */
const CLOCK = 5_000_000

/** A call of pictures each 33 ms; `soundMs(now)` is what is heard. Returns skews and delays of what was shown. */
function play({ seconds, transitMs, soundMs }) {
  const queue = new PictureQueue()
  const arrivals = Array.from({ length: Math.round(seconds * 30) }, (_, i) => ({ captured: (i * 1000) / 30, at: (i * 1000) / 30 + transitMs(i) }))
  const shown = []
  let next = 0
  for (let now = 0; now < seconds * 1000 + 500; now++) {
    for (; next < arrivals.length && arrivals[next].at <= now; next++) queue.push(CLOCK + arrivals[next].captured, arrivals[next].captured)
    const sound = soundMs(now)
    const { show, drop } = queue.take(now, sound === null ? null : CLOCK + sound)
    assert.ok(drop.every((picture) => picture < show.picture), 'only older pictures are left out')
    if (show) shown.push({ skew: sound === null ? null : show.picture - sound, delay: now - show.picture })
    const timeout = queue.nextTimeoutMs(now)
    assert.equal(timeout === null, queue.length === 0)
    assert.ok(queue.length <= maxPictures)
  }
  return { shown, queue }
}

test('a picture waits for its sound, but for what nobody notices', () => {
  const { shown } = play({ seconds: 10, transitMs: () => 5, soundMs: (now) => now - 150 })
  assert.equal(shown.length, 300)
  for (const { skew } of shown) assert.ok(Math.abs(skew - leadMs) <= 1, `skew ${skew}`)
})

test('sound that is nearly as quick as the picture delays nothing', () => {
  const { shown } = play({ seconds: 5, transitMs: () => 5, soundMs: (now) => now - 45 })
  for (const { delay } of shown) assert.ok(delay <= 6, `delay ${delay}`)
})

test('without sound pictures are shown as they come', () => {
  const { shown } = play({ seconds: 5, transitMs: () => 5, soundMs: () => null })
  assert.equal(shown.length, 150)
  for (const { delay } of shown) assert.ok(delay <= 6)
})

test('a late picture does not wait, and sound does not wait for it', () => {
  const { shown } = play({ seconds: 5, transitMs: (i) => (i % 30 === 29 ? 30 : 5) + 300, soundMs: (now) => now - 60 })
  for (const { delay } of shown) assert.ok(delay <= 331)
})

test('after a stall of the pictures the newest is shown, the ones before are left out', () => {
  const stalled = (i) => (i >= 60 && i < 90 ? 5 + ((90 - i) * 1000) / 30 : 5)
  const { shown, queue } = play({ seconds: 5, transitMs: stalled, soundMs: (now) => now - 100 })
  assert.ok(queue.counters.skipped >= 25)
  assert.ok(shown.at(-1).delay < 70)
})

test('sound that stops, starts anew and jumps is followed within a picture or two', () => {
  const sound = (now) => (now < 2000 ? now - 60 : now < 3000 ? null : now - 200)
  const { shown } = play({ seconds: 6, transitMs: () => 5, soundMs: sound })
  assert.ok(shown.slice(-80).every(({ skew }) => Math.abs(skew - leadMs) <= 2))
})

test('a clock that lies delays nothing and keeps nothing', () => {
  const queue = new PictureQueue()
  queue.push(CLOCK + 1e9, 'future')
  assert.equal(queue.take(0, CLOCK).show?.picture, 'future')
  queue.push(-1e12, 'past')
  assert.equal(queue.take(1, CLOCK).show?.picture, 'past')
  assert.equal(queue.counters.unsynced, 1)
  assert.equal(queue.nextTimeoutMs(1), null)
})

test('a queue beyond its bound shows early instead of growing', () => {
  const queue = new PictureQueue()
  for (let i = 0; i < 50; i++) {
    queue.push(CLOCK + i, i)
    queue.take(0, CLOCK - 400)
  }
  assert.equal(queue.length, maxPictures)
  assert.equal(queue.counters.overflow, 40)
  assert.deepEqual(queue.clear().length, maxPictures)
})

test('the skew of a track is that of its latest pictures', () => {
  const log = new SkewLog()
  assert.equal(log.p95, null)
  for (let i = 0; i < 1000; i++) log.add(i < 900 ? 500 : -20)
  assert.equal(log.p95, 500)
  for (let i = 0; i < 300; i++) log.add(-30)
  assert.equal(log.p95, 30)
})
