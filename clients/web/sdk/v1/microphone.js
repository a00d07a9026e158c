// Owns the way of this side's sound to v1 members: samples of the SDK → v1's messages. Loaded once there is one.

import { defaults } from '../defaults.js'
import { PcmBlocks, Resampler } from './pcm.js'

export class V1Microphone {
  #resampler = new Resampler(defaults.sampleRate, defaults.v1.sampleRate)
  #blocks = new PcmBlocks(defaults.v1.blockFrames)

  /** @param {Float32Array} samples @returns {Uint8Array<ArrayBuffer>[]} payloads that became whole */
  push(samples) {
    return this.#blocks.push(this.#resampler.process(samples))
  }

  /** What was gathered before a mute is not sent after it. */
  clear() {
    this.#blocks.clear()
  }
}
