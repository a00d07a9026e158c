// Owns the question when a decoded picture is shown: against the sound that is being played, by capture time. Pure: time and the
// sound's clock are arguments. Sound never waits for a picture; a picture that is late is shown at once or left out.

import { defaults } from '../defaults.js'

/** @template Picture */
export class PictureQueue {
  #limits
  /** @type {{capturedMs: number, picture: Picture}[]} oldest first */
  #waiting = []
  /** Capture time of the sound being played minus the time now, smoothed. @type {number | null} */
  #offset = null
  counters = { skipped: 0, overflow: 0, unsynced: 0 }

  /** @param {typeof defaults.sync} [limits] */
  constructor(limits = defaults.sync) {
    this.#limits = limits
  }

  get length() {
    return this.#waiting.length
  }

  /** @param {number} capturedMs by the sender's clock @param {Picture} picture */
  push(capturedMs, picture) {
    this.#waiting.push({ capturedMs, picture })
  }

  /**
   * @param {number} now
   * @param {number | null} soundMs capture time of what is being heard now; null without sound
   * @returns {{show: {capturedMs: number, picture: Picture} | null, drop: Picture[]}} what to draw now and what to close undrawn
   */
  take(now, soundMs) {
    this.#follow(now, soundMs)
    const drop = []
    let show = null
    while (this.#waiting.length > 0) {
      const waitMs = this.#waitMs(now, this.#waiting[0].capturedMs)
      const full = this.#waiting.length > this.#limits.maxPictures
      // A time that far ahead is no delay of the sound but a clock that lies.
      const absurd = waitMs > this.#limits.maxWaitMs
      if (waitMs > 0 && !full && !absurd) break
      if (waitMs > 0 && full) this.counters.overflow++
      else if (absurd) this.counters.unsynced++
      if (show) {
        drop.push(show.picture)
        this.counters.skipped++
      }
      show = /** @type {{capturedMs: number, picture: Picture}} */ (this.#waiting.shift())
    }
    return { show, drop }
  }

  /** @param {number} now @returns {number | null} ms until the next picture is due */
  nextTimeoutMs(now) {
    return this.#waiting.length > 0 ? Math.max(0, this.#waitMs(now, this.#waiting[0].capturedMs)) : null
  }

  /** @returns {Picture[]} everything that waits, to be closed */
  clear() {
    this.#offset = null
    return this.#waiting.splice(0).map(({ picture }) => picture)
  }

  /** @param {number} now @param {number} capturedMs */
  #waitMs(now, capturedMs) {
    return this.#offset === null ? 0 : capturedMs - this.#limits.leadMs - this.#offset - now
  }

  /** @param {number} now @param {number | null} soundMs */
  #follow(now, soundMs) {
    if (soundMs === null) {
      this.#offset = null
      return
    }
    const offset = soundMs - now
    const off = this.#offset === null ? Infinity : offset - this.#offset
    this.#offset = this.#offset === null || Math.abs(off) > this.#limits.jumpMs ? offset : this.#offset + off * this.#limits.smoothing
  }
}

/** The latest skews of a track and their 95th percentile. */
export class SkewLog {
  /** @type {number[]} */
  #skews = []
  #at = 0

  /** @param {number} skewMs picture ahead of its sound; negative: behind */
  add(skewMs) {
    this.#skews[this.#at] = skewMs
    this.#at = (this.#at + 1) % defaults.sync.loggedSkews
  }

  /** @returns {number | null} ms, of either sign */
  get p95() {
    if (this.#skews.length === 0) return null
    const sorted = this.#skews.map(Math.abs).sort((a, b) => a - b)
    return Math.round(sorted[Math.ceil(0.95 * sorted.length) - 1])
  }
}
