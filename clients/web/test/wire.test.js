// The bytes of the protocol against the golden vectors that the Rust side reads too.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { PulseError } from '../sdk/errors.js'
import {
  chunkFrame, encodeControl, encodeFrame, encodeMedia, FrameType, newer, parseControl, parseFrame, parseMedia, Reassembler, WireError, ZERO_ID,
} from '../sdk/wire.js'

const vectors = JSON.parse(readFileSync(new URL('../../../proto/vectors.json', import.meta.url), 'utf8'))
const ID = '0b51d01a-4d7e-4f3a-9a25-4a1a8b3fd0c1'

const fromHex = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16))
const toHex = (bytes) => Buffer.from(bytes).toString('hex')

/** The bytes of an entry, its repetition written out. */
function bytesOf({ hex = '', repeat, byte, times, then = '' }) {
  if (repeat) return fromHex(hex + repeat.byte.repeat(repeat.times) + (repeat.then ?? ''))
  return byte === undefined ? fromHex(hex) : fromHex(hex + byte.repeat(times) + then)
}

const named = (name) => (error) => error instanceof WireError && error.name === name

for (const vector of vectors.frames) {
  test(`frame: ${vector.name}`, () => {
    const bytes = bytesOf(vector)
    const frame = parseFrame(bytes)
    assert.equal(frame.id, vector.id === 'zero' ? ZERO_ID : vector.id)
    assert.equal(frame.type, vector.type)
    if (!vector.repeat) assert.equal(toHex(frame.payload), vector.payload)
    assert.deepEqual(encodeFrame(frame.id, frame.type, frame.payload), bytes)
  })
}

for (const vector of vectors.media) {
  test(`media: ${vector.name}`, () => {
    const bytes = bytesOf(vector)
    const { payload, captured, ...header } = parseMedia(bytes)
    const { name, hex, repeat, payload: expected, captured: at, ...rest } = vector
    assert.deepEqual(header, rest)
    assert.equal(captured, BigInt(at))
    if (!repeat) assert.equal(toHex(payload), expected)
    assert.deepEqual(encodeMedia({ ...header, payload, captured }), bytes)
  })
}

for (const vector of vectors.chunking) {
  test(`chunking: ${vector.name}`, () => {
    const payload = Uint8Array.from({ length: vector.bytes }, (_, i) => i % 251)
    const frame = {
      id: ID, track: 1, config: 0, keyframe: true, discardable: false, spatial: 0, temporal: 0, ref: 0, level: 0x7f, sequence: 9,
      captured: 5n, payload,
    }
    if (vector.error) {
      assert.throws(() => chunkFrame(frame), named(vector.error))
      return
    }
    const messages = chunkFrame(frame)
    if (vector.frames) assert.deepEqual(messages.map(({ length }) => length), vector.frames)
    else assert.deepEqual([messages.length, messages[0].length, messages.at(-1).length], [vector.count, vector.first, vector.last])
    const reassembler = new Reassembler()
    const whole = messages.map((message) => reassembler.push(parseMedia(message)))
    assert.deepEqual(whole.at(-1)?.payload, payload)
    assert.ok(whole.slice(0, -1).every((each) => each === null))
  })
}

for (const vector of vectors.reassembly) {
  test(`reassembly: ${vector.name}`, () => {
    const reassembler = new Reassembler()
    const whole = []
    for (const message of vector.messages) {
      try {
        const frame = reassembler.push(parseMedia(bytesOf(message)))
        if (frame) whole.push(frame)
      } catch (error) {
        // What contradicts the frame is left out; what else fails is a bug.
        if (!named('bad_chunk')(error)) throw error
      }
    }
    if (vector.becomes === null) {
      assert.deepEqual(whole, [])
      return
    }
    assert.equal(whole.length, 1)
    assert.equal(whole[0].sequence, vector.sequence)
    assert.equal(toHex(whole[0].payload), vector.becomes.map((part) => toHex(bytesOf(part))).join(''))
  })
}

test('a reassembler gives its oldest parts up', () => {
  const reassembler = new Reassembler(2)
  const part = (sequence) => parseMedia(chunkFrame({
    id: ID, track: 1, config: 0, keyframe: true, discardable: false, spatial: 0, temporal: 0, ref: 0, level: 0x7f, sequence,
    captured: 5n, payload: new Uint8Array(1000),
  })[0])
  for (const sequence of [1, 2, 3]) assert.equal(reassembler.push(part(sequence)), null)
  assert.equal(reassembler.abandoned, 1)
})

for (const vector of vectors.malformed.filter(({ side }) => side === 'both')) {
  test(`malformed: ${vector.name}`, () => {
    const bytes = bytesOf(vector)
    const parse = () => (bytes[36] === FrameType.MEDIA ? parseMedia(bytes) : parseFrame(bytes))
    assert.throws(parse, named(vector.error))
  })
}

for (const { a, b, newer: expected } of vectors.serial) {
  test(`serial: ${a} and ${b}`, () => assert.equal(newer(a, b), expected))
}

for (const vector of vectors.control.filter(({ from }) => from === 'edge')) {
  test(`control: ${vector.name}`, () => {
    const payload = new TextEncoder().encode(JSON.stringify(vector.json))
    assert.doesNotThrow(() => parseControl(vector.type, payload))
  })
}

for (const vector of vectors.malformed.filter(({ side }) => side === 'client')) {
  test(`malformed: ${vector.name}`, () => {
    const { type, payload } = parseFrame(bytesOf(vector))
    assert.throws(() => parseControl(type, payload), named(vector.error))
  })
}

test('a row of an edge that knows neither hands nor qualities has none', () => {
  const { json } = vectors.control.find(({ name }) => name === 'welcome to others, resumed')
  const [row] = parseControl(FrameType.WELCOME, new TextEncoder().encode(JSON.stringify(json))).roster.participants
  assert.deepEqual([row.hand, row.quality], [null, null])
})

test('a control message that lacks a field is refused', () => {
  const { type, payload } = parseFrame(encodeControl(ID, FrameType.TRACK_STOP, { track: 16 }))
  assert.throws(() => parseControl(type, payload), named('bad_json'))
  assert.throws(() => parseControl(FrameType.WELCOME, new TextEncoder().encode('{}')), named('bad_json'))
  assert.throws(() => parseControl(FrameType.PONG, Uint8Array.of(0xff)), named('bad_json'))
})

test('errors that both sides find have the same number', () => {
  const codes = new Map(vectors.errors.map(({ code, name }) => [name, code]))
  for (const name of ['internal_error', 'chat_too_long', 'image_too_large', 'not_an_image']) assert.equal(new PulseError(name).code, codes.get(name))
  assert.equal(new PulseError('not_connected').code, 0)
})
