// Owns the decision what to do with each arriving audio packet: play, wait for a missing one, conceal, shorten or drop.
// Pure: time and the depth of the playout ring are arguments. Never decodes and never holds samples.

import { defaults } from '../defaults.js'
import { newer } from '../wire.js'

/**
 * @typedef {{sequence: number, capturedMs: number, payload: Uint8Array}} Packet
 * @typedef {{kind: 'packet', packet: Packet, keep: number} | {kind: 'conceal', durationMs: number}} Playable
 *   `keep`: share of the packet's samples to keep; below 1 it is shortened, 0 means decode and drop
 */

export class JitterBuffer {
  #limits
  #packetMs
  /** @type {Map<number, {packet: Packet, giveUpAt: number}>} packets behind a gap */
  #held = new Map()
  /** @type {number | null} sequence number that is due */
  #due = null
  /** Transit times of the last `windowMs`. Clocks differ: they mean something to each other only. @type {{at: number, ms: number}[]} */
  #transits = []
  #lastCapturedMs = 0
  #lastSequence = 0
  /** The least depth above the target since then. */
  #spare = { since: 0, ms: Infinity }
  /** @type {number} depth at which the ring may begin to play */
  targetMs
  counters = { received: 0, duplicate: 0, late: 0, lost: 0, concealedMs: 0, underruns: 0, silences: 0, shortened: 0, dropped: 0 }

  /** @param {{packetMs?: number, limits?: typeof defaults.jitter}} [options] */
  constructor({ packetMs = 20, limits = defaults.jitter } = {}) {
    this.#packetMs = packetMs
    this.#limits = limits
    this.targetMs = limits.startTargetMs
  }

  /**
   * @param {number} now
   * @param {Packet} packet
   * @param {number} depthMs what the ring holds before this packet
   * @returns {Playable[]} in order of playing
   */
  push(now, packet, depthMs) {
    this.counters.received++
    const { sequence } = packet
    if (this.#held.has(sequence)) {
      this.counters.duplicate++
      return []
    }
    if (this.#due !== null && sequence !== this.#due && !newer(sequence, this.#due)) {
      this.counters.late++
      return []
    }
    this.#observe(now, packet)
    if (this.#due === null) this.#due = sequence
    // Waiting for a missing packet is free only while the ring has something to play.
    const patience = Math.max(0, Math.min(this.#limits.reorderMs, depthMs - this.#packetMs))
    this.#held.set(sequence, { packet, giveUpAt: now + patience })
    if (this.#held.size > this.#limits.maxHeld) this.#skipGap(depthMs, [])
    return this.poll(now, depthMs)
  }

  /**
   * Gives what may be played now; to be called again by `nextTimeout`.
   * @param {number} now
   * @param {number} depthMs
   * @returns {Playable[]}
   */
  poll(now, depthMs) {
    /** @type {Playable[]} */
    const out = []
    for (;;) {
      this.#release(now, depthMs, out)
      const wait = this.nextTimeout()
      if (wait === null || now < wait) return out
      this.#skipGap(depthMs, out)
    }
  }

  /** @returns {number | null} when the oldest packet behind a gap has waited long enough */
  nextTimeout() {
    let first = Infinity
    for (const { giveUpAt } of this.#held.values()) first = Math.min(first, giveUpAt)
    return first === Infinity ? null : first
  }

  /** The track stopped or was muted: what follows begins anew, without a loss. */
  reset() {
    this.#held.clear()
    this.#due = null
    this.#lastCapturedMs = 0
  }

  /** @param {number} now @param {number} depthMs @param {Playable[]} out */
  #release(now, depthMs, out) {
    while (this.#due !== null) {
      const entry = this.#held.get(this.#due)
      if (!entry) return
      this.#held.delete(this.#due)
      this.#due = (this.#due + 1) >>> 0
      const queuedMs = out.reduce((sum, item) => sum + (item.kind === 'conceal' ? item.durationMs : item.keep * this.#packetMs), 0)
      out.push({ kind: 'packet', packet: entry.packet, keep: this.#keep(now, entry.packet, depthMs + queuedMs) })
    }
  }

  /** Gives the missing packets up. @param {number} depthMs @param {Playable[]} out */
  #skipGap(depthMs, out) {
    let next = null
    for (const sequence of this.#held.keys()) if (next === null || newer(next, sequence)) next = sequence
    if (next === null || this.#due === null) return
    const missing = (next - this.#due) >>> 0
    this.counters.lost += missing
    this.#due = next
    // A ring that is deep already makes up for the loss without inserting anything.
    const room = Math.max(0, this.targetMs + this.#packetMs - depthMs)
    const durationMs = Math.min(missing * this.#packetMs, this.#limits.maxConcealMs, room)
    if (durationMs <= 0) return
    this.counters.concealedMs += durationMs
    out.push({ kind: 'conceal', durationMs })
  }

  /** Share of the packet to keep, given the backlog. @param {number} now @param {Packet} packet @param {number} depthMs */
  #keep(now, packet, depthMs) {
    const elapsed = packet.capturedMs - this.#lastCapturedMs
    const expected = ((packet.sequence - this.#lastSequence) >>> 0) * this.#packetMs
    if (this.#lastCapturedMs !== 0 && depthMs <= 0) {
      // An empty ring is the network's doing only if the sender's clock went on without a pause.
      if (elapsed > expected + 2 * this.#packetMs) this.counters.silences++
      else this.counters.underruns++
    }
    this.#lastCapturedMs = packet.capturedMs
    this.#lastSequence = packet.sequence
    const after = depthMs + this.#packetMs
    const excess = after - this.targetMs
    if (excess > this.#limits.cutMs) {
      this.counters.dropped++
      return 0
    }
    if (excess <= this.#limits.trimSlackMs) {
      this.#spare = { since: now, ms: Infinity }
      return 1
    }
    const spare = this.#spare
    spare.ms = Math.min(spare.ms, excess)
    if (now - spare.since < this.#limits.trimAfterMs) return 1
    // What was there all the time is not needed; a packet gives half of itself at most.
    const cutMs = Math.min(spare.ms, this.#packetMs / 2)
    const restMs = spare.ms - cutMs
    this.#spare = restMs > this.#limits.trimSlackMs ? { since: spare.since, ms: restMs } : { since: now, ms: Infinity }
    this.counters.shortened++
    return 1 - cutMs / this.#packetMs
  }

  /** Follows how late packets come against the fastest one of late. @param {number} now @param {Packet} packet */
  #observe(now, packet) {
    const { windowMs, quantile, reserveMs, minTargetMs, maxTargetMs } = this.#limits
    this.#transits.push({ at: now, ms: now - packet.capturedMs })
    while (now - this.#transits[0].at > windowMs) this.#transits.shift()
    const sorted = this.#transits.map(({ ms }) => ms).sort((a, b) => a - b)
    const latenessMs = sorted[Math.ceil(quantile * sorted.length) - 1] - sorted[0]
    this.targetMs = Math.min(maxTargetMs, Math.max(minTargetMs, latenessMs + this.#packetMs + reserveMs))
  }
}
