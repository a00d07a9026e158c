// The jitter buffer's decisions, in made-up time.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaults } from '../sdk/defaults.js'
import { JitterBuffer } from '../sdk/recv/jitter.js'

const { startMs, reserveMs, maxTargetMs } = defaults.jitter
const packet = (sequence, capturedMs = 1000 + sequence * 20) => ({ sequence: sequence >>> 0, capturedMs, payload: new Uint8Array(1) })
const kinds = (playables) => playables.map((item) => (
  item.kind === 'packet' ? `${item.drop ? 'drop ' : ''}${item.packet.sequence}` : `${item.kind} ${Math.round(item.durationMs)}`))

/** A ring that plays as time goes on. */
class Player {
  jitter = new JitterBuffer()
  #now = 0
  depth = 0

  /** @param {number} now */
  until(now) {
    this.depth = Math.max(0, this.depth - (now - this.#now))
    this.#now = now
  }

  #take(playables) {
    for (const item of playables) this.depth += item.kind !== 'packet' ? item.durationMs : item.drop ? 0 : 20 + item.stretchMs
    return kinds(playables)
  }

  /** @param {number} now @param {ReturnType<typeof packet>} given */
  push(now, given) {
    this.until(now)
    return this.#take(this.jitter.push(now, given, this.depth))
  }

  poll(now) {
    this.until(now)
    return this.#take(this.jitter.poll(now, this.depth))
  }

  /** Packets in time. */
  steady(from, to, capturedMs = 1000, at = 0) {
    for (let i = from; i < to; i++) this.push(at + i * 20, packet(i, capturedMs + i * 20))
    return this
  }
}

test('the first packet waits as silence, what follows plays at once', () => {
  const player = new Player()
  assert.deepEqual(player.push(0, packet(0)), [`silence ${startMs}`, '0'])
  for (let i = 1; i < 5; i++) assert.deepEqual(player.push(i * 20, packet(i)), [String(i)])
  const { counters } = player.jitter
  assert.deepEqual([counters.lost, counters.underruns, counters.silences], [0, 0, 0])
})

test('on a quiet path the aim falls to what the audio thread needs', () => {
  const { jitter } = new Player().steady(0, 500)
  assert.equal(jitter.targetMs, 20 + reserveMs)
  assert.ok(Math.abs(jitter.delayMs - reserveMs) < 4, String(jitter.delayMs))
})

test('reordered packets play in order while the ring lasts', () => {
  const player = new Player().steady(0, 2)
  assert.deepEqual(player.push(40, packet(3)), [])
  assert.deepEqual(player.push(43, packet(2)), ['2', '3'])
  assert.equal(player.jitter.counters.lost, 0)
})

test('a missing packet is concealed when the ring is about to run dry, by what keeps the delay', () => {
  const player = new Player().steady(0, 2)
  assert.deepEqual(player.push(45, packet(3)), [])
  const due = player.jitter.nextTimeout()
  assert.equal(due, 45 + player.depth - reserveMs)
  const [gap, next] = player.poll(due)
  assert.ok(/^conceal \d+$/.test(gap), gap)
  assert.equal(next, '3')
  assert.equal(player.jitter.counters.lost, 1)
  assert.equal(player.jitter.nextTimeout(), null)
})

test('nothing is waited for when the ring is nearly empty', () => {
  const jitter = new JitterBuffer()
  jitter.push(0, packet(0), 0)
  assert.equal(kinds(jitter.push(40, packet(2), 5)).at(-1), '2')
})

test('long gaps are concealed only so far; far ones are a new numbering', () => {
  const player = new Player().steady(0, 3)
  const [first, ...rest] = player.push(2000, packet(100))
  assert.ok(first === '100' || /^silence/.test(first), first)
  assert.equal(player.jitter.counters.lost, 97)
  assert.deepEqual(player.push(2020, packet(500_000, 3020)), ['500000'])
  assert.deepEqual([player.jitter.counters.lost, player.jitter.counters.restarts, rest.length <= 1], [97, 1, true])
})

test('a sender that counts anew is heard again', () => {
  const player = new Player().steady(5000, 5010)
  assert.ok(player.push(5010 * 20, packet(3, 1000 + 5010 * 20)).includes('3'), 'a later time tells it at once')
  const jumped = new Player().steady(5000, 5010)
  let heard = 0
  for (let i = 0; i < 30; i++) heard += jumped.push((5010 + i) * 20, packet(i, 7 + i * 20)).length ? 1 : 0
  assert.ok(heard >= 20, 'if its clock begins anew as well, after some packets')
})

test('late and repeated packets are dropped and told apart', () => {
  const player = new Player().steady(1, 3)
  assert.deepEqual(player.push(45, packet(0)), [])
  assert.deepEqual(player.push(46, packet(2)), [])
  player.push(60, packet(4))
  assert.deepEqual(player.push(60, packet(4)), [])
  assert.deepEqual([player.jitter.counters.late, player.jitter.counters.duplicate], [1, 2])
})

test('what is held behind a gap is bounded', () => {
  const jitter = new JitterBuffer()
  jitter.push(0, packet(0), 300)
  let given = 0
  for (let i = 2; i < 200; i++) given += jitter.push(i, packet(i), 300).length
  assert.ok(given >= 150)
})

test('sequence numbers wrap', () => {
  const player = new Player()
  for (let i = -50; i < 50; i++) assert.equal(player.push((i + 50) * 20, packet(i, 9000 + i * 20)).at(-1), String(i >>> 0))
  const { lost, late, duplicate, restarts } = player.jitter.counters
  assert.deepEqual([lost, late, duplicate, restarts], [0, 0, 0, 0])
})

test('an empty ring is an underrun only if the sender went on', () => {
  const player = new Player().steady(0, 50)
  player.push(1150, packet(50))
  assert.deepEqual([player.jitter.counters.underruns, player.jitter.counters.silences], [1, 0])
  assert.ok(player.jitter.counters.underrunMs > 50)
  const [first] = player.push(5000, packet(51, 1000 + 4850 + 150))
  assert.ok(/^silence/.test(first), 'it begins with what it should wait')
  assert.deepEqual([player.jitter.counters.underruns, player.jitter.counters.silences], [1, 1])
})

test('after a mute nothing counts as lost', () => {
  const player = new Player().steady(0, 50)
  player.jitter.reset()
  assert.equal(player.push(6000, packet(90, 7000)).at(-1), '90')
  assert.deepEqual([player.jitter.counters.lost, player.jitter.counters.underruns], [0, 0])
})

test('the aim rises within some packets and falls slowly', () => {
  const player = new Player().steady(0, 500)
  const { jitter } = player
  const calm = jitter.targetMs
  for (let i = 500; i < 530; i++) player.push(i * 20 + (i % 3 ? 60 : 0), packet(i))
  assert.ok(jitter.targetMs >= calm + 55, String(jitter.targetMs))
  const raised = jitter.targetMs
  for (let i = 530; i < 580; i++) player.push(i * 20, packet(i))
  assert.ok(jitter.targetMs > raised - 45, 'no faster than playing can follow')
})

test('one stall does not raise the aim', () => {
  const player = new Player().steady(0, 4000)
  for (let i = 4000; i < 4025; i++) player.push(4025 * 20, packet(i))
  assert.equal(player.jitter.targetMs, 20 + reserveMs)
})

test('what waited for a joiner is cut to live at once', () => {
  const player = new Player()
  for (let i = 0; i < 40; i++) player.push(800, packet(i))
  for (let i = 40; i < 45; i++) player.push(i * 20 + 20, packet(i))
  assert.ok(player.depth <= 20 + startMs + 20, `${player.depth} ms`)
  assert.ok(player.jitter.counters.cutMs >= 600)
})

test('an old packet out of a cache costs nothing', () => {
  const player = new Player()
  player.push(5000, packet(0))
  for (let i = 250; i < 300; i++) player.push(i * 20 + 20, packet(i))
  const { counters } = player.jitter
  assert.ok(player.depth < 60 && counters.concealedMs <= 40, `${player.depth} ms, ${JSON.stringify(counters)}`)
})

test('after a stall of 500 ms it is live again at once', () => {
  const player = new Player().steady(0, 500)
  for (let i = 500; i < 525; i++) player.push(525 * 20, packet(i))
  for (let i = 525; i < 535; i++) player.push(i * 20, packet(i))
  assert.ok(player.depth <= player.jitter.targetMs + 20, `${player.depth} ms`)
})

for (const jumpMs of [3_600_000, -3_600_000, 5000, -5000]) {
  test(`a capture clock that jumps by ${jumpMs} ms is followed`, () => {
    const player = new Player().steady(0, 500)
    const played = []
    for (let i = 500; i < 1000; i++) played.push(...player.push(i * 20, packet(i, 1000 + jumpMs + i * 20)))
    assert.ok(played.filter((kind) => /^\d+$/.test(kind)).length >= 495, 'everything plays')
    assert.ok(player.depth < 60, `${player.depth} ms`)
    assert.ok(player.jitter.targetMs < 60, `${player.jitter.targetMs} ms`)
  })
}

test('single capture times out of the blue do no lasting harm', () => {
  for (const wrong of [1e9, -1e9, 400, -400]) {
    const player = new Player().steady(0, 500)
    player.push(500 * 20, packet(500, 1000 + 500 * 20 + wrong))
    for (let i = 501; i < 1600; i++) player.push(i * 20, packet(i))
    assert.ok(player.jitter.counters.underruns <= 2, `${wrong}: ${JSON.stringify(player.jitter.counters)}`)
    assert.ok(player.depth < 60 && player.depth > 0, `${wrong}: ${player.depth} ms`)
  }
})

test('a path that becomes 100 ms longer is no lateness for ever', () => {
  const player = new Player().steady(0, 500)
  for (let i = 500; i < 1500; i++) player.push(i * 20 + 100, packet(i))
  assert.ok(player.jitter.targetMs < 60, `${player.jitter.targetMs} ms`)
  assert.ok(player.jitter.delayMs < 60, `${player.jitter.delayMs} ms`)
})

test('too deep a ring is squeezed, too shallow a one stretched, a huge one cut', () => {
  const stretches = (depthMs) => {
    const jitter = new JitterBuffer()
    jitter.push(0, packet(0), 0)
    let ms = 0
    for (let i = 1; i < 200; i++) for (const item of jitter.push(i * 20, packet(i), depthMs)) ms += item.stretchMs ?? 0
    return { ms, ...jitter.counters }
  }
  assert.ok(stretches(80).ms < -50)
  assert.ok(stretches(1).ms > 20)
  assert.ok(stretches(maxTargetMs + 200).dropped > 100)
})
