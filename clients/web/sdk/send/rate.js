// Owns how much of its usual bitrate local video may use, from how the uplink is doing, and what else goes where bits become few.
// Pure; audio keeps its rate always. Down at once to what was carried; up to where trouble began, then beyond it by probing.

import { defaults } from '../defaults.js'

export class VideoRate {
  #limits
  #changedAt = -Infinity
  #troubleAt = -Infinity
  /** The share at which trouble began. */
  #ceiling = Infinity
  #probing = false
  /** @type {number} */
  #probeAfterMs
  #taken = 0
  /** Share of the usual bitrate, 1 while all is well. */
  share = 1
  counters = { down: 0, up: 0, probes: 0, failedProbes: 0 }

  /** @param {typeof defaults.rate} [limits] */
  constructor(limits = defaults.rate) {
    this.#limits = limits
    this.#probeAfterMs = limits.probeAfterMs
  }

  /** What is given up for lack of bits. @returns {readonly import('./shed.js').Rung[]} */
  get taken() {
    return this.share < 1 ? [{ step: 'bitrate' }, ...this.#limits.rungs.slice(0, this.#taken)] : []
  }

  /**
   * Where a new track or connection begins: a path of which nothing is known is not given everything at once.
   * @param {number} now @param {number} share
   */
  begin(now, share) {
    this.#change(now, Math.min(1, Math.max(this.#limits.minShare, share)))
  }

  /**
   * @param {number} now
   * @param {object} path
   * @param {boolean} path.trouble whether frames were skipped or arrive late
   * @param {boolean} path.clear whether nothing is queued on it at all
   * @param {number} path.carried share that it carries, as far as is known
   * @returns {boolean} whether `share` has changed
   */
  update(now, { trouble, clear, carried }) {
    const { downFactor, downLeast, downAfterMs, upFactor, upAfterMs, probeFactor, probeAfterMs, maxProbeAfterMs, minShare, nearCeiling } = this.#limits
    const { share, counters } = this
    const sinceMs = now - this.#changedAt
    if (trouble) {
      this.#troubleAt = now
      if (sinceMs < downAfterMs || share <= minShare) return false
      if (this.#probing) counters.failedProbes++
      this.#probeAfterMs = this.#probing ? Math.min(maxProbeAfterMs, this.#probeAfterMs * 1.5) : probeAfterMs
      this.#probing = false
      this.#ceiling = share
      counters.down++
      return this.#change(now, Math.max(minShare, Math.min(share * downFactor, Math.max(share * downLeast, carried))))
    }
    if (share === 1 || !clear) return false
    const calmMs = Math.min(sinceMs, now - this.#troubleAt)
    if (this.#probing && calmMs >= upAfterMs) {
      // It carries more than it did.
      this.#probing = false
      this.#ceiling = Infinity
    }
    const free = share < this.#ceiling * nearCeiling
    if (calmMs < (free ? upAfterMs : this.#probeAfterMs)) return false
    if (!free) {
      this.#probing = true
      counters.probes++
    }
    counters.up++
    return this.#change(now, Math.min(1, share * (free ? upFactor : probeFactor)))
  }

  /** @param {number} now @param {number} share */
  #change(now, share) {
    this.share = share
    this.#changedAt = now
    const { rungs, releaseFactor } = this.#limits
    // Released later than taken: the share swings around what the path carries.
    this.#taken = rungs.filter(({ below }, index) => share < below * (index < this.#taken ? releaseFactor : 1)).length
    return true
  }
}
