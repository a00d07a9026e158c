// Owns sound for a browser without an Opus encoder: blocks at 48 kHz → mono at 16 kHz, 16 bits (`pcm-s16`). Pure.

import { defaults } from '../defaults.js'
import { lowPass } from '../sinc.js'

/** What such a track is announced as. */
export const PCM_CONFIG = Object.freeze({ codec: 'pcm-s16', sampleRate: 16_000, numberOfChannels: 1 })
const STEP = defaults.sampleRate / PCM_CONFIG.sampleRate

export class PcmEncoder {
  /** What lies above half the new rate would come back as tones that nobody made. */
  #kernel = lowPass(defaults.pcm.taps, defaults.pcm.cutoffHz / defaults.sampleRate)
  /** The end of what came before, which the filter still reaches. */
  #tail = new Float32Array(this.#kernel.length - 1)

  /** @param {Float32Array[]} planes a block whose length is a multiple of the step @returns {Uint8Array<ArrayBuffer>} */
  encode(planes) {
    const frames = planes[0].length
    const kernel = this.#kernel
    const input = new Float32Array(this.#tail.length + frames)
    input.set(this.#tail)
    for (const plane of planes) for (let i = 0; i < frames; i++) input[this.#tail.length + i] += plane[i] / planes.length
    this.#tail = input.slice(frames)
    const out = new DataView(new ArrayBuffer((frames / STEP) * 2))
    for (let at = 0; at < frames; at += STEP) {
      let sample = 0
      for (let tap = 0; tap < kernel.length; tap++) sample += kernel[tap] * input[at + tap]
      out.setInt16((at / STEP) * 2, Math.round(Math.max(-1, Math.min(1, sample)) * 32_767), true)
    }
    return new Uint8Array(out.buffer)
  }
}
