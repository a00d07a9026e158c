// How good a conversation is: known points of the E-model, and a word that neither flickers nor lags.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaults } from '../sdk/defaults.js'
import { mosOf, Quality, wordOf } from '../sdk/quality.js'

const sample = (given = {}) => ({ rttMs: 40, playoutMs: 60, uplinkMs: 0, lostShare: 0, ...given })

test('the model agrees with G.107 where both are known', () => {
  // R 93.2 is MOS 4.41; 150 ms one way cost 3.6 of R; 400 ms are R 59.1, where nearly everybody is dissatisfied.
  assert.ok(Math.abs(mosOf({ rttMs: 0, playoutMs: 0, uplinkMs: 0, lostShare: 0 }) - 4.41) < 0.01)
  assert.ok(Math.abs(mosOf({ rttMs: 300, playoutMs: 0, uplinkMs: 0, lostShare: 0 }) - 4.33) < 0.03)
  assert.ok(Math.abs(mosOf({ rttMs: 800, playoutMs: 0, uplinkMs: 0, lostShare: 0 }) - 3.04) < 0.1)
})

test('every way of being worse is worse', () => {
  for (const worse of [{ rttMs: 500 }, { playoutMs: 300 }, { uplinkMs: 400 }, { lostShare: 0.05 }]) {
    assert.ok(mosOf(sample(worse)) < mosOf(sample()), JSON.stringify(worse))
  }
  assert.equal(mosOf(sample({ lostShare: 1, rttMs: 10_000 })), 1)
})

test('a short way without loss is excellent, an ocean good or better, a tenth lost poor', () => {
  assert.equal(wordOf(mosOf(sample())), 'excellent')
  assert.equal(wordOf(mosOf(sample({ rttMs: 350, playoutMs: 100 }))), 'good')
  assert.equal(wordOf(mosOf(sample({ lostShare: 0.1 }))), 'poor')
})

test('the word follows within seconds, at most every two, and does not flicker at a border', () => {
  const quality = new Quality()
  let now = 0
  const changes = []
  const run = (seconds, of) => {
    for (const until = now + seconds * 1000; now < until; now += defaults.statisticsMs) if (quality.update(now, of(now))) changes.push([now, quality.word])
  }
  run(10, () => sample())
  assert.deepEqual(changes.map(([, word]) => word), ['excellent'])
  run(10, () => sample({ lostShare: 0.15 }))
  assert.equal(quality.word, 'poor')
  run(20, () => sample())
  assert.equal(quality.word, 'excellent')
  for (let index = 1; index < changes.length; index++) assert.ok(changes[index][0] - changes[index - 1][0] >= defaults.quality.intervalMs)
  const before = changes.length
  // Just around the border between excellent and good.
  let rttMs = 0
  while (mosOf(sample({ rttMs })) > defaults.quality.excellentMos) rttMs++
  run(60, (at) => sample({ rttMs: rttMs + (at % 1000 ? 10 : -10) }))
  assert.ok(changes.length - before <= 1, JSON.stringify(changes.slice(before)))
  quality.reset()
  assert.equal(quality.word, null)
})
