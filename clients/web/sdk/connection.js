// Owns the life of a connection as a pure reducer: state, edges, back-off, pings, silence, resume. Never touches a socket, a clock or chance:
// time and a random number come with each event, what is to be done leaves as effects.

import { defaults } from './defaults.js'

/**
 * @typedef {import('./errors.js').PlainError} PlainError
 * @typedef {'connecting' | 'connected' | 'reconnecting' | 'disconnected' | 'failed'} ConnectionState
 * @typedef {object} Connection
 * @property {ConnectionState} state
 * @property {number} generation number of the socket in use; callbacks of another one are stale
 * @property {boolean} socket whether a socket of this generation is open or opening
 * @property {string[]} edges addresses, the one in use or wanted first; they are tried in turn
 * @property {number} attempt since the connection was last good, from 0: this one, or the next
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
 * @typedef {{type: 'connect', edges: string[]}
 *   | {type: 'disconnect' | 'networkChanged' | 'tick'}
 *   | {type: 'woke', sleptMs: number}
 *   | {type: 'pong', generation: number, sentAt: number}
 *   | {type: 'opened' | 'received', generation: number}
 *   | {type: 'welcome', generation: number, resume: string, epoch: number, alternates: string[]}
 *   | {type: 'alternates', generation: number, alternates: string[]}
 *   | {type: 'roster', generation: number, epoch: number}
 *   | {type: 'error', generation: number, error: PlainError}
 *   | {type: 'closed', generation: number, code: number, reason: string}} Happening
 * @typedef {Happening & {now: number, random: number}} ConnectionEvent
 *
 * @typedef {{do: 'open', generation: number, edge: string} | {do: 'join', resume: string | null} | {do: 'ping'} | {do: 'leave'}
 *   | {do: 'close', code: number} | {do: 'state', state: ConnectionState, error?: PlainError | null}} ConnectionEffect
 */

const limits = defaults.connection

/** @returns {Connection} */
export const initialConnection = () => ({
  state: 'disconnected', generation: 0, socket: false, edges: [], attempt: 0, retryAt: null, deadline: null, lostAt: null, heardAt: 0, pingAt: 0,
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

/** The edge of this attempt. @param {Connection} connection */
export const edgeOf = ({ edges, attempt }) => edges[attempt % edges.length] ?? ''

/** How long an attempt may take: where there are other edges, none is waited for until each has had its chance. @param {Connection} connection */
const limitMs = ({ state, edges, attempt }) => {
  const isFirst = state === 'connecting'
  if (edges.length > 1 && attempt < edges.length) return attempt || isFirst ? limits.otherEdgeMs : limits.sameEdgeMs
  return isFirst ? limits.joinTimeoutMs : limits.rejoinTimeoutMs
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
      const fresh = { ...initialConnection(), generation: connection.generation, state: /** @type {const} */ ('connecting'), edges: event.edges }
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
          ...withAlternates(connection, event.alternates), state: 'connected', retryAt: null, deadline: null, lostAt: null, probe: null, lastError: null,
          heardAt: event.now, pingAt: event.now, resume: event.resume, epoch: event.epoch,
        },
        [{ do: 'state', state: 'connected' }],
      ]
    case 'alternates':
      return [withAlternates(connection, event.alternates), []]
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
      const isStopping = code === 4033
      if (isFinal(code) || (first && !isStopping && isLast(connection))) return fail(connection, code >= 4000 ? said : null)
      return lose({ ...connection, socket: false }, event.now, event.random, isStopping)
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
    return now >= connection.retryAt ? open(connection, now) : [connection, []]
  }
  if (connection.deadline !== null) {
    if (now < connection.deadline) return [connection, []]
    /** @type {ConnectionEffect} */
    const close = { do: 'close', code: 4000 }
    const [next, effects] = connection.state === 'connecting' && isLast(connection) ? fail(connection, null) : lose(connection, now, random)
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
  // What failed before may not fail any more: the own edge first.
  const anew = { ...connection, attempt: 0 }
  if (connection.retryAt !== null) return open(anew, now)
  const isStale = connection.deadline !== null && now - (connection.deadline - limitMs(connection)) >= patienceMs
  return connection.state === 'reconnecting' && isStale ? open(anew, now) : [connection, []]
}

/** The socket is useless, though nobody has closed it. @param {Connection} connection @param {number} now @param {number} random @returns {[Connection, ConnectionEffect[]]} */
function drop(connection, now, random) {
  const [next, effects] = lose(connection, now, random)
  return [next, [{ do: 'close', code: 4000 }, ...effects]]
}

/** Whether every edge has been tried. @param {Connection} connection */
const isLast = ({ edges, attempt }) => attempt + 1 >= edges.length

/** The edge in use, and where to go without it. @param {Connection} connection @param {string[]} alternates @returns {Connection} */
const withAlternates = (connection, alternates) => ({ ...connection, edges: [...new Set([edgeOf(connection), ...alternates])], attempt: 0 })

/** @param {Connection} connection @param {number} now @returns {[Connection, ConnectionEffect[]]} */
function open(connection, now) {
  const generation = connection.generation + 1
  return [
    { ...connection, generation, socket: true, retryAt: null, lastError: null, deadline: now + limitMs(connection) },
    [{ do: 'open', generation, edge: edgeOf(connection) }],
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
 * @param {Connection} connection @param {number} now @param {number} random
 * @param {boolean} [isStopping] the edge is, and is not tried again before the others
 * @returns {[Connection, ConnectionEffect[]]}
 */
function lose(connection, now, random, isStopping) {
  const lostAt = connection.lostAt ?? now
  if (now - lostAt >= limits.giveUpMs) return fail(connection, null)
  const { length } = connection.edges
  const attempt = connection.state !== 'connected' ? connection.attempt + 1 : isStopping && length > 1 ? 1 : 0
  /** @type {Connection} */
  const next = {
    ...connection,
    // Whatever the old socket still says is stale from here on.
    generation: connection.generation + 1, socket: false, deadline: null, probe: null, lostAt, attempt,
    // The others are tried at once; all of them again only after a while.
    retryAt: now + (attempt % length ? 0 : backoffMs(attempt / length, random)), state: connection.state === 'connecting' ? 'connecting' : 'reconnecting',
  }
  return [next, next.state === connection.state ? [] : [{ do: 'state', state: next.state }]]
}
