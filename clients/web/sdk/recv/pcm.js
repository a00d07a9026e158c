// Owns the decoding of `pcm-s16`: Int16 little-endian at 16,000 Hz mono to the samples of the SDK. Pure.

import { defaults } from '../defaults.js'
import { lowPass } from '../sinc.js'
import { pcmToFloat } from '../v1/pcm.js'

/** Output samples per input sample: 16,000 to 48,000 Hz. */
const FACTOR = 3
/** Input samples that one output sample is made of: what is above 8 kHz is at least 50 dB down from 9.5 kHz on. */
const TAPS = 24

/** A low-pass at 7.6 kHz. Each output sample meets every third tap: the others would meet the zeros between two input samples. */
const KERNEL = lowPass(TAPS * FACTOR, (0.95 * 8000) / defaults.sampleRate).map((tap) => tap * FACTOR)

/** What this decodes; anything else by that name is refused. @param {Record<string, any>} config */
export const isPcm = ({ codec, sampleRate, numberOfChannels }) => codec === 'pcm-s16' && sampleRate === 16_000 && numberOfChannels === 1

/** Keeps its place between packets. */
export class PcmDecoder {
  #history = new Float32Array(TAPS - 1)

  /** @param {Uint8Array} payload @returns {Float32Array<ArrayBuffer>} */
  decode(payload) {
    const fresh = pcmToFloat(payload)
    const input = new Float32Array(TAPS - 1 + fresh.length)
    input.set(this.#history)
    input.set(fresh, TAPS - 1)
    this.#history = input.slice(fresh.length)
    const output = new Float32Array(fresh.length * FACTOR)
    for (let i = 0; i < fresh.length; i++) {
      for (let phase = 0; phase < FACTOR; phase++) {
        let sum = 0
        for (let tap = 0; tap < TAPS; tap++) sum += KERNEL[tap * FACTOR + phase] * input[i + TAPS - 1 - tap]
        output[i * FACTOR + phase] = sum
      }
    }
    return output
  }
}
