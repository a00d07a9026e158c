// Owns the ring of samples between a decoder and the audio thread: one writer, one reader, in shared memory or in one thread's own.
// Never waits, never allocates after construction.

/** Slots of the header. */
const WRITE = 0
const READ = 1
const TARGET = 2
const UNDERRUNS = 3
const PLAYING = 4
const HEADER_BYTES = 32

/** @param {number} frames a power of two @param {number} channels @returns {number} */
export const ringBytes = (frames, channels) => HEADER_BYTES + frames * channels * 4

export class Ring {
  #header
  #samples
  #channels
  #mask
  /** Frames that found no place. */
  overflow = 0

  /** @param {ArrayBufferLike} memory of `ringBytes` @param {number} channels */
  constructor(memory, channels) {
    this.#header = new Int32Array(memory, 0, HEADER_BYTES / 4)
    this.#samples = new Float32Array(memory, HEADER_BYTES)
    this.#channels = channels
    this.#mask = this.#samples.length / channels - 1
  }

  /** Frames waiting to be played. */
  get depth() {
    return (Atomics.load(this.#header, WRITE) - Atomics.load(this.#header, READ)) | 0
  }

  /** Frames read so far, as a 32-bit number that wraps: only differences `| 0` mean something. */
  get readPosition() {
    return Atomics.load(this.#header, READ)
  }

  /** Frames written so far, likewise. */
  get writePosition() {
    return Atomics.load(this.#header, WRITE)
  }

  /** Whether the reader takes samples, or waits for the target. */
  get playing() {
    return Atomics.load(this.#header, PLAYING) !== 0
  }

  set playing(on) {
    Atomics.store(this.#header, PLAYING, on ? 1 : 0)
  }

  get target() {
    return Atomics.load(this.#header, TARGET)
  }

  /** Depth at which playing starts. */
  set target(frames) {
    Atomics.store(this.#header, TARGET, frames)
  }

  get underruns() {
    return Atomics.load(this.#header, UNDERRUNS)
  }

  countUnderrun() {
    Atomics.add(this.#header, UNDERRUNS, 1)
  }

  /** Writes what has place; the rest is dropped and counted. @param {Float32Array[]} planes one per channel, of equal length */
  write(planes) {
    const write = Atomics.load(this.#header, WRITE)
    const length = planes[0].length
    const frames = Math.min(length, this.#mask + 1 - this.depth)
    this.overflow += length - frames
    for (let channel = 0; channel < this.#channels; channel++) {
      const plane = planes[Math.min(channel, planes.length - 1)]
      for (let i = 0; i < frames; i++) this.#samples[((write + i) & this.#mask) * this.#channels + channel] = plane[i]
    }
    Atomics.store(this.#header, WRITE, (write + frames) | 0)
  }

  /** Reads up to the length of the planes. @param {Float32Array[]} planes @returns {number} frames read */
  read(planes) {
    const read = Atomics.load(this.#header, READ)
    const frames = Math.max(0, Math.min(planes[0].length, this.depth))
    for (let channel = 0; channel < planes.length; channel++) {
      const from = Math.min(channel, this.#channels - 1)
      const plane = planes[channel]
      for (let i = 0; i < frames; i++) plane[i] = this.#samples[((read + i) & this.#mask) * this.#channels + from]
    }
    Atomics.store(this.#header, READ, (read + frames) | 0)
    return frames
  }

  /** Leaves frames unplayed. @param {number} frames at most the depth */
  skip(frames) {
    Atomics.add(this.#header, READ, frames)
  }
}
