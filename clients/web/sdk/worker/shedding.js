// Owns the watch over a page that cannot keep up: measures, and has publisher and subscription give up what send/shed.js decides.

import { defaults } from '../defaults.js'
import { combine, isLagging, isOverloaded, Ladder } from '../send/shed.js'

export class Shedding {
  #ladder = new Ladder()
  #onLimits
  #lagMs = 0
  #ticks = 0
  #dueAt = 0
  #windowAt = 0
  #decoderOverload = 0
  #shown = JSON.stringify(combine([], []))
  /** @type {import('../send/shed.js').Limitation} */
  limitation = { reason: 'none', steps: [] }

  /** @param {(limits: import('../send/shed.js').Limits, limitation: import('../send/shed.js').Limitation) => void} onLimits */
  constructor(onLimits) {
    this.#onLimits = onLimits
  }

  /** On a regular timer, to see how late this thread is. @param {number} now @param {number} intervalMs */
  tick(now, intervalMs) {
    if (this.#dueAt) {
      this.#lagMs += Math.max(0, now - this.#dueAt)
      this.#ticks++
    }
    this.#dueAt = now + intervalMs
  }

  /** @param {number} now @param {import('./publisher.js').Publisher} publisher @param {number} decoderOverload so far, over all tracks */
  window(now, publisher, decoderOverload) {
    const windowMs = this.#windowAt ? now - this.#windowAt : defaults.statisticsMs
    const lagMs = this.#lagMs / Math.max(1, this.#ticks)
    const load = {
      lagMs, ...publisher.window(windowMs, isLagging(lagMs)),
      decoderOverload: Math.max(0, decoderOverload - this.#decoderOverload),
    }
    this.#windowAt = now
    this.#lagMs = 0
    this.#ticks = 0
    this.#decoderOverload = decoderOverload
    this.#ladder.update(now, isOverloaded(load))
    const { limits, limitation } = combine(this.#ladder.taken, publisher.bandwidthRungs)
    const text = JSON.stringify({ limits, limitation })
    if (text === this.#shown) return
    this.#shown = text
    this.limitation = limitation
    this.#onLimits(limits, limitation)
  }

  statistics() {
    return { ...this.limitation, ...this.#ladder.counters }
  }
}
