// Owns the last step of received sound: reads a ring on the audio thread, waits for its target, fades where it starts and stops.
// A fade is one quantum, 2.7 ms: long enough not to click, too short to hear. Never decodes and never resamples.

import { Ring } from './ring.js'

class Playout extends AudioWorkletProcessor {
  #ended = false
  #ring
  /** @type {MessagePort | null} */
  #port = null
  #reportEvery
  #quanta = 0

  /** @param {{processorOptions: {memory: ArrayBufferLike, channels: number, reportMs: number}}} options */
  constructor({ processorOptions: { memory, channels, reportMs } }) {
    super()
    this.#ring = new Ring(memory, channels)
    this.#reportEvery = Math.max(1, Math.round((reportMs * sampleRate) / 1000 / 128))
    this.port.onmessage = ({ data }) => {
      if (data.end) this.#ended = true
      if (data.port) this.#listen(data.port)
    }
  }

  /** Without shared memory the samples come by message and the depth goes back by message. @param {MessagePort} port */
  #listen(port) {
    this.#port = port
    port.onmessage = ({ data }) => {
      if (data.planes) this.#ring.write(data.planes)
      if (data.target !== undefined) this.#ring.target = data.target
    }
  }

  /** @param {Float32Array[][]} _inputs @param {Float32Array[][]} outputs */
  process(_inputs, outputs) {
    const planes = outputs[0]
    const ring = this.#ring
    const length = planes[0].length
    if (this.#port && ++this.#quanta % this.#reportEvery === 0) {
      const { depth, underruns, overflow, playing, readPosition: read } = ring
      this.#port.postMessage({ depth, underruns, overflow, playing, read })
    }
    let fadeIn = false
    if (!ring.playing && ring.depth >= Math.max(length, ring.target)) {
      ring.playing = true
      fadeIn = true
    }
    if (ring.playing) {
      // Less than another quantum behind this one: it fades out and the rest, a few ms, is left out.
      const { depth } = ring
      const frames = ring.read(planes)
      if (fadeIn) ramp(planes, 0, frames, 1)
      if (depth < 2 * length) {
        ramp(planes, 0, frames, -1)
        for (const plane of planes) plane.fill(0, frames)
        ring.skip(depth - frames)
        ring.countUnderrun()
        ring.playing = false
      }
    }
    return !this.#ended
  }
}

/** @param {Float32Array[]} planes @param {number} from @param {number} to @param {1 | -1} direction */
function ramp(planes, from, to, direction) {
  const length = to - from
  for (const plane of planes) {
    for (let i = 0; i < length; i++) plane[from + i] *= direction > 0 ? i / length : 1 - (i + 1) / length
  }
}

registerProcessor('pulse-playout', Playout)
