// Owns how good a conversation is over this connection: delay and loss to a mean opinion score and a word. Pure: time is an argument.
// A simplified E-model (ITU-T G.107): R = 93.2 − delay impairment − loss impairment, MOS from R by its annex B. The delay term is the
// approximation of Cole and Rosenbluth ("Voice over IP performance monitoring", 2001).

import { defaults } from './defaults.js'

/**
 * @typedef {import('./worker/messages.js').ConnectionQuality} ConnectionQuality
 * @typedef {{rttMs: number, playoutMs: number, uplinkMs: number, lostShare: number, constrained?: boolean}} Sample playout: of sound that is
 *   heard; uplink: what waits on its way out; lost: the share of sound, 0 to 1, that had to be made up; constrained: pictures are left out
 */

const limits = defaults.quality
const POOR = /** @type {const} */ ('poor')

/** @param {Sample} sample @returns {number} 1 (bad) to 4.4 */
export function mosOf({ rttMs, playoutMs, uplinkMs, lostShare }) {
  const delayMs = rttMs / 2 + playoutMs + uplinkMs
  const delay = 0.024 * delayMs + (delayMs > 177.3 ? 0.11 * (delayMs - 177.3) : 0)
  const loss = (95 * lostShare * 100) / (lostShare * 100 + limits.lossRobustness)
  const r = Math.max(0, Math.min(100, 93.2 - delay - loss))
  return Math.max(1, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6)
}

/** @param {number} mos @param {number} [margin] how far above a border it has to be @returns {ConnectionQuality} */
export const wordOf = (mos, margin = 0) => (mos >= limits.excellentMos + margin ? 'excellent' : mos >= limits.goodMos + margin ? 'good' : 'poor')

/** @param {ConnectionQuality} word */
const rank = (word) => ['lost', 'poor', 'good', 'excellent'].indexOf(word)

export class Quality {
  /** @type {ConnectionQuality | null} */
  word = null
  mos = 0
  #changedAt = -Infinity

  /** The connection is new: what was known of the one before says nothing. */
  reset() {
    this.word = null
    this.mos = 0
    this.#changedAt = -Infinity
  }

  /** @param {number} now @param {Sample} sample @returns {boolean} whether the word is another one */
  update(now, sample) {
    const mos = mosOf(sample)
    this.mos = this.word === null ? mos : this.mos + (mos - this.mos) * limits.smoothing
    if (now - this.#changedAt < limits.intervalMs) return false
    // Worse at once, better only with something to spare, so that the word does not flicker.
    const [plain, sure] = sample.constrained ? [POOR, POOR] : [wordOf(this.mos), wordOf(this.mos, limits.margin)]
    const word = this.word === null || rank(plain) < rank(this.word) ? plain : rank(sure) > rank(this.word) ? sure : this.word
    if (word === this.word) return false
    this.word = word
    this.#changedAt = now
    return true
  }
}
