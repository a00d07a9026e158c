// Owns what is known of a path's delay: how fast its fastest packets are of late, and how much later than these nearly all others come.
// Pure: time is an argument. Clocks of two machines differ and drift: transit times mean something to each other only, and for a while.

import { defaults } from '../defaults.js'

export class Lateness {
  #limits
  /** How many of the last packets were late by so many ms. */
  #bins
  /** Those packets, in a circle. */
  #values
  #count = 0
  #next = 0
  /** The latest of each group of packets that came together, a stall counts once. @type {{at: number, ms: number}[]} */
  #events = []
  /** How many of them were late by so many ms. */
  #recent
  #lastAt = -Infinity
  /** The least transit of this and of the last period. @type {{since: number, ms: number, before: number} | null} */
  #least = null
  #startedAt = 0
  /** Packets in a row whose capture time cannot be, how many of them agree, and on what transit. */
  #doubted = { count: 0, agreed: 0, ms: 0 }
  /** Times that the capture clock was found to have jumped. */
  jumps = 0

  /** @param {number} packetMs @param {typeof defaults.jitter} limits */
  constructor(packetMs, limits) {
    this.#limits = limits
    this.#bins = new Uint16Array(limits.maxTargetMs + 1)
    this.#recent = new Uint16Array(limits.maxTargetMs + 1)
    this.#values = new Uint16Array(Math.min(limits.maxMemory, Math.ceil(limits.memoryMs / packetMs)))
  }

  /** Transit of the fastest packets. */
  get baseMs() {
    return this.#least ? Math.min(this.#least.ms, this.#least.before) : 0
  }

  /**
   * Waiting so long after a packet as fast as the fastest, nearly every packet is there.
   * @param {number} missed share of the packets that were given up
   */
  neededMs(missed) {
    const { lateShare, leastLateShare, missedWeight, recentShare } = this.#limits
    const share = Math.max(leastLateShare, lateShare - missedWeight * missed)
    return Math.max(highest(this.#bins, this.#count * share), highest(this.#recent, this.#events.length * recentShare))
  }

  /** Whether the last packet's capture time is believed. */
  get believed() {
    return this.#doubted.count === 0
  }

  /** @param {number} now @param {number} transitMs */
  observe(now, transitMs) {
    const limits = this.#limits
    if (this.#least && now - this.#startedAt > limits.warmUpMs) {
      const doubted = this.#doubted
      const ahead = this.baseMs - transitMs
      if (ahead > limits.pathDropMs || -ahead > limits.doubtMs) {
        doubted.count++
        doubted.agreed = ahead > 0 || Math.abs(transitMs - doubted.ms) < limits.agreeMs ? doubted.agreed + 1 : 1
        doubted.ms = transitMs
        // A stall's backlog comes faster and faster; what stays so late has another clock.
        if (doubted.agreed < limits.believeAfter && doubted.count < 5 * limits.believeAfter) return
        this.jumps++
        this.#least = null
      }
    }
    this.#doubted = { count: 0, agreed: 0, ms: 0 }
    this.#follow(now, transitMs)
    const ms = Math.min(limits.maxTargetMs, Math.round(transitMs - this.baseMs))
    if (now - this.#startedAt >= limits.warmUpMs) this.#remember(ms)
    this.#notice(now, ms)
  }

  /** The fastest packets of the last one to two periods. @param {number} now @param {number} transitMs */
  #follow(now, transitMs) {
    const least = this.#least
    const { periodMs } = this.#limits
    if (!least || now - least.since > 2 * periodMs) {
      this.#least = { since: now, ms: transitMs, before: Infinity }
      this.#startedAt = now
    } else if (now - least.since > periodMs) {
      const base = this.baseMs
      this.#least = { since: now, ms: transitMs, before: least.ms }
      const risen = Math.round(this.baseMs - base)
      // More than drift: the path is another one, and what was late on it was not.
      if (risen >= this.#limits.pathMs) this.#forgive(risen)
    } else least.ms = Math.min(least.ms, transitMs)
  }

  /** @param {number} ms */
  #forgive(ms) {
    this.#bins.fill(0)
    for (let i = 0; i < this.#count; i++) this.#bins[(this.#values[i] = Math.max(0, this.#values[i] - ms))]++
    this.#recent.fill(0)
    for (const event of this.#events) this.#recent[(event.ms = Math.max(0, event.ms - ms))]++
  }

  /** @param {number} now @param {number} ms */
  #notice(now, ms) {
    const { togetherMs, recentMs } = this.#limits
    const events = this.#events
    const last = events.at(-1)
    if (last && now - this.#lastAt < togetherMs) {
      this.#recent[last.ms]--
      last.ms = Math.max(last.ms, ms)
      this.#recent[last.ms]++
    } else {
      events.push({ at: now, ms })
      this.#recent[ms]++
    }
    this.#lastAt = now
    while (now - events[0].at > recentMs) this.#recent[events.shift()?.ms ?? 0]--
  }

  /** @param {number} ms */
  #remember(ms) {
    if (this.#count < this.#values.length) this.#count++
    else this.#bins[this.#values[this.#next]]--
    this.#values[this.#next] = ms
    this.#bins[ms]++
    this.#next = (this.#next + 1) % this.#values.length
  }
}

/** The least that at most so many are above. @param {Uint16Array} bins @param {number} many */
function highest(bins, many) {
  let ms = bins.length - 1
  for (let above = bins[ms]; ms > 0 && above <= many; above += bins[ms]) ms--
  return ms
}
