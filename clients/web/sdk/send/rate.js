// Owns how much of its usual bitrate local video may use, from how the uplink is doing, and what else goes where bits become few.
// Pure; audio keeps its rate always.

import { defaults } from '../defaults.js'

export class VideoRate {
  #limits
  #changedAt = -Infinity
  #troubleAt = -Infinity
  #taken = 0
  /** Share of the usual bitrate, 1 while all is well. */
  share = 1

  /** @param {typeof defaults.rate} [limits] */
  constructor(limits = defaults.rate) {
    this.#limits = limits
  }

  /** What is given up for lack of bits. @returns {readonly import('./shed.js').Rung[]} */
  get taken() {
    return this.#limits.rungs.slice(0, this.#taken)
  }

  /**
   * @param {number} now
   * @param {boolean} trouble whether frames were skipped or arrive late
   * @returns {boolean} whether `share` has changed
   */
  update(now, trouble) {
    const { downFactor, downAfterMs, upFactor, upAfterMs, minShare } = this.#limits
    const before = this.share
    if (trouble) {
      this.#troubleAt = now
      if (now - this.#changedAt >= downAfterMs) this.share = Math.max(minShare, before * downFactor)
    } else if (now - this.#changedAt >= upAfterMs && now - this.#troubleAt >= upAfterMs) this.share = Math.min(1, before * upFactor)
    if (this.share === before) return false
    this.#changedAt = now
    const { rungs, releaseFactor } = this.#limits
    // Released later than taken: the share swings around what the path carries.
    this.#taken = rungs.filter(({ below }, index) => this.share < below * (index < this.#taken ? releaseFactor : 1)).length
    return true
  }
}
