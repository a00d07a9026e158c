// Owns playing a block of sound a little longer or shorter without changing its pitch: one period is repeated or left out where the
// waveform fits onto itself, and cross-faded. Quiet blocks, where nobody hears it, are stretched faster. Pure.

import { defaults } from '../defaults.js'

const framesPerMs = defaults.sampleRate / 1000
/** The search looks at every fourth sample first. */
const COARSE = 4

export class Stretcher {
  #limits
  /** What may be stretched of sound that is heard, in ms. @type {number} */
  #credit
  counters = { expandedMs: 0, compressedMs: 0 }

  /** @param {typeof defaults.stretch} [limits] */
  constructor(limits = defaults.stretch) {
    this.#limits = limits
    this.#credit = limits.maxCreditMs
  }

  /**
   * @param {Float32Array<ArrayBuffer>[]} planes one block, a plane per channel
   * @param {number} wantMs longer, or shorter if negative; at most this (and a little) is done, often nothing
   * @returns {Float32Array<ArrayBuffer>[]}
   */
  process(planes, wantMs) {
    const { share, maxCreditMs, quiet, overlapMs, minLagMs, maxLagMs, overMs, fit, fitWithinMs, fitMore } = this.#limits
    const { length } = planes[0]
    this.#credit = Math.min(maxCreditMs, this.#credit + (share * length) / framesPerMs)
    if (!wantMs) return planes
    const isQuiet = loudness(planes) < quiet
    const overlap = Math.min(overlapMs * framesPerMs, length >> 2)
    const mostMs = Math.min(maxLagMs, Math.abs(wantMs) + overMs, isQuiet ? Infinity : this.#credit)
    const most = Math.min(Math.floor(mostMs * framesPerMs), length - overlap)
    const least = minLagMs * framesPerMs
    if (most < least) return planes
    const best = isQuiet ? { lag: most, fit: 1 } : bestLag(planes, overlap, least, most)
    // The more is wanted, the less it has to fit: noise fits nowhere, and hides the seam. A period that may not be spent yet is waited for.
    if (best.fit < fit * (1 - (wantMs / fitWithinMs) ** 2)) return planes
    const widest = Math.min(maxLagMs * framesPerMs, length - overlap)
    if (!isQuiet && widest > most && bestLag(planes, overlap, most, widest).fit > best.fit + fitMore) return planes
    const changedMs = best.lag / framesPerMs
    if (!isQuiet) this.#credit -= changedMs
    this.counters[wantMs > 0 ? 'expandedMs' : 'compressedMs'] += changedMs
    return planes.map((plane) => (wantMs > 0 ? repeat(plane, best.lag, overlap) : leaveOut(plane, best.lag, overlap)))
  }
}

/** Root of the mean square, of the loudest channel. @param {Float32Array[]} planes */
function loudness(planes) {
  let most = 0
  for (const plane of planes) {
    let sum = 0
    for (const sample of plane) sum += sample * sample
    most = Math.max(most, sum / plane.length)
  }
  return Math.sqrt(most)
}

/**
 * The distance at which the block's beginning fits best onto itself.
 * @param {Float32Array[]} planes @param {number} overlap @param {number} least @param {number} most
 */
function bestLag(planes, overlap, least, most) {
  let best = { lag: least, fit: -1 }
  const search = (/** @type {number} */ from, /** @type {number} */ to, /** @type {number} */ step) => {
    for (let lag = from; lag <= to; lag += step) {
      const fit = likeness(planes, 0, lag, overlap, step)
      if (fit > best.fit) best = { lag, fit }
    }
  }
  search(least, most, COARSE)
  const { lag } = best
  best = { lag, fit: -1 }
  search(Math.max(least, lag - COARSE), Math.min(most, lag + COARSE), 1)
  return best
}

/**
 * How alike two stretches of a block are: 1 is the same, 0 nothing in common.
 * @param {Float32Array[]} planes @param {number} a @param {number} b @param {number} length @param {number} step
 */
export function likeness(planes, a, b, length, step) {
  let ab = 0
  let aa = 1e-9
  let bb = 1e-9
  for (const plane of planes) {
    for (let i = 0; i < length; i += step) {
      const x = plane[a + i]
      const y = plane[b + i]
      ab += x * y
      aa += x * x
      bb += y * y
    }
  }
  return ab / Math.sqrt(aa * bb)
}

/** @param {Float32Array} plane @param {number} lag @param {number} overlap @returns {Float32Array<ArrayBuffer>} */
function leaveOut(plane, lag, overlap) {
  const out = plane.slice(lag)
  for (let i = 0; i < overlap; i++) out[i] = mix(plane[i], out[i], i / overlap)
  return /** @type {Float32Array<ArrayBuffer>} */ (out)
}

/** @param {Float32Array} plane @param {number} lag @param {number} overlap @returns {Float32Array<ArrayBuffer>} */
function repeat(plane, lag, overlap) {
  const out = new Float32Array(plane.length + lag)
  out.set(plane)
  out.set(plane, lag)
  for (let i = 0; i < overlap; i++) out[lag + i] = mix(plane[lag + i], plane[i], i / overlap)
  return out
}

/** @param {number} a @param {number} b @param {number} weight of b */
const mix = (a, b, weight) => a + (b - a) * weight
