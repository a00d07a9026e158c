// Owns which codec a sent picture uses: what is preferred, of what this side encodes and everybody who wants the track decodes. Pure.

import { defaults } from '../defaults.js'

/** What every client decodes. */
export const FLOOR = 'vp8'

/**
 * @param {'camera' | 'screen'} source
 * @param {number} cores
 * @param {string[]} [wanted] the app's own order
 * @returns {string[]} best first
 */
export function preferredCodecs(source, cores, wanted = []) {
  if (wanted.length > 0) return wanted
  return cores >= defaults.codecs.strongCores ? [...defaults.codecs[source]] : [FLOOR]
}

export class CodecChoice {
  #preferred
  #limits
  /** What this browser encodes. @type {Set<string>} */
  #encodable = new Set()
  /** What everybody who wants the track decodes. @type {Set<string>} */
  #decodable = new Set()
  /** What has failed here, for good. */
  #unusable = new Set()
  #wish = FLOOR
  #wishedAt = -Infinity
  #switchedAt = -Infinity
  /** The one in use. */
  codec = FLOOR
  counters = { codecSwitches: 0, codecDemanded: 0, codecFailed: 0 }

  /** @param {string[]} preferred best first @param {typeof defaults.codecs} [limits] */
  constructor(preferred, limits = defaults.codecs) {
    this.#preferred = preferred
    this.#limits = limits
  }

  /** Those worth asking this browser about. */
  get candidates() {
    return this.#preferred.filter((codec) => codec !== FLOOR && codec in this.#limits.strings)
  }

  /** The track begins anew, and who wants it is not known. */
  reset() {
    this.codec = FLOOR
    this.#decodable.clear()
  }

  /** @param {string[]} codecs */
  setEncodable(codecs) {
    this.#encodable = new Set(codecs)
  }

  /** @param {string[]} codecs beyond the floor, that all subscribers decode */
  setDecodable(codecs) {
    this.#decodable = new Set(codecs)
  }

  /** The encoder failed at the codec in use, or is too slow with it. @returns {boolean} whether there is another one to go on with */
  failed() {
    if (this.codec === FLOOR) return false
    this.counters.codecFailed++
    this.#unusable.add(this.codec)
    return true
  }

  /** @param {number} now @returns {string} the codec to encode with from now on */
  choose(now) {
    const { settleMs, switchIntervalMs } = this.#limits
    if (!this.#allows(this.codec)) {
      // Somebody sees nothing, or nobody does: this cannot wait.
      if (!this.#unusable.has(this.codec)) this.counters.codecDemanded++
      return this.#switch(now, FLOOR)
    }
    const best = this.#preferred.find((codec) => this.#allows(codec)) ?? FLOOR
    if (best !== this.#wish) {
      this.#wish = best
      this.#wishedAt = now
    }
    if (best === this.codec || now - this.#wishedAt < settleMs || now - this.#switchedAt < switchIntervalMs) return this.codec
    return this.#switch(now, best)
  }

  /** @param {string} codec */
  #allows(codec) {
    return codec === FLOOR || (this.#encodable.has(codec) && this.#decodable.has(codec) && !this.#unusable.has(codec))
  }

  /** @param {number} now @param {string} codec */
  #switch(now, codec) {
    this.codec = codec
    this.#switchedAt = now
    this.counters.codecSwitches++
    return codec
  }
}
