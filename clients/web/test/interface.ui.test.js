import assert from 'node:assert/strict'
import { test } from 'node:test'
import { handOrder, qualityText, troubleOf } from '../ui/marks.js'
import { readingsOf } from '../ui/readings.js'
import { actionOf } from '../ui/shortcuts.js'

const press = { key: 'm', modified: false, repeated: false, typing: false, onControl: false, inDialog: false, enabled: true }

test('each documented key does one thing', () => {
  const keys = { m: 'microphone', M: 'microphone', v: 'camera', s: 'share', h: 'hand', c: 'chat', p: 'participants', '?': 'help', ' ': 'talk' }
  for (const [key, action] of Object.entries(keys)) assert.equal(actionOf({ ...press, key }), action)
  assert.equal(actionOf({ ...press, key: 'x' }), null)
  assert.equal(actionOf({ ...press, key: 'Enter' }), null)
})

test('no shortcut while typing, in a dialog, with a modifier, held down, or switched off', () => {
  for (const change of [{ typing: true }, { inDialog: true }, { modified: true }, { repeated: true }, { enabled: false }]) assert.equal(actionOf({ ...press, ...change }), null)
  assert.equal(actionOf({ ...press, key: ' ', onControl: true }), null, 'space presses the button that has the focus')
  assert.equal(actionOf({ ...press, key: 'm', onControl: true }), 'microphone')
})

test('hands are in the order they went up', () => {
  const order = handOrder([{ id: 'a', handRaisedAt: 300 }, { id: 'b', handRaisedAt: null }, { id: 'c', handRaisedAt: 100 }, { id: 'd', handRaisedAt: 300 }])
  assert.deepEqual([...order], [['c', 1], ['a', 2], ['d', 3]])
})

test('why nothing is seen is said, an error before an interruption', () => {
  const camera = { source: /** @type {const} */ ('camera'), interrupted: null, error: null }
  assert.equal(troubleOf(camera), '')
  assert.equal(troubleOf({ ...camera, interrupted: 'hidden' }), 'Camera paused: tab in background')
  assert.equal(troubleOf({ ...camera, interrupted: 'hidden', error: /** @type {any} */ (new Error('Cannot be shown.')) }), 'Cannot be shown.')
  assert.equal(qualityText('poor'), 'Poor connection')
  assert.equal(qualityText(null), '')
})

const statistics = (/** @type {number} */ concealedMs) => ({
  rttMs: 31.4,
  quality: { label: 'good', mos: 4.12, rttMs: 31.4 },
  sent: { tracks: [{ source: 'microphone', bitsPerSecond: 32_000 }, { source: 'camera', bitsPerSecond: 500_000, fps: 29.7, config: { codec: 'vp8', codedWidth: 640, codedHeight: 360 } }] },
  received: { tracks: [
    { participantId: 'b', source: 'camera', bitsPerSecond: 1_200_000, fps: 30, width: 640, height: 360, codec: 'av01.0.04M.08', skewMs: 12.3 },
    { participantId: 'b', source: 'microphone', bitsPerSecond: 30_000, targetMs: 42, delayMs: 55.2, concealedMs },
  ] },
})
const names = new Map([['', 'Ada (you)'], ['b', 'Bob']])

test('counters read as a person reads them', () => {
  const first = readingsOf(statistics(100), names, 1000, null)
  assert.equal(first.readings.label, 'Good')
  assert.equal(first.readings.mos, '4.1')
  assert.equal(first.readings.roundTrip, '31\u00a0ms')
  assert.equal(first.readings.up, '532\u00a0kbit/s')
  assert.equal(first.readings.down, '1.2\u00a0Mbit/s')
  const { readings } = readingsOf(statistics(150), names, 2000, first.before)
  const bob = readings.people.find(({ id }) => id === 'b')
  assert.deepEqual(bob?.lines.map(({ source, values }) => [source, ...values].join(' ').replaceAll('\u00a0', ' ')), ['Camera 640 × 360 30 fps AV1 skew 12 ms', 'Sound buffer 42 ms delay 55 ms 5.0 % concealed'])
})

test('nothing measured yet reads as such', () => {
  const { readings } = readingsOf({}, names, 0, null)
  assert.deepEqual([readings.label, readings.mos, readings.roundTrip, readings.up], ['Measuring…', '–', '–', '0\u00a0kbit/s'])
  assert.ok(readings.people.every(({ lines }) => lines.length === 0))
})
