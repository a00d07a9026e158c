// Owns the look and the level of a person's own devices before a call. Never sends anything.

import { createVideo, openCamera, openMicrophone } from './devices.js'
import { PulseError } from './errors.js'

/** Camera picture and microphone level before a call. */
export class LocalPreview {
  /** @type {HTMLVideoElement | null} */
  video = null
  /** @type {PulseError[]} what could not be opened */
  errors = []
  /** @type {MediaStream[]} */
  #streams = []
  /** @type {AudioContext | null} */
  #context = null
  /** @type {AnalyserNode | null} */
  #analyser = null
  /** @type {Float32Array<ArrayBuffer>} */
  #samples = new Float32Array(0)
  #stopped = false

  /** @param {{camera: boolean, microphone: boolean, cameraId?: string, microphoneId?: string}} wanted */
  async start({ camera, microphone, cameraId, microphoneId }) {
    // One after the other: two permission prompts at once confuse, and one missing device must not hide the other.
    if (camera) await this.#try(async () => this.#showCamera(await this.#keep(openCamera(cameraId))))
    if (microphone) await this.#try(async () => this.#meter(await this.#keep(openMicrophone(microphoneId))))
  }

  /** Current level of the microphone, 0 to 1. */
  get level() {
    if (!this.#analyser) return 0
    this.#analyser.getFloatTimeDomainData(this.#samples)
    let sum = 0
    for (const sample of this.#samples) sum += sample * sample
    const dbov = 10 * Math.log10(sum / this.#samples.length + 1e-12)
    return Math.max(0, Math.min(1, (dbov + 60) / 54))
  }

  stop() {
    this.#stopped = true
    for (const stream of this.#streams) for (const track of stream.getTracks()) track.stop()
    this.#streams = []
    if (this.video) this.video.srcObject = null
    this.video?.remove()
    this.video = null
    this.#analyser = null
    void this.#context?.close()
    this.#context = null
  }

  /** @param {() => Promise<void>} step */
  async #try(step) {
    try {
      await step()
    } catch (error) {
      this.errors.push(error instanceof PulseError ? error : new PulseError('device_failed', { cause: error }))
    }
  }

  /** @param {Promise<MediaStream>} opening */
  async #keep(opening) {
    const stream = await opening
    this.#streams.push(stream)
    if (this.#stopped) this.stop()
    return stream
  }

  /** @param {MediaStream} stream */
  #showCamera(stream) {
    if (this.#stopped) return
    this.video = createVideo(stream)
  }

  /** @param {MediaStream} stream */
  #meter(stream) {
    if (this.#stopped) return
    this.#context = new AudioContext()
    this.#analyser = this.#context.createAnalyser()
    this.#analyser.fftSize = 1024
    this.#samples = new Float32Array(this.#analyser.fftSize)
    this.#context.createMediaStreamSource(stream).connect(this.#analyser)
  }
}
