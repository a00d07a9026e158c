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

  /** @param {MessagePort} port */
  constructor(port) {
    this.#port = port
    port.onmessage = ({ data }) => {
      this.#depth = data.depth
      this.#at = performance.now()
      this.underruns = data.underruns
    }
  }

  /** The last report, carried on: played since, and written since. */
  get depthMs() {
    const elapsed = Math.min(performance.now() - this.#at, 2 * defaults.jitter.startTargetMs)
    return Math.max(0, (this.#depth * 1000) / defaults.sampleRate - elapsed)
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
    const copies = planes.map((plane) => plane.slice())
    this.#port.postMessage({ planes: copies }, copies.map((plane) => plane.buffer))
  }

  close() {
    this.#port.onmessage = null
    this.#port.close()
  }
}
