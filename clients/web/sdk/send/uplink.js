// Owns what is known of the way to the edge: what is under way on it, what it carries, whether it queues; and the bound that follows.
// Pure: time is an argument. Everything goes through one ordered stream, so what was sent before something that arrived has arrived.

import { defaults } from '../defaults.js'
import { newer } from '../wire.js'

export class Uplink {
  #limits
  /** Where frames begin, in bytes sent, oldest first. @type {{track: number, sequence: number, end: number}[]} */
  #marks = []
  #sentBytes = 0
  #arrivedBytes = 0
  /** The acknowledgements of the last rateWindowMs. @type {{at: number, bytes: number}[]} */
  #acks = []
  /** The shortest round trip of late: one that a queue has made longer would let the queue grow. */
  #rttMs = 1000
  #narrowUntil = -Infinity
  #pressed = false
  #bytesPerMs = 0
  delayMs = 0

  /** @param {typeof defaults.uplink} [limits] */
  constructor(limits = defaults.uplink) {
    this.#limits = limits
  }

  get unackedBytes() {
    return this.#sentBytes - this.#arrivedBytes
  }

  get bitsPerSecond() {
    return Math.round(this.#bytesPerMs * 8000)
  }

  /** A chunk has left. @param {number} track @param {number} sequence @param {number} bytes @param {boolean} first of its frame */
  sent(track, sequence, bytes, first) {
    this.#sentBytes += bytes
    if (first) this.#marks.push({ track, sequence, end: this.#sentBytes })
  }

  /** @param {number} now @param {{acks: {track: number, seq: number}[], bytes: number, delayMs: number}} ack @param {number} rttMs */
  acknowledged(now, ack, rttMs) {
    const { believeLower, rateWindowMs, clearMs, delayLimitMs, narrowMs, forgetRtt } = this.#limits
    const newest = this.#marks.findLastIndex(({ track, sequence }) => ack.acks.some((each) => each.track === track && !newer(sequence, each.seq)))
    // What the edge has counted; and what it refused, it has not counted, but what came after it was acknowledged.
    this.#arrivedBytes = Math.max(this.#arrivedBytes, Math.min(ack.bytes, this.#sentBytes), ...this.#marks.splice(0, newest + 1).map(({ end }) => end))
    this.#rttMs = Math.min(rttMs, this.#rttMs * forgetRtt)
    this.delayMs = ack.delayMs
    const acks = this.#acks
    acks.push({ at: now, bytes: ack.bytes })
    while (acks.length > 2 && now - acks[1].at >= rateWindowMs) acks.shift()
    const late = ack.delayMs > delayLimitMs
    if (late) this.#narrowUntil = now + narrowMs
    const spanMs = now - acks[0].at
    if (spanMs >= rateWindowMs) {
      const rate = (ack.bytes - acks[0].bytes) / spanMs
      // Only a path that queues tells what it carries; another one tells the least.
      const queues = late || (this.#pressed && ack.delayMs > clearMs)
      this.#bytesPerMs = Math.max(rate, this.#bytesPerMs * (queues ? believeLower : 1))
    }
    this.#pressed = false
  }

  /** How many more bytes of pictures may be under way. @param {number} now @returns {number} */
  roomBytes(now) {
    const { startBytes, floorBytes, slackMs } = this.#limits
    const carried = this.#bytesPerMs * (this.#rttMs + slackMs)
    const room = Math.max(now < this.#narrowUntil || this.#isSilent(now) ? floorBytes : startBytes, carried) - this.unackedBytes
    if (room <= 0) this.#pressed = true
    return room
  }

  /** How long the path takes for that much, as far as is known. @param {number} bytes @returns {number} ms */
  durationMs(bytes) {
    return this.#bytesPerMs ? bytes / this.#bytesPerMs : 0
  }

  /** Whether nothing is queued on the way. */
  get isClear() {
    return this.delayMs <= this.#limits.clearMs
  }

  /** Whether what arrives at the edge has waited on the way, or nothing arrives. @param {number} now */
  isLate(now) {
    return this.#isSilent(now) || this.delayMs > this.#limits.delayLimitMs
  }

  /** @param {number} now */
  #isSilent(now) {
    const last = this.#acks.at(-1)
    return last !== undefined && this.unackedBytes > 0 && now - last.at > this.#limits.silentMs + this.#rttMs
  }
}
