// Owns the last step of received sound: reads a ring on the audio thread, waits for its target, fades where it starts and stops.
// A fade takes about one quantum, 2.7 ms: long enough not to click, too short to hear. Never decodes and never resamples.

import { Ring } from './ring.js'

/** A sample's share in the one after it where sound ends: it never looks ahead, so no sample waits for that. */
const FADE = 0.97
const SILENT = 1e-4

class Playout extends AudioWorkletProcessor {
  #ended = false
  /** Last sample of each channel. @type {number[]} */
  #last = []
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
    let frames = 0
    if (ring.playing || ring.depth >= Math.max(length, ring.target)) {
      frames = ring.read(planes)
      if (!ring.playing) for (const [channel, plane] of planes.entries()) fadeIn(plane, this.#last[channel] ?? 0)
      ring.playing = frames === length
      if (!ring.playing) ring.countUnderrun()
    }
    for (const [channel, plane] of planes.entries()) this.#last[channel] = fadeOut(plane, frames, this.#last[channel] ?? 0)
    return !this.#ended
  }
}

/** @param {Float32Array} plane @param {number} last sample before it, which may not have faded out yet */
function fadeIn(plane, last) {
  for (let i = 0; i < plane.length; i++) plane[i] = (plane[i] * i) / plane.length + (last *= FADE)
}

/**
 * Goes on from the last sample to silence.
 * @param {Float32Array} plane @param {number} from where it ends @param {number} last sample before the plane
 * @returns {number} its last sample
 */
function fadeOut(plane, from, last) {
  for (let i = from; i < plane.length; i++) plane[i] = i ? plane[i - 1] * FADE : last * FADE
  const end = plane[plane.length - 1]
  return Math.abs(end) < SILENT ? 0 : end
}

registerProcessor('pulse-playout', Playout)
