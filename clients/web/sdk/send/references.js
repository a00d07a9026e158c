// Owns what each encoded frame says about its dependencies: keyframe, ref, discardable, temporal layer. Pure.

/** @param {string | undefined} mode such as L1T3 @returns {number} temporal layers */
export const temporalLayers = (mode) => Number(/^L\dT(\d)/.exec(mode ?? '')?.[1] ?? 1)

export class References {
  #layers
  /** @type {number[]} sequence number of the newest frame of each temporal layer since the keyframe, -1 for none */
  #newest = []
  #sequence = -1

  /** @param {string} [scalabilityMode] */
  constructor(scalabilityMode) {
    this.#layers = temporalLayers(scalabilityMode)
  }

  /** Whether nothing needs a frame of this layer. @param {number} [temporalLayer] */
  isTop(temporalLayer) {
    return this.#layers > 1 && temporalLayer === this.#layers - 1
  }

  /**
   * @param {boolean} keyframe
   * @param {number} [temporalLayer] as the encoder said, if it did
   * @returns {{keyframe: boolean, ref: number, discardable: boolean, temporal: number}}
   */
  next(keyframe, temporalLayer) {
    const sequence = ++this.#sequence
    if (keyframe) {
      this.#newest = [sequence]
      return { keyframe, ref: 0, discardable: false, temporal: 0 }
    }
    if (temporalLayer === undefined || this.#layers === 1) {
      // Without the encoder's word every frame may need the one before it.
      this.#newest = [sequence]
      return { keyframe, ref: 1, discardable: false, temporal: 0 }
    }
    // The base layer needs the base; a higher one the newest frame below it.
    const below = this.#newest.slice(0, Math.max(1, temporalLayer)).filter((each) => each !== undefined)
    const needed = Math.max(...below)
    this.#newest[temporalLayer] = sequence
    const ref = sequence - needed
    return { keyframe, ref, discardable: this.isTop(temporalLayer), temporal: temporalLayer }
  }
}
