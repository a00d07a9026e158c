// Owns the sound of one v1 member: PCM messages → playout ring. v1 says nothing about muting, so silence on the wire counts as muted.

import { defaults } from '../defaults.js'
import { join } from '../recv/samples.js'
import { v1Defaults } from './defaults.js'
import { pcmToFloat, Resampler } from './pcm.js'

export class V1AudioReceiver {
  kind = /** @type {const} */ ('audio')
  config = { codec: 'pcm-v1', sampleRate: defaults.v1.sampleRate, numberOfChannels: 1 }
  #resampler = new Resampler(defaults.v1.sampleRate, defaults.sampleRate)
  /** @type {import('../recv/output.js').Output | null} */
  #output = null
  /** The newest block while there is no output yet. @type {Float32Array<ArrayBuffer> | null} */
  #first = null
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer
  #onMuted
  #playing = false
  muted = true
  counters = { packets: 0, bytes: 0, underruns: 0, dropped: 0, unplayed: 0 }

  /** @param {(muted: boolean) => void} onMuted */
  constructor(onMuted) {
    this.#onMuted = onMuted
  }

  /** @param {import('../recv/output.js').Output} output */
  setOutput(output) {
    this.#output?.close()
    this.#output = output
    output.setTargetMs(0)
    if (this.#first) this.#write(output, this.#first)
    this.#first = null
  }

  /** @param {Uint8Array} payload @returns {Float32Array} the samples, for the level */
  push(payload) {
    this.counters.packets++
    this.counters.bytes += payload.length
    const samples = this.#resampler.process(pcmToFloat(payload))
    if (this.#output) this.#write(this.#output, samples)
    else {
      if (this.#first) this.counters.unplayed++
      this.#first = samples
    }
    this.#setMuted(false)
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#setMuted(true), v1Defaults.silentAfterMs)
    return samples
  }

  close() {
    clearTimeout(this.#timer)
    this.#output?.close()
    this.#output = null
  }

  statistics() {
    return { ...this.counters, depthMs: Math.round(this.#output?.depthMs ?? 0), ringUnderruns: this.#output?.underruns ?? 0 }
  }

  /** @param {import('../recv/output.js').Output} output @param {Float32Array<ArrayBuffer>} samples */
  #write(output, samples) {
    const { depthMs } = output
    if (depthMs > v1Defaults.maxDepthMs) {
      this.counters.dropped++
      return
    }
    if (depthMs === 0) {
      if (this.#playing) this.counters.underruns++
      output.write([new Float32Array((v1Defaults.leadMs * defaults.sampleRate) / 1000)])
      samples = join(undefined, samples)
    }
    this.#playing = true
    output.write([samples])
  }

  /** @param {boolean} muted */
  #setMuted(muted) {
    if (muted === this.muted) return
    this.muted = muted
    this.#playing = false
    this.#onMuted(muted)
  }
}
