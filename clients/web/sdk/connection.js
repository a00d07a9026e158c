// Owns the life of a connection as a pure reducer: state, back-off, pings, silence, resume. Never touches a socket, a clock or chance:
// time and a random number come with each event, what is to be done leaves as effects.

import { defaults } from './defaults.js'

/**
 * @typedef {import('./errors.js').PlainError} PlainError
 * @typedef {'connecting' | 'connected' | 'reconnecting' | 'disconnected' | 'failed'} ConnectionState
 * @typedef {object} Connection
 * @property {ConnectionState} state
 * @property {number} generation number of the socket in use; callbacks of another one are stale
 * @property {boolean} socket whether a socket of this generation is open or opening
 * @property {number} attempt retries since the connection was last good
 * @property {number | null} retryAt
 * @property {number | null} deadline by which this attempt must be joined
 * @property {number | null} lostAt
 * @property {number} heardAt
 * @property {number} pingAt
 * @property {{at: number, until: number} | null} probe whether the way still carries anything: asked then, to be answered by then
 * @property {string | null} resume
 * @property {number} epoch of the roster
 * @property {PlainError | null} lastError ERROR that announced the end of the socket
 *
 * @typedef {{type: 'connect' | 'disconnect' | 'networkChanged' | 'tick', now: number, random: number}
 *   | {type: 'woke', now: number, random: number, sleptMs: number}
 *   | {type: 'pong', now: number, generation: number, sentAt: number}
 *   | {type: 'opened' | 'received', now: number, generation: number}
 *   | {type: 'welcome', now: number, generation: number, resume: string, epoch: number}
 *   | {type: 'roster', now: number, generation: number, epoch: number, random: number}
 *   | {type: 'error', now: number, generation: number, error: PlainError}
 *   | {type: 'closed', now: number, generation: number, code: number, reason: string, random: number}} ConnectionEvent
 *
 * @typedef {{do: 'open', generation: number} | {do: 'join', resume: string | null} | {do: 'ping'} | {do: 'leave'}
 *   | {do: 'close', code: number} | {do: 'state', state: ConnectionState, error?: PlainError | null}} ConnectionEffect
 */

const limits = defaults.connection

/** @returns {Connection} */
export const initialConnection = () => ({
  state: 'disconnected', generation: 0, socket: false, attempt: 0, retryAt: null, deadline: null, lostAt: null, heardAt: 0, pingAt: 0,
  probe: null, resume: null, epoch: 0, lastError: null,
})

/**
 * Whether trying again after this close code would meet the same refusal.
 * @param {number} code
 */
export function isFinal(code) {
  return code === 4002 || (code >= 4004 && code <= 4013 && code !== 4012) || code === 4015 || code === 4030
}

/** @param {number} attempt from 0 @param {number} random in [0, 1) @returns {number} ms to wait before that retry */
export function backoffMs(attempt, random) {
  const base = limits.backoffMs[Math.min(attempt, limits.backoffMs.length - 1)]
  return attempt < 2 ? base : base + random * limits.jitterMs
}

/** @param {Connection} connection @returns {number | null} when `tick` is due */
export function nextTimeout(connection) {
  if (connection.retryAt !== null) return connection.retryAt
  if (connection.deadline !== null) return connection.deadline
  if (connection.state === 'connected') {
    return Math.min(connection.pingAt, connection.heardAt + limits.silenceLimitMs, connection.probe?.until ?? Infinity)
  }
  return null
}

/** Both clocks of this thread. @typedef {{now: number, wall: number}} Clocks now: monotonic; it may stop while the machine sleeps */

/**
 * @param {Clocks} before @param {Clocks} after @param {number} due when a timer should have run, on the monotonic clock
 * @returns {number} ms for which this thread did not run: it came late, or the wall clock went on alone
 */
export const sleptMs = (before, after, due) => Math.max(after.now - due, after.wall - before.wall - (after.now - before.now))

/**
 * @param {Connection} connection
 * @param {ConnectionEvent} event
 * @returns {[Connection, ConnectionEffect[]]}
 */
export function reduce(connection, event) {
  if ('generation' in event && event.generation !== connection.generation) return [connection, []]
  switch (event.type) {
    case 'connect': {
      if (connection.state !== 'disconnected' && connection.state !== 'failed') return [connection, []]
      const fresh = { ...initialConnection(), generation: connection.generation, state: /** @type {const} */ ('connecting') }
      const [next, effects] = open(fresh, event.now)
      return [next, [{ do: 'state', state: 'connecting' }, ...effects]]
    }
    case 'opened':
      return [{ ...connection, heardAt: event.now }, [{ do: 'join', resume: connection.resume }]]
    case 'received':
      return [{ ...connection, heardAt: event.now }, []]
    case 'welcome':
      return [
        {
          ...connection, state: 'connected', attempt: 0, retryAt: null, deadline: null, lostAt: null, probe: null, lastError: null,
          heardAt: event.now, pingAt: event.now, resume: event.resume, epoch: event.epoch,
        },
        [{ do: 'state', state: 'connected' }],
      ]
    case 'roster': {
      if (event.epoch === connection.epoch + 1) return [{ ...connection, epoch: event.epoch, heardAt: event.now }, []]
      // A missed roster change cannot be asked for again; a resumed connection begins with the whole one.
      return drop(connection, event.now, event.random)
    }
    case 'error':
      return [{ ...connection, lastError: event.error }, []]
    case 'closed': {
      const code = event.code >= 4000 ? event.code : connection.lastError?.code ?? event.code
      const said = connection.lastError?.code === code ? connection.lastError : { name: 'connection_lost', code, message: event.reason }
      const first = connection.state === 'connecting'
      if (connection.state === 'disconnected' || connection.state === 'failed') return [connection, []]
      if (isFinal(code) || (first && code !== 4033)) return fail(connection, code >= 4000 ? said : null)
      return lose({ ...connection, socket: false }, event.now, event.random)
    }
    case 'networkChanged':
      return check(connection, event.now, limits.probeMs)
    case 'woke':
      // The edge has given this connection up by now; its end may never arrive.
      if (connection.state === 'connected' && event.sleptMs >= limits.idleLimitMs) return drop(connection, event.now, event.random)
      // What was not heard meanwhile may be waiting.
      return check({ ...connection, heardAt: event.now }, event.now, 0)
    case 'pong':
      return [connection.probe && event.sentAt >= connection.probe.at ? { ...connection, probe: null } : connection, []]
    case 'disconnect': {
      /** @type {ConnectionEffect[]} */
      const effects = []
      if (connection.state === 'connected') effects.push({ do: 'leave' })
      if (connection.socket) effects.push({ do: 'close', code: 1000 })
      effects.push({ do: 'state', state: 'disconnected' })
      return [{ ...initialConnection(), generation: connection.generation + 1 }, effects]
    }
    case 'tick':
      return tick(connection, event.now, event.random)
  }
}

/** @param {Connection} connection @param {number} now @param {number} random @returns {[Connection, ConnectionEffect[]]} */
function tick(connection, now, random) {
  if (connection.retryAt !== null) {
    return now >= connection.retryAt ? open({ ...connection, retryAt: null }, now) : [connection, []]
  }
  if (connection.deadline !== null) {
    if (now < connection.deadline) return [connection, []]
    /** @type {ConnectionEffect} */
    const close = { do: 'close', code: 4000 }
    const [next, effects] = connection.state === 'connecting' ? fail(connection, null) : lose(connection, now, random)
    return [next, [close, ...effects]]
  }
  if (connection.state !== 'connected') return [connection, []]
  const { probe } = connection
  if (probe && now >= probe.until) {
    // A busy machine has not looked yet: the answer may be waiting.
    if (now - probe.until > limits.lateTickMs) return [{ ...connection, probe: { ...probe, until: now + limits.probeMs } }, []]
    return drop(connection, now, random)
  }
  const silentSince = connection.heardAt + limits.silenceLimitMs
  // Here too what was said may be waiting.
  if (now - silentSince > limits.lateTickMs) return [{ ...connection, heardAt: now - limits.silenceLimitMs + limits.lateTickMs }, []]
  if (now >= silentSince) return drop(connection, now, random)
  if (now >= connection.pingAt) return [{ ...connection, pingAt: now + limits.pingIntervalMs }, [{ do: 'ping' }]]
  return [connection, []]
}

/**
 * The way may be another one: a connection has to prove itself, an attempt begins anew unless it is younger than `patienceMs`.
 * @param {Connection} connection @param {number} now @param {number} patienceMs @returns {[Connection, ConnectionEffect[]]}
 */
function check(connection, now, patienceMs) {
  if (connection.state === 'connected') {
    if (connection.probe) return [connection, []]
    return [{ ...connection, pingAt: now + limits.pingIntervalMs, probe: { at: now, until: now + limits.probeMs } }, [{ do: 'ping' }]]
  }
  if (connection.retryAt !== null) return open({ ...connection, retryAt: null }, now)
  const isStale = connection.deadline !== null && now - (connection.deadline - limits.rejoinTimeoutMs) >= patienceMs
  return connection.state === 'reconnecting' && isStale ? open(connection, now) : [connection, []]
}

/** The socket is useless, though nobody has closed it. @param {Connection} connection @param {number} now @param {number} random @returns {[Connection, ConnectionEffect[]]} */
function drop(connection, now, random) {
  const [next, effects] = lose(connection, now, random)
  return [next, [{ do: 'close', code: 4000 }, ...effects]]
}

/** @param {Connection} connection @param {number} now @returns {[Connection, ConnectionEffect[]]} */
function open(connection, now) {
  const generation = connection.generation + 1
  return [
    { ...connection, generation, socket: true, lastError: null, deadline: now + (connection.state === 'connecting' ? limits.joinTimeoutMs : limits.rejoinTimeoutMs) },
    [{ do: 'open', generation }],
  ]
}

/** @param {Connection} connection @param {PlainError | null} error the edge's @returns {[Connection, ConnectionEffect[]]} */
function fail(connection, error) {
  return [
    { ...initialConnection(), generation: connection.generation + 1, state: 'failed' },
    [{ do: 'state', state: 'failed', error }],
  ]
}

/**
 * The socket is gone or useless: wait and try again, or give up.
 * @param {Connection} connection @param {number} now @param {number} random @returns {[Connection, ConnectionEffect[]]}
 */
function lose(connection, now, random) {
  const lostAt = connection.lostAt ?? now
  if (now - lostAt >= limits.giveUpMs) return fail(connection, null)
  /** @type {Connection} */
  const next = {
    ...connection,
    // Whatever the old socket still says is stale from here on.
    generation: connection.generation + 1, socket: false, deadline: null, probe: null, lostAt, attempt: connection.attempt + 1,
    retryAt: now + backoffMs(connection.attempt, random), state: connection.state === 'connecting' ? 'connecting' : 'reconnecting',
  }
  return [next, next.state === connection.state ? [] : [{ do: 'state', state: next.state }]]
}
