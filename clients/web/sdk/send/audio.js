// Owns one sent audio track in the worker: blocks from the capture worklet → level → Opus → frames. Never touches a device or a socket.

import { defaults } from '../defaults.js'
import { nowMs } from '../worker/clock.js'
import { audioLevel } from './level.js'

/**
 * @typedef {object} AudioSenderHandlers
 * @property {(frame: {capturedUs: number, level: number, payload: Uint8Array}) => void} onFrame
 * @property {(level: number) => void} onLevel
 * @property {(planes: Float32Array[]) => void} onBlock every block that is sent, as captured
 * @property {(error: unknown) => void} onError
 */

export class AudioSender {
  #port
  #settings
  #handlers
  /** @type {AudioEncoder | null} */
  #encoder = null
  /** @type {Map<number, {capturedUs: number, level: number}>} blocks in the encoder, by timestamp */
  #pending = new Map()
  #samples = 0
  #lastCapturedUs = 0
  /** When the next block begins if none is missing. */
  #nextMs = 0
  muted = false
  counters = { blocks: 0, frames: 0, bytes: 0, dropped: 0 }

  /** @param {MessagePort} port @param {typeof defaults.microphone | typeof defaults.screenAudio} settings @param {AudioSenderHandlers} handlers */
  constructor(port, settings, handlers) {
    this.#port = port
    this.#settings = settings
    this.#handlers = handlers
    port.onmessage = ({ data }) => this.#onBlock(data)
  }

  get config() {
    return {
      codec: 'opus', sampleRate: defaults.sampleRate, numberOfChannels: this.#settings.channels, bitrate: this.#settings.bitrate,
    }
  }

  close() {
    this.#port.onmessage = null
    this.#port.close()
    if (this.#encoder && this.#encoder.state !== 'closed') this.#encoder.close()
    this.#encoder = null
    this.#pending.clear()
  }

  /** @param {Float32Array<ArrayBuffer>[]} planes */
  #onBlock(planes) {
    if (this.muted) return
    this.counters.blocks++
    const frames = planes[0].length
    const capturedUs = this.#capturedUs((frames * 1000) / defaults.sampleRate)
    const level = audioLevel(planes[0], defaults.voiceThresholdDbov)
    this.#handlers.onLevel(level)
    this.#handlers.onBlock(planes)
    const encoder = this.#encoder ?? this.#createEncoder()
    if (encoder.encodeQueueSize > defaults.audioEncoderQueue) {
      this.counters.dropped++
      return
    }
    const timestamp = Math.round((this.#samples * 1e6) / defaults.sampleRate)
    this.#samples += frames
    const samples = new Float32Array(frames * planes.length)
    planes.forEach((plane, channel) => samples.set(plane, channel * frames))
    const data = new AudioData({
      format: 'f32-planar', sampleRate: defaults.sampleRate, numberOfFrames: frames, numberOfChannels: planes.length, timestamp, data: samples,
    })
    this.#pending.set(timestamp, { capturedUs, level })
    try {
      encoder.encode(data)
    } finally {
      data.close()
    }
  }

  /**
   * When this block began. Messages bunch up where this thread is busy; what is behind them must not look as if it were on time.
   * @param {number} durationMs
   */
  #capturedUs(durationMs) {
    const { drift, jumpMs } = defaults.captureClock
    const seenMs = nowMs() - durationMs
    const lateMs = seenMs - this.#nextMs
    const beganMs = lateMs < 0 || lateMs > jumpMs ? seenMs : this.#nextMs + lateMs * drift
    this.#nextMs = beganMs + durationMs
    this.#lastCapturedUs = Math.max(this.#lastCapturedUs + 1, Math.round(beganMs * 1000))
    return this.#lastCapturedUs
  }

  #createEncoder() {
    const encoder = new AudioEncoder({
      output: (chunk) => this.#onChunk(chunk),
      error: (error) => {
        this.#encoder = null
        this.#pending.clear()
        this.#handlers.onError(error)
      },
    })
    encoder.configure(/** @type {AudioEncoderConfig} */ ({
      ...this.config,
      opus: { frameDuration: this.#settings.blockMs * 1000, application: this.#settings.application },
    }))
    this.#encoder = encoder
    return encoder
  }

  /** @param {EncodedAudioChunk} chunk */
  #onChunk(chunk) {
    // The encoder may shift timestamps by its look-ahead: the oldest block in it is the one that comes out.
    const key = this.#pending.keys().next().value
    const meta = key === undefined ? undefined : this.#pending.get(key)
    if (key === undefined || !meta) return
    this.#pending.delete(key)
    const payload = new Uint8Array(chunk.byteLength)
    chunk.copyTo(payload)
    this.counters.frames++
    this.counters.bytes += payload.length
    this.#handlers.onFrame({ ...meta, payload })
  }
}
