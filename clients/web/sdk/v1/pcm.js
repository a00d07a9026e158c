// Owns the sound of v1: Int16 blocks at 44,100 Hz to and from the samples of the SDK. Pure.

/** Changes the sample rate of a stream by linear interpolation; keeps its place between blocks. */
export class Resampler {
  #step
  #position = 0
  #last = 0

  /** @param {number} from @param {number} to Hz */
  constructor(from, to) {
    this.#step = from / to
  }

  /** @param {Float32Array} input @returns {Float32Array<ArrayBuffer>} */
  process(input) {
    // Position 0 is the last sample of the block before, 1 the first of this one.
    const count = Math.max(0, Math.ceil((input.length - this.#position) / this.#step))
    const output = new Float32Array(count)
    let position = this.#position
    for (let i = 0; i < count; i++) {
      const index = Math.floor(position)
      const before = index === 0 ? this.#last : input[index - 1]
      output[i] = before + (input[index] - before) * (position - index)
      position += this.#step
    }
    // Rounding must not lead back before the last sample.
    this.#position = Math.max(0, position - input.length)
    this.#last = input[input.length - 1] ?? this.#last
    return output
  }
}

/** Gathers samples into v1's blocks. */
export class PcmBlocks {
  #block
  #filled = 0

  /** @param {number} frames of a block */
  constructor(frames) {
    this.#block = new DataView(new ArrayBuffer(frames * 2))
  }

  /** @param {Float32Array} samples @returns {Uint8Array<ArrayBuffer>[]} the blocks that became full */
  push(samples) {
    const full = []
    for (const sample of samples) {
      const clipped = Math.max(-1, Math.min(1, sample))
      this.#block.setInt16(this.#filled, Math.round(clipped * 32_767), true)
      this.#filled += 2
      if (this.#filled < this.#block.byteLength) continue
      full.push(new Uint8Array(this.#block.buffer.slice(0)))
      this.#filled = 0
    }
    return full
  }

  /** What was gathered before a mute is not sent after it. */
  clear() {
    this.#filled = 0
  }
}

/** @param {Uint8Array} payload @returns {Float32Array<ArrayBuffer>} an odd last byte is left out */
export function pcmToFloat(payload) {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength)
  const samples = new Float32Array(payload.byteLength >> 1)
  for (let i = 0; i < samples.length; i++) samples[i] = view.getInt16(i * 2, true) / 32_768
  return samples
}
