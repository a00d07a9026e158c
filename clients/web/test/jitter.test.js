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
  assert.equal(jitter.targetMs, defaults.jitter.startTargetMs)
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
  assert.deepEqual(kinds(jitter.push(2000, packet(100), 0)), ['gap 60', 100])
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
  assert.equal(jitter.targetMs, 120)
  for (let i = 2; i < 1000; i++) jitter.push(i * 20, packet(i, 1000 + i * 20), 20)
  assert.equal(jitter.targetMs, defaults.jitter.minTargetMs)
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
