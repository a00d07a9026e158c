// Owns the question whether the uplink has room for another video frame. Pure; never asked about audio.

import { defaults } from '../defaults.js'
import { newer } from '../wire.js'

export class Uplink {
  #limits
  /** @type {{track: number, layer: number, sequence: number, bytes: number}[]} media frames not acknowledged yet, oldest first */
  #outstanding = []
  #ackedBytes = 0
  #ackedAt = 0
  #bytesPerMs = 0
  delayMs = 0
  unackedBytes = 0

  /** @param {typeof defaults.uplink} [limits] */
  constructor(limits = defaults.uplink) {
    this.#limits = limits
  }

  /** @param {number} track @param {number} layer @param {number} sequence @param {number} bytes */
  sent(track, layer, sequence, bytes) {
    this.#outstanding.push({ track, layer, sequence, bytes })
    this.unackedBytes += bytes
  }

  /** @param {number} now @param {{acks: {track: number, layer: number, seq: number}[], bytes: number, delayMs: number}} ack */
  acknowledged(now, ack) {
    const keep = this.#outstanding.filter(({ track, layer, sequence }) =>
      !ack.acks.some((each) => each.track === track && each.layer === layer && !newer(sequence, each.seq)))
    this.#outstanding = keep
    this.unackedBytes = keep.reduce((sum, { bytes }) => sum + bytes, 0)
    const elapsed = now - this.#ackedAt
    if (this.#ackedAt && elapsed > 0) {
      const rate = Math.max(0, ack.bytes - this.#ackedBytes) / elapsed
      // Rises at once, falls slowly: a quiet moment says nothing about what the path can carry.
      this.#bytesPerMs = Math.max(rate, this.#bytesPerMs * 0.98)
    }
    this.#ackedBytes = ack.bytes
    this.#ackedAt = now
    this.delayMs = ack.delayMs
  }

  /** @param {number} now @param {number} rttMs @returns {boolean} whether a video frame should be encoded now */
  hasRoom(now, rttMs) {
    const limit = Math.max(this.#limits.floorBytes, this.#bytesPerMs * (rttMs + this.#limits.slackMs))
    if (this.unackedBytes > limit) return false
    return !(this.isLate(now) && this.unackedBytes > this.#limits.floorBytes / 8)
  }

  /** Whether what arrives at the edge has waited on the way. @param {number} now */
  isLate(now) {
    return now - this.#ackedAt < this.#limits.ackFreshMs && this.delayMs > this.#limits.delayLimitMs
  }

  get bitsPerSecond() {
    return Math.round(this.#bytesPerMs * 8000)
  }

  /** A new connection starts without a debt. */
  reset() {
    this.#outstanding = []
    this.unackedBytes = 0
    this.#ackedBytes = 0
    this.#ackedAt = 0
    this.delayMs = 0
  }
}
