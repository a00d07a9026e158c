// Owns the worker's end of a playout ring: shared memory where the page is isolated, messages to the worklet otherwise.
// Never decides what is played.

import { defaults } from '../defaults.js'
import { Ring } from './ring.js'

/** @typedef {SharedOutput | PortOutput} Output */

export class SharedOutput {
  #ring

  /** @param {SharedArrayBuffer} memory @param {number} channels */
  constructor(memory, channels) {
    this.#ring = new Ring(memory, channels)
  }

  get depthMs() {
    return (this.#ring.depth * 1000) / defaults.sampleRate
  }

  get underruns() {
    return this.#ring.underruns
  }

  get overflow() {
    return this.#ring.overflow
  }

  get playing() {
    return this.#ring.playing
  }

  /** Frames handed out and frames written so far, as in `Ring`. */
  get readPosition() {
    return this.#ring.readPosition
  }

  get writePosition() {
    return this.#ring.writePosition
  }

  /** @param {number} ms */
  setTargetMs(ms) {
    this.#ring.target = Math.round((ms * defaults.sampleRate) / 1000)
  }

  /** @param {Float32Array<ArrayBuffer>[]} planes */
  write(planes) {
    this.#ring.write(planes)
  }

  close() {}
}

export class PortOutput {
  #port
  #depth = 0
  #at = performance.now()
  #targetMs = 0
  underruns = 0
  overflow = 0
  playing = false
  #read = 0
  writePosition = 0

  /** @param {MessagePort} port */
  constructor(port) {
    this.#port = port
    port.onmessage = ({ data }) => {
      this.#depth = data.depth
      this.#at = performance.now()
      this.underruns = data.underruns
      this.overflow = data.overflow
      this.playing = data.playing
      // What found no place counts as read here: it was written and is not waiting.
      this.#read = (data.read + data.overflow) | 0
    }
  }

  /** Carried on from the last report while it plays. */
  get readPosition() {
    return (this.#read + (this.playing ? Math.round((this.#elapsedMs() * defaults.sampleRate) / 1000) : 0)) | 0
  }

  /** The last report, carried on: played since, and written since. */
  get depthMs() {
    return Math.max(0, (this.#depth * 1000) / defaults.sampleRate - (this.playing ? this.#elapsedMs() : 0))
  }

  #elapsedMs() {
    return Math.min(performance.now() - this.#at, 4 * defaults.depthReportMs)
  }

  /** @param {number} ms */
  setTargetMs(ms) {
    if (ms === this.#targetMs) return
    this.#targetMs = ms
    this.#port.postMessage({ target: Math.round((ms * defaults.sampleRate) / 1000) })
  }

  /** @param {Float32Array<ArrayBuffer>[]} planes */
  write(planes) {
    this.#depth += planes[0].length
    this.writePosition = (this.writePosition + planes[0].length) | 0
    const copies = planes.map((plane) => plane.slice())
    this.#port.postMessage({ planes: copies }, copies.map((plane) => plane.buffer))
  }

  close() {
    this.#port.onmessage = null
    this.#port.close()
  }
}
