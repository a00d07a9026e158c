// What a page gives up that cannot keep up, when, and when it takes it back; what of that is asked of the edge.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaults } from '../sdk/defaults.js'
import { VideoRate } from '../sdk/send/rate.js'
import { combine, isOverloaded, Ladder } from '../sdk/send/shed.js'
import { Subscription } from '../sdk/worker/subscription.js'

const { shed, statisticsMs } = defaults
const FINE = { lagMs: 2, busyShare: 0.3, skippedShare: 0, decoderOverload: 0 }
const steps = (/** @type {Ladder} */ ladder) => combine(ladder.taken, []).limitation.steps

/** Lets time pass in windows. @param {Ladder} ladder @param {number} from @param {number} ms @param {boolean} trouble @returns {number} */
function pass(ladder, from, ms, trouble) {
  let now = from
  for (; now < from + ms; now += statisticsMs) ladder.update(now, trouble)
  return now
}

test('each sign of a page that cannot keep up counts; a machine that slept is none', () => {
  assert.equal(isOverloaded(FINE), false)
  assert.equal(isOverloaded({ ...FINE, lagMs: shed.lagMs + 1 }), true)
  assert.equal(isOverloaded({ ...FINE, busyShare: 0.9 }), true)
  assert.equal(isOverloaded({ ...FINE, skippedShare: 0.2 }), true)
  assert.equal(isOverloaded({ ...FINE, decoderOverload: 1 }), true)
  assert.equal(isOverloaded({ ...FINE, lagMs: 3_600_000 }), false)
})

test('layers go first, then frame rate, size and hidden video, one at a time', () => {
  const ladder = new Ladder()
  const seen = []
  let now = 0
  for (let i = 0; i < 30; i++) {
    now = pass(ladder, now, shed.settleMs, true)
    const text = steps(ladder).join()
    if (seen.at(-1) !== text) seen.push(text)
  }
  assert.deepEqual(seen, ['layers', 'layers,framerate', 'layers,framerate,size', 'layers,framerate,size,hiddenVideo'])
  const { limits, limitation } = combine(ladder.taken, [])
  assert.deepEqual(limits, { maxTemporal: 0, thin: false, divisor: 3, small: true, onStage: 1 })
  assert.equal(limitation.reason, 'cpu')
})

test('a hiccup costs nothing', () => {
  const ladder = new Ladder()
  let now = 0
  for (let i = 0; i < 20; i++) {
    now = pass(ladder, now, (shed.troubleWindows - 1) * statisticsMs, true)
    now = pass(ladder, now, statisticsMs, false)
  }
  assert.equal(ladder.taken.length, 0)
})

test('what was given up comes back step by step, and later each time that this was too early', () => {
  const ladder = new Ladder()
  let now = pass(ladder, 0, 2 * shed.settleMs, true)
  const depth = ladder.taken.length
  assert.ok(depth > 0)
  /** Time until the next step up. */
  const calm = () => {
    const from = now
    const before = ladder.taken.length
    while (ladder.taken.length === before) now = pass(ladder, now, statisticsMs, false)
    return now - from
  }
  const first = calm()
  assert.ok(Math.abs(first - shed.upAfterMs) <= 2 * statisticsMs, String(first))
  now = pass(ladder, now, shed.settleMs + shed.troubleWindows * statisticsMs, true)
  const second = calm()
  assert.ok(Math.abs(second - 2 * shed.upAfterMs) <= 2 * statisticsMs, String(second))
  while (ladder.taken.length > 0) calm()
  // Long enough without any, and it is as in the beginning.
  now = pass(ladder, now, shed.maxUpAfterMs + statisticsMs, false)
  now = pass(ladder, now, 2 * shed.settleMs, true)
  assert.ok(calm() <= first + statisticsMs)
  assert.ok(ladder.counters.down >= 2 && ladder.counters.up >= 2 && ladder.counters.relapses === 1, JSON.stringify(ladder.counters))
})

test('few bits are another reason, with steps of their own; a busy page comes first', () => {
  const rate = new VideoRate()
  let now = 0
  const steps = () => combine([], rate.taken).limitation
  assert.deepEqual(steps(), { reason: 'none', steps: [] })
  const seen = []
  const trouble = { trouble: true, clear: false, carried: 1 }
  for (let i = 0; i < 20; i++, now += 1000) {
    rate.update(now, trouble)
    const text = steps().steps.join()
    if (seen.at(-1) !== text) seen.push(text)
  }
  assert.deepEqual(seen, ['bitrate', 'bitrate,layers', 'bitrate,layers,framerate', 'bitrate,layers,framerate,size'])
  assert.equal(steps().reason, 'bandwidth')
  assert.equal(combine([], rate.taken).limits.maxTemporal, 3, 'what this page receives is left alone')
  assert.equal(combine(shed.rungs.slice(0, 1), rate.taken).limitation.reason, 'cpu')
  for (let i = 0; i < 200; i++, now += 1000) rate.update(now, { trouble: false, clear: true, carried: 1 })
  assert.deepEqual(steps(), { reason: 'none', steps: [] })
})

const tracks = ['ada', 'bob', 'cleo'].map((participant) => ({ participant, track: 1, source: /** @type {const} */ ('camera') }))
const screen = { participant: 'bob', track: 2, source: /** @type {const} */ ('screen') }

test('nothing is asked for as long as everything is wanted; what changed is said once, and again on a new connection', () => {
  const subscription = new Subscription()
  assert.equal(subscription.next(tracks), null)
  assert.equal(subscription.next(tracks, true), null)
  subscription.setVisible('ada', 'camera', false)
  const message = { audio: true, video: true, paused: [{ participant: 'ada', track: 1 }], maxTemporal: 3 }
  assert.deepEqual(subscription.next(tracks), message)
  assert.equal(subscription.next(tracks), null)
  assert.deepEqual(subscription.next(tracks, true), message)
  subscription.setVisible('ada', 'camera', true)
  assert.deepEqual(subscription.next(tracks), { ...message, paused: [] })
  assert.deepEqual(subscription.next(tracks, true), { ...message, paused: [] }, 'a resumed connection may remember the one before')
})

test('a track that starts again is seen until somebody says that it is not', () => {
  const subscription = new Subscription()
  subscription.setVisible('ada', 'camera', false)
  subscription.next(tracks)
  subscription.next(tracks.slice(1))
  assert.deepEqual(subscription.message(tracks).paused, [])
})

test('qualities: low is the base layer, audio only no video', () => {
  const subscription = new Subscription()
  subscription.quality = 'low'
  assert.deepEqual(subscription.next(tracks), { audio: true, video: true, paused: [], maxTemporal: 0 })
  subscription.quality = 'audioOnly'
  assert.deepEqual(subscription.next(tracks), { audio: true, video: false, paused: [], maxTemporal: 3 })
  subscription.quality = 'high'
  subscription.limits = { maxTemporal: 1, onStage: Infinity }
  assert.equal(subscription.message(tracks).maxTemporal, 1, 'overload thins that too')
})

test('on the last steps who speaks stays, and every screen', () => {
  const subscription = new Subscription()
  assert.equal(subscription.spoke(['bob']), false, 'everybody is on stage')
  subscription.spoke(['cleo'])
  subscription.limits = { maxTemporal: 0, onStage: 1 }
  const paused = () => subscription.message([...tracks, screen]).paused.map(({ participant, track }) => `${participant}/${track}`)
  assert.deepEqual(paused(), ['ada/1', 'bob/1'])
  assert.equal(subscription.spoke(['ada']), true)
  assert.equal(subscription.spoke(['ada']), false)
  assert.deepEqual(paused(), ['bob/1', 'cleo/1'])
  subscription.setVisible('ada', 'camera', false)
  assert.deepEqual(paused(), ['ada/1', 'bob/1'], 'who cannot be seen takes no place')
})
