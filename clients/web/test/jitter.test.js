// The jitter buffer's decisions, in made-up time.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaults } from '../sdk/defaults.js'
import { JitterBuffer } from '../sdk/recv/jitter.js'

const packet = (sequence, capturedMs = 1000 + sequence * 20) => ({ sequence: sequence >>> 0, capturedMs, payload: new Uint8Array(1) })
const kinds = (playables) => playables.map((item) => (item.kind === 'packet' ? item.packet.sequence : `gap ${item.durationMs}`))

test('packets in order play at once', () => {
  const jitter = new JitterBuffer()
  for (let i = 0; i < 5; i++) assert.deepEqual(kinds(jitter.push(i * 20, packet(i), 20)), [i])
  assert.equal(jitter.counters.lost, 0)
  assert.equal(jitter.targetMs, defaults.jitter.minTargetMs)
})

test('reordered packets play in order while the ring lasts', () => {
  const jitter = new JitterBuffer()
  jitter.push(0, packet(0), 40)
  assert.deepEqual(kinds(jitter.push(20, packet(2), 40)), [])
  assert.deepEqual(kinds(jitter.push(25, packet(1), 35)), [1, 2])
  assert.equal(jitter.counters.lost, 0)
})

test('a missing packet is concealed once it has been waited for', () => {
  const jitter = new JitterBuffer()
  jitter.push(0, packet(0), 40)
  assert.deepEqual(kinds(jitter.push(20, packet(2), 40)), [])
  const due = jitter.nextTimeout()
  assert.equal(due, 40)
  assert.deepEqual(kinds(jitter.poll(due, 20)), ['gap 20', 2])
  assert.deepEqual([jitter.counters.lost, jitter.counters.concealedMs], [1, 20])
  assert.equal(jitter.nextTimeout(), null)
})

test('nothing is waited for when the ring is nearly empty', () => {
  const jitter = new JitterBuffer()
  jitter.push(0, packet(0), 0)
  assert.deepEqual(kinds(jitter.push(20, packet(2), 5)), ['gap 20', 2])
})

test('long gaps are concealed only so far, and not into a deep ring', () => {
  const jitter = new JitterBuffer()
  jitter.push(0, packet(0), 0)
  assert.deepEqual(kinds(jitter.push(2000, packet(100), 0)), [`gap ${defaults.jitter.minTargetMs + 20}`, 100])
  assert.equal(jitter.counters.lost, 99)
  const deep = new JitterBuffer()
  deep.push(0, packet(0), 0)
  deep.push(20, packet(2), 200)
  assert.deepEqual(kinds(deep.poll(1000, 200)), [2])
})

test('late and repeated packets are dropped', () => {
  const jitter = new JitterBuffer()
  jitter.push(0, packet(1), 20)
  assert.deepEqual(jitter.push(5, packet(0), 20), [])
  jitter.push(20, packet(3), 60)
  assert.deepEqual(jitter.push(21, packet(3), 60), [])
  assert.deepEqual([jitter.counters.late, jitter.counters.duplicate], [1, 1])
})

test('sequence numbers wrap', () => {
  const jitter = new JitterBuffer()
  jitter.push(0, packet(0xffff_ffff, 1000), 20)
  assert.deepEqual(kinds(jitter.push(20, packet(0, 1020), 20)), [0])
  assert.equal(jitter.counters.lost, 0)
})

test('an empty ring counts as underrun only if the sender went on', () => {
  const jitter = new JitterBuffer()
  jitter.push(0, packet(0, 1000), 20)
  jitter.push(90, packet(1, 1020), 0)
  assert.deepEqual([jitter.counters.underruns, jitter.counters.silences], [1, 0])
  jitter.push(3000, packet(2, 4000), 0)
  assert.deepEqual([jitter.counters.underruns, jitter.counters.silences], [1, 1])
})

test('the target follows the spread of arrivals up and, after calm, down', () => {
  const jitter = new JitterBuffer()
  jitter.push(0, packet(0, 1000), 20)
  jitter.push(120, packet(1, 1020), 0)
  assert.equal(jitter.targetMs, 100 + 20 + defaults.jitter.reserveMs)
  for (let i = 2; i < 1000; i++) jitter.push(i * 20, packet(i, 1000 + i * 20), 20)
  assert.equal(jitter.targetMs, defaults.jitter.minTargetMs)
})

/** Numbers from 0 to 1, the same in every run. */
function seeded(seed) {
  return () => {
    seed = (seed * 1_664_525 + 1_013_904_223) >>> 0
    return seed / 2 ** 32
  }
}

/**
 * Plays a trace into a ring that begins at its target, stops when it is dry and begins again, like the playout worklet.
 * @param {number[]} arrivals of packets of 20 ms, by number
 */
function play(arrivals) {
  const jitter = new JitterBuffer()
  const events = arrivals.map((at, i) => ({ at, i })).sort((a, b) => a.at - b.at)
  const ring = { depth: 0, playing: false, dry: 0 }
  const delays = []
  const targets = []
  let now = 0
  const advance = (until) => {
    const played = ring.playing ? Math.min(ring.depth, until - now) : 0
    ring.depth -= played
    ring.dry += until - now - played
    if (ring.playing && ring.depth <= 0) ring.playing = false
    now = until
  }
  const write = (playables) => {
    for (const item of playables) {
      if (item.kind === 'packet') delays.push(now - item.packet.capturedMs + ring.depth)
      ring.depth += item.kind === 'conceal' ? item.durationMs : item.keep * 20
    }
    if (!ring.playing && ring.depth >= jitter.targetMs) ring.playing = true
  }
  for (const { at, i } of events) {
    for (let due = jitter.nextTimeout(); due !== null && due <= at; due = jitter.nextTimeout()) {
      advance(Math.max(now, due))
      write(jitter.poll(now, ring.depth))
    }
    advance(Math.max(now, at))
    write(jitter.push(now, packet(i, i * 20), ring.depth))
    targets.push(jitter.targetMs)
  }
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length
  const spoilt = (ring.dry - arrivals[0] + jitter.counters.concealedMs) / (arrivals.length * 20)
  return { meanMs: mean(delays), spoilt, targets, counters: jitter.counters }
}

for (const [title, share, ordered] of /** @type {const} */ ([['on their own', 0.002, false], ['holding up what is behind them', 0.0007, true]])) {
  test(`rare packets that are 200 ms late, ${title}, cost little`, () => {
    const random = seeded(7)
    let last = 0
    const arrivals = Array.from({ length: 20_000 }, (_, i) => {
      const jitterMs = random() < share ? 200 : -4 * Math.log(1 - random())
      const at = i * 20 + 10 + jitterMs
      last = ordered ? Math.max(last, at) : at
      return last
    })
    const { meanMs, spoilt, targets, counters } = play(arrivals)
    assert.ok(meanMs <= 80, `mean delay ${meanMs} ms`)
    assert.ok(spoilt <= 0.01, `${spoilt * 100} % concealed or silent, ${JSON.stringify(counters)}`)
    // The trace does hold the outliers, and what they do to the target is over within seconds.
    assert.ok(ordered ? counters.underruns > 0 : counters.late > 10)
    assert.ok(targets.filter((target) => target > 80).length <= targets.length * 0.15)
  })
}

test('steady jitter is waited for', () => {
  const random = seeded(3)
  // In order, as a congested path delivers: every packet up to 100 ms late.
  let last = 0
  const arrivals = Array.from({ length: 10_000 }, (_, i) => (last = Math.max(last, i * 20 + 10 + random() * 100)))
  const { spoilt, targets } = play(arrivals)
  assert.ok(targets.at(-1) > 80)
  assert.ok(spoilt <= 0.01, `${spoilt * 100} %`)
})

test('a lasting backlog is squeezed, a huge one cut', () => {
  const jitter = new JitterBuffer()
  const keeps = []
  for (let i = 0; i < 60; i++) for (const item of jitter.push(i * 20, packet(i), 100)) keeps.push(item.keep)
  assert.ok(keeps.slice(0, 20).every((keep) => keep === 1))
  assert.equal(keeps.at(-1), 0.5)
  assert.equal(jitter.push(1200, packet(60), 1000)[0].keep, 0)
  assert.equal(jitter.counters.dropped, 1)
})

test('after a mute nothing counts as lost', () => {
  const jitter = new JitterBuffer()
  jitter.push(0, packet(0), 20)
  jitter.reset()
  assert.deepEqual(kinds(jitter.push(5000, packet(40, 6000), 0)), [40])
  assert.deepEqual([jitter.counters.lost, jitter.counters.underruns], [0, 0])
})
