// Owns the chunks of pictures that wait for room on the uplink, so that sound never waits behind more than that. Pure: time is an
// argument. What has waited too long is dropped whole; its senders begin anew with a keyframe.

import { defaults } from '../defaults.js'

/** @typedef {{track: number, sequence: number, first: boolean, bytes: Uint8Array<ArrayBuffer>, at: number}} WaitingChunk */

export class Pacer {
  #maxWaitMs
  /** @type {WaitingChunk[]} oldest first */
  #waiting = []
  bytes = 0
  counters = { staleDropped: 0 }

  constructor({ maxWaitMs } = defaults.pacer) {
    this.#maxWaitMs = maxWaitMs
  }

  /** @param {WaitingChunk} chunk */
  push(chunk) {
    this.#waiting.push(chunk)
    this.bytes += chunk.bytes.length
  }

  /** @param {number} roomBytes @returns {WaitingChunk | undefined} what leaves now */
  take(roomBytes) {
    const chunk = roomBytes > 0 ? this.#waiting.shift() : undefined
    if (chunk) this.bytes -= chunk.bytes.length
    return chunk
  }

  /** Tracks whose frames have waited too long; nothing waits any more then. @param {number} now @returns {Set<number>} */
  takeStale(now) {
    const tracks = new Set()
    if (this.#waiting.length === 0 || now - this.#waiting[0].at <= this.#maxWaitMs) return tracks
    for (const { track } of this.#waiting) tracks.add(track)
    this.counters.staleDropped += this.#waiting.length
    this.clear()
    return tracks
  }

  /** A track has stopped: an edge refuses what would still come of it. @param {number} track */
  forget(track) {
    this.#waiting = this.#waiting.filter((chunk) => chunk.track !== track)
    this.bytes = this.#waiting.reduce((sum, chunk) => sum + chunk.bytes.length, 0)
  }

  clear() {
    this.#waiting = []
    this.bytes = 0
  }
}
