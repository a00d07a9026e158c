// Owns the WebSocket: drives the connection reducer, frames what leaves, parses what arrives, counts both.
// Decides nothing about reconnecting (connection.js) and nothing about media (publisher, subscriber).

import { edgeOf, initialConnection, nextTimeout, reduce, sleptMs } from '../connection.js'
import { defaults } from '../defaults.js'
import { encodeControl, encodeFrame, FrameType, parseControl, parseFrame, parseMedia, socketUrl, WireError, ZERO_ID } from '../wire.js'

/**
 * @typedef {import('../connection.js').ConnectionState} ConnectionState
 * @typedef {object} SocketHandlers
 * @property {(state: ConnectionState, error: import('../errors.js').PlainError | null) => void} onState
 * @property {(type: number, id: string, message: any) => void} onControl
 * @property {(media: import('../wire.js').Media) => void} onMedia
 * @property {(type: number, id: string, payload: Uint8Array) => void} onV1
 */

const V1_TYPES = new Set([FrameType.AUDIO, FrameType.SCREEN_SHARE, FrameType.SCREEN_SHARE_STOP, FrameType.SCREEN_SHARE_START])

/** @param {{url: string}[]} [alternates] */
const addresses = (alternates = []) => alternates.map(({ url }) => socketUrl(url))

export class Socket {
  #connection = initialConnection()
  /** @type {WebSocket | null} */
  #webSocket = null
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer
  #target = { room: '', name: '', decode: /** @type {string[]} */ ([]) }
  #handlers
  id = ZERO_ID
  rttMs = 0
  /** Where the edge stands. */
  region = ''
  /** What the edge's hello lists. @type {ReadonlySet<string>} */
  edgeFeatures = new Set()
  counters = {
    reconnects: 0, sentMessages: 0, sentBytes: 0, receivedMessages: 0, receivedBytes: 0, malformed: 0, unsent: 0, handlerErrors: 0, wakes: 0, proven: 0,
  }

  /** @param {SocketHandlers} handlers */
  constructor(handlers) {
    this.#handlers = handlers
  }

  get connected() {
    return this.#connection.state === 'connected'
  }

  get state() {
    return this.#connection.state
  }

  /** The address in use. */
  get edge() {
    return edgeOf(this.#connection)
  }

  /** @param {{edges: string[], room: string, name: string, decode: string[]}} target */
  connect(target) {
    this.#target = target
    this.#handle({ type: 'connect', edges: target.edges })
  }

  disconnect() {
    this.#handle({ type: 'disconnect' })
  }

  /** The way to the edge may be another one: it is tried at once. */
  networkChanged() {
    this.#handle({ type: 'networkChanged' })
  }

  /** @param {number} type @param {object} message */
  sendControl(type, message) {
    this.send(encodeControl(type === FrameType.JOIN ? ZERO_ID : this.id, type, message))
  }

  /** @param {number} type @param {Uint8Array} [payload] */
  sendFrame(type, payload) {
    this.send(encodeFrame(this.id, type, payload))
  }

  /** @param {Uint8Array<ArrayBuffer>} bytes a whole frame */
  send(bytes) {
    if (this.#webSocket?.readyState !== WebSocket.OPEN) {
      this.counters.unsent++
      return
    }
    this.#webSocket.send(bytes)
    this.counters.sentMessages++
    this.counters.sentBytes += bytes.length
  }

  /** @param {import('../connection.js').Happening} event */
  #handle(event) {
    const [next, effects] = reduce(this.#connection, { ...event, now: performance.now(), random: Math.random() })
    this.#connection = next
    for (const effect of effects) {
      switch (effect.do) {
        case 'open':
          this.#open(effect.generation, effect.edge)
          break
        case 'join':
          this.sendControl(FrameType.JOIN, {
            hello: { version: 2, features: [...defaults.features, ...this.#target.decode], agent: defaults.agent },
            room: this.#target.room, name: this.#target.name, ...(effect.resume && { resume: effect.resume }),
          })
          break
        case 'ping':
          this.sendControl(FrameType.PING, { t: performance.now() })
          break
        case 'leave':
          this.sendControl(FrameType.LEAVE, {})
          break
        case 'close':
          this.#close(effect.code)
          break
        case 'state':
          if (effect.state === 'reconnecting') this.counters.reconnects++
          this.#handlers.onState(effect.state, effect.error ?? null)
          break
      }
    }
    clearTimeout(this.#timer)
    const due = nextTimeout(this.#connection)
    if (due === null) return
    const before = { now: performance.now(), wall: Date.now() }
    this.#timer = setTimeout(() => this.#tick(before, Math.max(due, before.now)), Math.max(0, due - before.now))
  }

  /** @param {import('../connection.js').Clocks} before @param {number} due */
  #tick(before, due) {
    const now = performance.now()
    const slept = sleptMs(before, { now, wall: Date.now() }, due)
    if (slept >= defaults.connection.sleptMs) {
      this.counters.wakes++
      this.#handle({ type: 'woke', sleptMs: slept })
    } else this.#handle({ type: 'tick' })
  }

  /** @param {number} generation @param {string} edge */
  #open(generation, edge) {
    this.#close(4000)
    let webSocket
    try {
      webSocket = new WebSocket(edge, 'pulse.v2')
    } catch (error) {
      // An address that this browser may not use is as one where nobody answers.
      return console.error(error)
    }
    webSocket.binaryType = 'arraybuffer'
    webSocket.onopen = () => this.#handle({ type: 'opened', generation })
    webSocket.onclose = ({ code, reason }) => {
      this.#handle({ type: 'closed', generation, code, reason })
    }
    webSocket.onmessage = ({ data }) => this.#onMessage(generation, data)
    this.#webSocket = webSocket
  }

  /** @param {number} code */
  #close(code) {
    const webSocket = this.#webSocket
    if (!webSocket) return
    this.#webSocket = null
    webSocket.onopen = webSocket.onclose = webSocket.onmessage = null
    webSocket.close(code)
  }

  /** @param {number} generation @param {unknown} data */
  #onMessage(generation, data) {
    if (generation !== this.#connection.generation || !(data instanceof ArrayBuffer)) return
    const bytes = new Uint8Array(data)
    this.counters.receivedMessages++
    this.counters.receivedBytes += bytes.length
    this.#connection = reduce(this.#connection, { type: 'received', generation, now: performance.now(), random: 0 })[0]
    try {
      if (bytes[36] === FrameType.MEDIA) {
        this.#handlers.onMedia(parseMedia(bytes))
        return
      }
      const { id, type, payload } = parseFrame(bytes)
      if (V1_TYPES.has(/** @type {any} */ (type))) this.#handlers.onV1(type, id, payload)
      else this.#onControl(generation, type, id, payload)
    } catch (error) {
      if (error instanceof WireError) this.counters.malformed++
      else {
        // One bad frame must not end the call; the cause stays visible in the console.
        this.counters.handlerErrors++
        console.error(error)
      }
    }
  }

  /** @param {number} generation @param {number} type @param {string} id @param {Uint8Array} payload */
  #onControl(generation, type, id, payload) {
    const message = parseControl(type, payload)
    switch (type) {
      case FrameType.WELCOME:
        this.id = message.id
        this.edgeFeatures = new Set(message.hello.features)
        this.region = message.region ?? ''
        this.#handlers.onControl(type, id, message)
        this.#handle({ type: 'welcome', generation, resume: message.resume, epoch: message.roster.epoch, alternates: addresses(message.alternates) })
        return
      case FrameType.ALTERNATES:
        this.#handle({ type: 'alternates', generation, alternates: addresses(message.alternates) })
        return
      case FrameType.ROSTER:
        this.#handle({ type: 'roster', generation, epoch: message.epoch })
        if (generation === this.#connection.generation) this.#handlers.onControl(type, id, message)
        return
      case FrameType.PING:
        this.sendControl(FrameType.PONG, { t: message.t })
        return
      case FrameType.PONG: {
        const sample = Math.max(0, performance.now() - message.t)
        this.rttMs = this.rttMs ? this.rttMs * 0.8 + sample * 0.2 : sample
        if (this.#connection.probe && message.t >= this.#connection.probe.at) this.counters.proven++
        this.#handle({ type: 'pong', generation, sentAt: message.t })
        return
      }
      case FrameType.ERROR:
        if (message.ends) this.#handle({ type: 'error', generation, error: message })
        this.#handlers.onControl(type, id, message)
        return
      default:
        this.#handlers.onControl(type, id, message)
    }
  }
}
