// Owns the decision what to do with each arriving audio packet: play, wait for a missing one, conceal, stretch or drop.
// Pure: time and the depth of the playout ring are arguments. Never decodes and never holds samples.
//
// What counts is when a packet will play, not how deep the ring is: now + depth − capture time, against the fastest packets. This stays
// the same from packet to packet whatever the jitter, until something is inserted or left out.

import { defaults } from '../defaults.js'
import { newer } from '../wire.js'
import { Lateness } from './lateness.js'

/**
 * @typedef {{sequence: number, capturedMs: number, payload: Uint8Array}} Packet
 * @typedef {{kind: 'packet', packet: Packet, stretchMs: number, drop: boolean} | {kind: 'conceal' | 'silence', durationMs: number}} Playable
 *   `stretchMs`: by how much the packet should play longer (or, negative, shorter); a dropped one is decoded and left out
 */

export class JitterBuffer {
  #limits
  #packetMs
  #lateness
  /** @type {Map<number, {packet: Packet, giveUpAt: number}>} packets behind a gap */
  #held = new Map()
  /** @type {number | null} sequence number that is due */
  #due = null
  /** What was taken of late, by its number's last bits. */
  #seen
  /** Packets in a row that came after they were due. */
  #lateInRow = 0
  /** The packet that plays last. @type {{sequence: number, capturedMs: number, at: number} | null} */
  #last = null
  /** How long after the fastest packets' arrival one is to play. @type {number} */
  #aimMs
  #aimedAt = 0
  /** Drops what is more than a packet too much: until then after a start, or until it is gone. */
  #cutUntil = -Infinity
  #excess = { packets: 0, least: Infinity, most: -Infinity }
  /** When what was given last has been played. */
  #endAt = 0
  /** Share of the packets that were given up of late. */
  #missed = 0
  /** Playout delay, smoothed. */
  delayMs = 0
  counters = {
    received: 0, duplicate: 0, late: 0, lost: 0, concealedMs: 0, underruns: 0, underrunMs: 0, silences: 0, leadMs: 0, dropped: 0, cutMs: 0,
    restarts: 0,
  }

  /** @param {{packetMs?: number, limits?: typeof defaults.jitter}} [options] */
  constructor({ packetMs = 20, limits = defaults.jitter } = {}) {
    this.#packetMs = packetMs
    this.#limits = limits
    this.#lateness = new Lateness(packetMs, limits)
    this.#aimMs = limits.startMs
    this.#seen = new Float64Array(limits.remembered).fill(-1)
  }

  /** Depth of the ring with a packet that came in time. */
  get targetMs() {
    return this.#aimMs + this.#packetMs
  }

  get clockJumps() {
    return this.#lateness.jumps
  }

  /**
   * @param {number} now
   * @param {Packet} packet
   * @param {number} depthMs what the ring holds before this packet
   * @returns {Playable[]} in order of playing
   */
  push(now, packet, depthMs) {
    const { counters } = this
    counters.received++
    const { sequence } = packet
    const slot = sequence % this.#seen.length
    if (this.#held.has(sequence) || this.#seen[slot] === sequence) {
      counters.duplicate++
      return []
    }
    this.#lateness.observe(now, now - packet.capturedMs)
    this.#aim(now)
    const ahead = this.#due === null ? 0 : (sequence - this.#due) | 0
    if (ahead < 0) {
      counters.late++
      // So many, or one of a later time, are not late: the sender counts anew.
      if (++this.#lateInRow < this.#limits.believeAfter && packet.capturedMs <= (this.#last?.capturedMs ?? 0)) return []
    }
    this.#lateInRow = 0
    if (ahead < 0 || ahead > this.#limits.maxGap) {
      counters.restarts++
      this.reset()
    }
    this.#due ??= sequence
    this.#seen[slot] = sequence
    // Waiting for a missing packet is free while the ring has something to play.
    this.#held.set(sequence, { packet, giveUpAt: now + Math.max(0, depthMs - this.#limits.reserveMs) })
    /** @type {Playable[]} */
    const out = []
    if (this.#held.size > this.#limits.maxHeld) this.#skipGap(now, depthMs, out)
    return this.poll(now, depthMs, out)
  }

  /**
   * Gives what may be played now; to be called again by `nextTimeout`.
   * @param {number} now
   * @param {number} depthMs
   * @param {Playable[]} [out]
   */
  poll(now, depthMs, out = []) {
    for (;;) {
      this.#release(now, depthMs, out)
      const wait = this.nextTimeout()
      if (wait === null || now < wait) return out
      this.#skipGap(now, depthMs, out)
    }
  }

  /** @returns {number | null} when the oldest packet behind a gap has waited long enough */
  nextTimeout() {
    let first = Infinity
    for (const { giveUpAt } of this.#held.values()) first = Math.min(first, giveUpAt)
    return first === Infinity ? null : first
  }

  /** The track stopped or was muted: what follows begins anew, without a loss. What is known of the path stays. */
  reset() {
    this.#held.clear()
    this.#due = null
    this.#last = null
  }

  /** @param {number} now @param {number} depthMs @param {Playable[]} out */
  #release(now, depthMs, out) {
    while (this.#due !== null) {
      const entry = this.#held.get(this.#due)
      if (!entry) return
      this.#held.delete(this.#due)
      this.#due = (this.#due + 1) >>> 0
      this.#place(now, entry.packet, depthMs + this.#queuedMs(out), out)
    }
  }

  /** @param {Playable[]} out */
  #queuedMs(out) {
    return out.reduce((sum, item) => sum + (item.kind === 'packet' ? (item.drop ? 0 : this.#packetMs) : item.durationMs), 0)
  }

  /** Gives the missing packets up. @param {number} now @param {number} depthMs @param {Playable[]} out */
  #skipGap(now, depthMs, out) {
    let next = null
    for (const { packet } of this.#held.values()) if (next === null || newer(next.sequence, packet.sequence)) next = packet
    if (next === null || this.#due === null) return
    const missing = (next.sequence - this.#due) >>> 0
    this.counters.lost += missing
    this.#due = next.sequence
    this.#missed = Math.min(1, this.#missed + (missing * this.#packetMs) / this.#limits.memoryMs)
    const depth = depthMs + this.#queuedMs(out)
    // Into a dry ring the next packet comes as after any underrun; one that is deep makes up for the loss without inserting anything.
    const durationMs = depth > 0 ? Math.min(missing * this.#packetMs, this.#limits.maxConcealMs, -this.#excessMs(now, next, depth)) : 0
    if (durationMs <= 0) return
    this.counters.concealedMs += durationMs
    out.push({ kind: 'conceal', durationMs })
  }

  /** How much later than aimed at a packet would play. @param {number} now @param {Packet} packet @param {number} depthMs */
  #excessMs(now, packet, depthMs) {
    const { believed, baseMs } = this.#lateness
    return (believed ? now - packet.capturedMs - baseMs : 0) + depthMs - this.#aimMs
  }

  /** @param {number} now @param {Packet} packet @param {number} depthMs @param {Playable[]} out */
  #place(now, packet, depthMs, out) {
    const { counters } = this
    const limits = this.#limits
    const packetMs = this.#packetMs
    const last = this.#last
    this.#last = { sequence: packet.sequence, capturedMs: packet.capturedMs, at: now }
    let excess = this.#excessMs(now, packet, depthMs)
    // The sender paused: its clock went on, and so did time, without packets between.
    const expected = last ? ((packet.sequence - last.sequence) >>> 0) * packetMs : 0
    const pauseMs = last ? Math.min(packet.capturedMs - last.capturedMs, now - last.at) - expected : 0
    const paused = pauseMs > 2 * packetMs
    if (depthMs <= 0 || paused || !last) {
      if (paused) counters.silences++
      if (!last || paused) this.#cutUntil = now + limits.startCutMs
      // It waits as silence: then it begins at its very time, and what comes after it has the same.
      const leadMs = Math.min(-excess, limits.maxTargetMs)
      if (leadMs > 0) {
        counters.leadMs += leadMs
        out.push({ kind: 'silence', durationMs: leadMs })
        depthMs += leadMs
        excess += leadMs
      }
      if (last && !paused) {
        counters.underruns++
        counters.underrunMs += Math.max(0, now + depthMs - this.#endAt)
      }
    }
    if (excess > limits.cutMs) this.#cutUntil = Infinity
    else if (excess < packetMs && this.#cutUntil === Infinity) this.#cutUntil = -Infinity
    // To live at once, but for what the ring needs until a packet comes that is in time.
    const drop = now < this.#cutUntil && excess >= packetMs && depthMs >= this.#aimMs
    if (drop) {
      counters.dropped++
      counters.cutMs += packetMs
      this.#excess = { packets: 0, least: Infinity, most: -Infinity }
    } else this.delayMs += (excess + this.#aimMs - this.delayMs) / (counters.received > limits.smoothing ? limits.smoothing : counters.received)
    this.#endAt = now + depthMs + (drop ? 0 : packetMs)
    this.#missed *= 1 - packetMs / limits.memoryMs
    out.push({ kind: 'packet', packet, drop, stretchMs: drop ? 0 : this.#stretchMs(excess, depthMs) })
  }

  /** @param {number} excess @param {number} depthMs */
  #stretchMs(excess, depthMs) {
    const { slackMs, shortMs, gulpMs, settlePackets, reserveMs } = this.#limits
    const seen = this.#excess
    seen.packets++
    seen.least = Math.min(seen.least, excess)
    seen.most = Math.max(seen.most, excess)
    // The audio thread's gulps make it seem more or less by up to one of them; for some packets, the truth is in their extremes.
    let stretchMs = 0
    if (Math.abs(excess) > slackMs + gulpMs) stretchMs = excess > 0 ? gulpMs - excess : -excess - gulpMs
    else if (seen.packets >= settlePackets) stretchMs = seen.least > slackMs ? -seen.least : seen.most < -shortMs ? -seen.most : 0
    else return 0
    this.#excess = { packets: 0, least: Infinity, most: -Infinity }
    return Math.max(stretchMs, Math.min(0, reserveMs - depthMs))
  }

  /** Up at once, down no faster than playing can follow. @param {number} now */
  #aim(now) {
    const { reserveMs, maxTargetMs, fallMsPerS } = this.#limits
    const wanted = Math.min(maxTargetMs, this.#lateness.neededMs(this.#missed) + reserveMs)
    const fallen = this.#aimMs - (Math.min(1000, now - this.#aimedAt) * fallMsPerS) / 1000
    this.#aimedAt = now
    this.#aimMs = Math.max(wanted, Math.min(this.#aimMs, fallen))
  }
}
