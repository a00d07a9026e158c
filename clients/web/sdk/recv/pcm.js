// Owns the decoding of `pcm-s16`: Int16 little-endian at 16,000 Hz mono to the samples of the SDK. Pure.

import { pcmToFloat } from '../v1/pcm.js'

/** Output samples per input sample: 16,000 to 48,000 Hz. */
const FACTOR = 3
/** Input samples that one output sample is made of: what is above 8 kHz is at least 50 dB down from 9.5 kHz on. */
const TAPS = 24

/** A low-pass at 7.6 kHz, sinc under a Blackman window, split into the phases between two input samples. */
const PHASES = Array.from({ length: FACTOR }, (_, phase) => {
  const taps = Float32Array.from({ length: TAPS }, (_, tap) => {
    const t = tap * FACTOR + phase - (TAPS * FACTOR - 1) / 2
    const x = (Math.PI * 0.95 * t) / FACTOR
    const at = (2 * Math.PI * (tap * FACTOR + phase + 0.5)) / (TAPS * FACTOR)
    return (x ? Math.sin(x) / x : 1) * (0.42 - 0.5 * Math.cos(at) + 0.08 * Math.cos(2 * at))
  })
  const sum = taps.reduce((total, tap) => total + tap, 0)
  return taps.map((tap) => tap / sum)
})

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
        const taps = PHASES[phase]
        let sum = 0
        for (let tap = 0; tap < TAPS; tap++) sum += taps[tap] * input[i + TAPS - 1 - tap]
        output[i * FACTOR + phase] = sum
      }
    }
    return output
  }
}
