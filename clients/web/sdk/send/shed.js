// Owns what a page gives up that cannot keep up, in which order, and when it takes it back. Never sound. Pure.

import { defaults } from '../defaults.js'

/**
 * @typedef {object} Limits what is still done
 * @property {number} maxTemporal highest temporal layer that is decoded
 * @property {boolean} thin whether frames that nothing needs are left unsent
 * @property {number} divisor one of so many frames is encoded
 * @property {boolean} small whether pictures are encoded at their small size
 * @property {number} onStage cameras that are received
 * @typedef {{step: string} & Partial<Limits>} Rung
 * @typedef {{reason: 'none' | 'cpu' | 'bandwidth', steps: string[]}} Limitation
 */

/** @type {Limits} */
const UNLIMITED = { maxTemporal: 3, thin: false, divisor: 1, small: false, onStage: Infinity }

/** @param {readonly Rung[]} cpu rungs that are taken @param {readonly Rung[]} bandwidth @returns {{limits: Limits, limitation: Limitation}} */
export function combine(cpu, bandwidth) {
  const rungs = [...cpu, ...bandwidth]
  const limits = { ...UNLIMITED }
  for (const { maxTemporal = 3, thin = limits.thin, divisor = 1, small = false, onStage = Infinity } of rungs) {
    limits.maxTemporal = Math.min(limits.maxTemporal, maxTemporal)
    limits.thin = thin
    limits.divisor = Math.max(limits.divisor, divisor)
    limits.small ||= small
    limits.onStage = Math.min(limits.onStage, onStage)
  }
  const reason = cpu.length > 0 ? 'cpu' : bandwidth.length > 0 ? 'bandwidth' : 'none'
  return { limits, limitation: { reason, steps: [...new Set(rungs.map(({ step }) => step))] } }
}

/**
 * What a page has done in one window.
 * @typedef {object} Load
 * @property {number} lagMs how late this thread's timers were on average
 * @property {number} busyShare of the window that the busiest encoder was at work
 * @property {number} skippedShare of the frames, that found the encoder's queue full
 * @property {number} decoderOverload frames that a decoder's full queue has cost
 */

/** @param {Pick<Load, 'busyShare' | 'skippedShare'>} load @param {typeof defaults.shed} [limits] @returns {boolean} */
export const isEncoderSlow = ({ busyShare, skippedShare }, limits = defaults.shed) =>
  busyShare > limits.busyShare || skippedShare > limits.skippedShare

/** A machine that slept is late once, and not because of what this page does. @param {number} lagMs @param {typeof defaults.shed} [limits] */
export const isLagging = (lagMs, limits = defaults.shed) => lagMs > limits.lagMs && lagMs < limits.asleepMs

/** @param {Load} load @param {typeof defaults.shed} [limits] @returns {boolean} */
export const isOverloaded = (load, limits = defaults.shed) =>
  isLagging(load.lagMs, limits) || load.decoderOverload > 0 || isEncoderSlow(load, limits)

/** Goes down a ladder of rungs while there is trouble, and up again; slower each time that this was too early. */
export class Ladder {
  #limits
  #rungs
  #badWindows = 0
  #calmSince = -Infinity
  #changedAt = -Infinity
  #raisedAt = -Infinity
  /** @type {number} */
  #upAfterMs
  #taken = 0
  counters = { down: 0, up: 0, relapses: 0 }

  /** @param {typeof defaults.shed} [limits] */
  constructor(limits = defaults.shed) {
    this.#limits = limits
    this.#rungs = limits.rungs
    this.#upAfterMs = limits.upAfterMs
  }

  /** @returns {readonly Rung[]} those taken */
  get taken() {
    return this.#rungs.slice(0, this.#taken)
  }

  /** Ends a window. @param {number} now @param {boolean} trouble @returns {boolean} whether `taken` has changed */
  update(now, trouble) {
    const { troubleWindows, settleMs, upAfterMs, maxUpAfterMs, relapseMs } = this.#limits
    if (trouble) {
      this.#badWindows++
      this.#calmSince = now
      if (this.#badWindows < troubleWindows || this.#taken === this.#rungs.length || now - this.#changedAt < settleMs) return false
      if (now - this.#raisedAt < relapseMs) {
        this.counters.relapses++
        this.#upAfterMs = Math.min(maxUpAfterMs, this.#upAfterMs * 2)
        this.#raisedAt = -Infinity
      }
      return this.#move(now, 1)
    }
    this.#badWindows = 0
    if (this.#taken === 0) {
      if (now - this.#changedAt >= maxUpAfterMs) this.#upAfterMs = upAfterMs
      return false
    }
    if (now - Math.max(this.#calmSince, this.#changedAt) < this.#upAfterMs) return false
    this.#raisedAt = now
    return this.#move(now, -1)
  }

  /** @param {number} now @param {1 | -1} by */
  #move(now, by) {
    this.#taken += by
    this.#changedAt = now
    this.#badWindows = 0
    if (by > 0) this.counters.down++
    else this.counters.up++
    return true
  }
}
