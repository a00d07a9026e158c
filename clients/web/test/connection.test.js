// The connection reducer: joining, losing, coming back, giving up.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { backoffMs, edgeOf, initialConnection, isFinal, nextTimeout, reduce, sleptMs } from '../sdk/connection.js'
import { defaults } from '../sdk/defaults.js'

const random = 0.5

/** Runs events from the start; an event may be a function of the connection so far. */
function run(...events) {
  let connection = initialConnection()
  const effects = []
  for (const event of events) {
    const given = typeof event === 'function' ? event(connection) : event
    const [next, done] = reduce(connection, { random, now: 0, ...given })
    connection = next
    effects.push(...done)
  }
  return { connection, effects, names: effects.map((effect) => (effect.do === 'state' ? effect.state : effect.do)) }
}

const OWN = 'wss://own.example/v2'
const [SGP, IAD] = ['wss://sgp.example/v2', 'wss://iad.example/v2']
const connect = { type: 'connect', edges: [OWN] }
const opened = ({ generation }) => ({ type: 'opened', generation })
const welcome = ({ generation }) => ({ type: 'welcome', generation, resume: 'token', epoch: 7, alternates: [] })
const welcomeWith = (...alternates) => ({ generation }) => ({ type: 'welcome', generation, resume: 'token', epoch: 7, alternates })
const closed = (code, now = 0) => ({ generation }) => ({ type: 'closed', generation, code, reason: '', now })
const joined = [connect, opened, welcome]

test('a join opens, joins and is connected', () => {
  const { names, connection } = run(...joined)
  assert.deepEqual(names, ['connecting', 'open', 'join', 'connected'])
  assert.equal(connection.resume, 'token')
})

test('a first connection that fails is not retried', () => {
  const { connection, effects } = run(connect, closed(1006))
  assert.equal(connection.state, 'failed')
  assert.deepEqual(effects.at(-1), { do: 'state', state: 'failed', error: null })
})

test('a first connection that meets a restart is retried', () => {
  assert.equal(run(connect, closed(4033)).connection.state, 'connecting')
})

test('a lost connection is resumed at once, with its token', () => {
  const { names, connection } = run(...joined, closed(1006, 100))
  assert.equal(names.at(-1), 'reconnecting')
  assert.equal(nextTimeout(connection), 100)
  const again = run(...joined, closed(1006, 100), { type: 'tick', now: 100 }, opened)
  assert.deepEqual(again.effects.at(-1), { do: 'join', resume: 'token' })
  assert.equal(again.connection.state, 'reconnecting')
})

test('retries wait longer each time, up to a limit', () => {
  const waits = Array.from({ length: 8 }, (_, attempt) => backoffMs(attempt, 0))
  assert.deepEqual(waits, [0, 300, 1200, 2700, 4800, 7000, 7000, 7000])
  assert.ok(backoffMs(3, 0.99) > backoffMs(3, 0))
})

test('an old socket has no say any more', () => {
  const before = run(...joined)
  const stale = reduce(before.connection, { type: 'closed', generation: before.connection.generation - 1, code: 1006, reason: '', now: 0, random })
  assert.deepEqual(stale, [before.connection, []])
})

test('refusals are final, interruptions are not', () => {
  for (const code of [4002, 4004, 4008, 4009, 4010, 4011, 4013, 4015, 4030]) {
    assert.ok(isFinal(code), String(code))
    assert.equal(run(...joined, closed(code)).connection.state, 'failed')
  }
  for (const code of [1006, 4000, 4012, 4028, 4029, 4031, 4033]) {
    assert.ok(!isFinal(code), String(code))
    assert.equal(run(...joined, closed(code)).connection.state, 'reconnecting')
  }
})

test('an ERROR before an unclean close says why', () => {
  const error = { name: 'replaced', code: 4030, message: 'You joined from another page.' }
  const { effects } = run(...joined, ({ generation }) => ({ type: 'error', generation, error }), closed(1006))
  assert.deepEqual(effects.at(-1), { do: 'state', state: 'failed', error })
  const unsaid = run(...joined, closed(4030)).effects.at(-1)
  assert.equal(unsaid.error.code, 4030, 'a close code alone is kept')
})

test('a silent connection is given up, one that hears something is pinged', () => {
  const limit = defaults.connection.silenceLimitMs
  const { connection } = run(...joined)
  const [pinged, effects] = reduce(connection, { type: 'tick', now: 0, random })
  assert.deepEqual(effects, [{ do: 'ping' }])
  const [heard] = reduce(pinged, { type: 'received', now: limit - 1, generation: pinged.generation })
  assert.equal(reduce(heard, { type: 'tick', now: limit, random })[0].state, 'connected')
  const [lost, closing] = reduce(pinged, { type: 'tick', now: limit, random })
  assert.equal(lost.state, 'reconnecting')
  assert.equal(closing[0].do, 'close')
  // A busy machine has not looked yet: it looks once more, and what is silent then is silent.
  const lateBy = defaults.connection.lateTickMs + 1
  const [asleep] = reduce(pinged, { type: 'tick', now: limit + lateBy, random })
  assert.equal(asleep.state, 'connected')
  assert.equal(reduce(asleep, { type: 'tick', now: limit + 2 * lateBy, random })[0].state, 'reconnecting')
})

test('a join that is not answered ends: the first attempt fails, a later one is retried', () => {
  const late = defaults.connection.joinTimeoutMs
  assert.equal(run(connect, { type: 'tick', now: late }).connection.state, 'failed')
  const { connection } = run(...joined, closed(1006), { type: 'tick', now: 0 }, { type: 'tick', now: late })
  assert.equal(connection.state, 'reconnecting')
  assert.notEqual(connection.retryAt, null)
})

test('a gap in the roster leads to a new connection', () => {
  const roster = (epoch) => ({ generation }) => ({ type: 'roster', generation, epoch })
  assert.equal(run(...joined, roster(8), roster(9)).connection.state, 'connected')
  assert.deepEqual(run(...joined, roster(9)).names.slice(-2), ['close', 'reconnecting'])
})

test('after long enough it fails', () => {
  const { connection } = run(...joined, closed(1006, 0), { type: 'tick', now: 0 }, closed(1006, defaults.connection.giveUpMs))
  assert.equal(connection.state, 'failed')
  assert.equal(nextTimeout(connection), null)
})

test('the network coming back cuts the wait short', () => {
  const { names } = run(...joined, closed(1006), { type: 'tick' }, closed(1006), { type: 'networkChanged' })
  assert.equal(names.at(-1), 'open')
})

test('leaving says so and needs nothing more', () => {
  const { names, connection } = run(...joined, { type: 'disconnect' })
  assert.deepEqual(names.slice(-3), ['leave', 'close', 'disconnected'])
  assert.equal(nextTimeout(connection), null)
  assert.equal(run(...joined, { type: 'disconnect' }, connect).connection.state, 'connecting')
})

test('a changed network is asked whether it carries anything; who answers in time is left alone', () => {
  const { probeMs, pingIntervalMs } = defaults.connection
  const { connection, effects } = run(...joined, { type: 'networkChanged', now: 500 })
  assert.deepEqual(effects.at(-1), { do: 'ping' })
  assert.equal(nextTimeout(connection), 500 + Math.min(probeMs, pingIntervalMs))
  assert.deepEqual(reduce(connection, { type: 'networkChanged', now: 600, random }), [connection, []], 'asked once at a time')
  const { generation } = connection
  const [early] = reduce(connection, { type: 'pong', generation, now: 700, sentAt: 400 })
  assert.notEqual(early.probe, null, 'an answer to an older ping says nothing of the new path')
  const [answered] = reduce(early, { type: 'pong', generation, now: 800, sentAt: 501 })
  assert.equal(reduce(answered, { type: 'tick', now: 500 + probeMs, random })[0].state, 'connected')
})

test('a changed network that does not answer is left at once', () => {
  const { probeMs, lateTickMs } = defaults.connection
  const { connection } = run(...joined, { type: 'networkChanged', now: 500 })
  const until = 500 + probeMs
  const [heard] = reduce(connection, { type: 'received', now: until - 1, generation: connection.generation })
  const [lost, effects] = reduce(heard, { type: 'tick', now: until, random })
  assert.deepEqual(effects, [{ do: 'close', code: 4000 }, { do: 'state', state: 'reconnecting' }])
  assert.equal(nextTimeout(lost), until, 'and the first retry waits for nothing')
  assert.equal(lost.probe, null)
  const late = until + lateTickMs + 1
  assert.equal(nextTimeout(reduce(heard, { type: 'tick', now: late, random })[0]), Math.min(late + probeMs, heard.pingAt), 'a late look is none')
})

test('after a long sleep the connection is made anew at once; after a nap it has to prove itself', () => {
  const { idleLimitMs, probeMs } = defaults.connection
  assert.deepEqual(run(...joined, { type: 'woke', now: 10, sleptMs: idleLimitMs }).names.slice(-2), ['close', 'reconnecting'])
  const nap = run(...joined, { type: 'woke', now: 10, sleptMs: idleLimitMs - 1 })
  assert.equal(nap.names.at(-1), 'ping')
  assert.equal(nap.connection.probe.until, 10 + probeMs)
  const late = run(...joined, { type: 'woke', now: 8000, sleptMs: 8000 })
  assert.equal(reduce(late.connection, { type: 'tick', now: 8001, random })[0].state, 'connected', 'silence while asleep is no silence')
})

test('who sleeps or changes networks while reconnecting tries anew instead of waiting', () => {
  const attempt = [...joined, closed(1006), { type: 'tick', now: 0 }]
  const { connection } = run(...attempt)
  const early = run(...attempt, { type: 'networkChanged', now: 100 })
  assert.equal(early.connection.generation, connection.generation, 'an attempt that has just begun goes on')
  const stale = run(...attempt, { type: 'networkChanged', now: defaults.connection.probeMs })
  assert.equal(stale.connection.generation, connection.generation + 1)
  assert.equal(stale.names.at(-1), 'open')
  assert.equal(run(...attempt, { type: 'woke', now: 100, sleptMs: 3000 }).names.at(-1), 'open')
  assert.equal(run(...attempt, closed(1006), { type: 'woke', now: 100, sleptMs: 3000 }).names.at(-1), 'open')
  assert.deepEqual(run({ type: 'woke', now: 100, sleptMs: 3000 }).names, [], 'nothing to do without a call')
})

test('sleep is seen by either clock', () => {
  const before = { now: 1000, wall: 50_000 }
  assert.equal(sleptMs(before, { now: 3000, wall: 52_000 }, 3000), 0)
  assert.equal(sleptMs(before, { now: 63_000, wall: 112_000 }, 3000), 60_000, 'the timer came late')
  assert.equal(sleptMs(before, { now: 3000, wall: 112_000 }, 3000), 60_000, 'the monotonic clock stood still')
  assert.equal(sleptMs(before, { now: 3000, wall: 0 }, 3000), 0, 'a wall clock set back is no sleep')
})

/** The edges that were tried, in order. */
const tried = ({ effects }) => effects.flatMap((effect) => (effect.do === 'open' ? [effect.edge] : []))
const tick = (now) => ({ type: 'tick', now })
const { sameEdgeMs, otherEdgeMs, rejoinTimeoutMs, silenceLimitMs } = defaults.connection
const inCluster = [connect, opened, welcomeWith(SGP, IAD)]

test('a lost edge is tried once, shortly, and then the others at once, with the same token', () => {
  const lost = run(...inCluster, closed(1006, 100), tick(100))
  assert.deepEqual(tried(lost), [OWN, OWN])
  assert.equal(nextTimeout(lost.connection), 100 + sameEdgeMs)
  const gone = run(...inCluster, closed(1006, 100), tick(100), tick(100 + sameEdgeMs))
  assert.equal(nextTimeout(gone.connection), 100 + sameEdgeMs, 'nothing is waited for between edges')
  const elsewhere = run(...inCluster, closed(1006, 100), tick(100), closed(1006, 101), tick(101), opened)
  assert.deepEqual(tried(elsewhere), [OWN, OWN, SGP])
  assert.deepEqual(elsewhere.effects.at(-1), { do: 'join', resume: 'token' })
  assert.equal(nextTimeout(elsewhere.connection), 101 + otherEdgeMs)
  const further = run(...inCluster, closed(1006, 100), tick(100), closed(1006, 101), tick(101), tick(101 + otherEdgeMs), tick(101 + otherEdgeMs))
  assert.deepEqual(tried(further), [OWN, OWN, SGP, IAD])
  assert.equal(further.connection.state, 'reconnecting')
})

test('packets that vanish lead to another edge in time for sound within 4 s', () => {
  const { connection } = run(...inCluster, tick(0))
  let [next] = reduce(connection, { type: 'tick', now: silenceLimitMs, random })
  const at = []
  for (let now = silenceLimitMs; next.state === 'reconnecting' && at.length < 2; now = nextTimeout(next)) {
    const [after, effects] = reduce(next, { type: 'tick', now, random })
    at.push(...effects.flatMap((effect) => (effect.do === 'open' ? [[effect.edge, now]] : [])))
    next = after
  }
  assert.deepEqual(at, [[OWN, silenceLimitMs], [SGP, silenceLimitMs + sameEdgeMs]])
  assert.ok(silenceLimitMs + sameEdgeMs <= 3200, 'which leaves 800 ms for a handshake')
})

test('when nobody answers all are tried again, later each time and with more patience', () => {
  let { connection } = run(...inCluster, closed(1006, 0))
  const seen = []
  for (let count = 0; count < 9; count++) {
    const from = connection.retryAt
    const [open, [effect]] = reduce(connection, { type: 'tick', now: from, random: 0 })
    seen.push([effect.edge, from, open.deadline - from])
    connection = reduce(open, { type: 'closed', now: from, generation: open.generation, code: 1006, reason: '', random: 0 })[0]
  }
  assert.deepEqual(seen, [
    [OWN, 0, sameEdgeMs], [SGP, 0, otherEdgeMs], [IAD, 0, otherEdgeMs],
    [OWN, 300, rejoinTimeoutMs], [SGP, 300, rejoinTimeoutMs], [IAD, 300, rejoinTimeoutMs],
    [OWN, 1500, rejoinTimeoutMs], [SGP, 1500, rejoinTimeoutMs], [IAD, 1500, rejoinTimeoutMs],
  ])
})

test('an edge that stops is left for another at once, and tried last; without another it is waited for', () => {
  const sent = run(...inCluster, closed(4033, 5), tick(5))
  assert.deepEqual(tried(sent), [OWN, SGP])
  const back = run(...inCluster, closed(4033, 5), tick(5), closed(1006, 6), tick(6), closed(1006, 7), tick(7 + 300))
  assert.deepEqual(tried(back), [OWN, SGP, IAD, OWN])
  assert.deepEqual(tried(run(...joined, closed(4033, 5), tick(5))), [OWN, OWN])
})

test('whoever has moved counts from the new edge', () => {
  const moved = [...inCluster, closed(4033), tick(0), opened, welcomeWith(OWN, IAD)]
  const { connection } = run(...moved)
  assert.deepEqual([edgeOf(connection), connection.edges], [SGP, [SGP, OWN, IAD]])
  assert.deepEqual(tried(run(...moved, closed(1006), tick(0), closed(1006), tick(0))), [OWN, SGP, SGP, OWN])
})

test('the newest list of alternates counts, and never holds the edge in use', () => {
  const told = (...alternates) => ({ generation }) => ({ type: 'alternates', generation, alternates })
  assert.deepEqual(run(...joined, told(OWN, IAD)).connection.edges, [OWN, IAD])
  assert.deepEqual(run(...inCluster, told()).connection.edges, [OWN])
  assert.deepEqual(tried(run(...inCluster, told(IAD), closed(4033), tick(0))), [OWN, IAD])
})

test('a nearest edge that does not let anybody in is no obstacle: the own one follows', () => {
  const both = { type: 'connect', edges: [SGP, OWN] }
  const refused = run(both, closed(1006), tick(0), opened, welcome)
  assert.deepEqual(tried(refused), [SGP, OWN])
  assert.equal(refused.connection.state, 'connected')
  assert.equal(nextTimeout(run(both).connection), otherEdgeMs)
  assert.deepEqual(tried(run(both, tick(otherEdgeMs), tick(otherEdgeMs))), [SGP, OWN])
  assert.equal(run(both, closed(1006), tick(0), closed(1006)).connection.state, 'failed')
  assert.equal(run(both, closed(4013)).connection.state, 'failed', 'a full room is full everywhere')
})

test('another network is a new chance for the own edge', () => {
  const { effects } = run(...inCluster, closed(1006), tick(0), closed(1006), tick(0), closed(1006), { type: 'networkChanged' })
  assert.deepEqual(effects.at(-1).edge, OWN)
})
