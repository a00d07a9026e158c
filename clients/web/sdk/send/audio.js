// Owns one sent audio track in the worker: blocks from the capture worklet → level → Opus, or samples as they are where no encoder
// works → frames. Never touches a device or a socket.

import { defaults } from '../defaults.js'
import { hasAudioEncoder } from '../support.js'
import { nowMs } from '../worker/clock.js'
import { audioLevel } from './level.js'
import { PCM_CONFIG, PcmEncoder } from './pcm.js'

/**
 * @typedef {object} AudioSenderHandlers
 * @property {(frame: {capturedUs: number, level: number, payload: Uint8Array}) => void} onFrame
 * @property {(level: number) => void} onLevel
 * @property {(planes: Float32Array[]) => void} onBlock every block that is sent, as captured
 * @property {() => void} onConfig `config` is another one from the next frame on
 */

export class AudioSender {
  #port
  #settings
  #handlers
  /** @type {AudioEncoder | null} */
  #encoder = null
  /** In place of an encoder that does not exist, or fails. @type {PcmEncoder | null} */
  #pcm = hasAudioEncoder() ? null : new PcmEncoder()
  /** @type {Map<number, {capturedUs: number, level: number}>} blocks in the encoder, by timestamp */
  #pending = new Map()
  #samples = 0
  /** Of the encoder in a row. */
  #faults = 0
  #lastCapturedUs = 0
  /** When the next block begins if none is missing. */
  #nextMs = 0
  muted = false
  counters = { blocks: 0, frames: 0, bytes: 0, dropped: 0, encoderErrors: 0 }

  /** @param {MessagePort} port @param {typeof defaults.microphone | typeof defaults.screenAudio} settings @param {AudioSenderHandlers} handlers */
  constructor(port, settings, handlers) {
    this.#port = port
    this.#settings = settings
    this.#handlers = handlers
    port.onmessage = ({ data }) => this.#onBlock(data)
  }

  get config() {
    return this.#pcm ? PCM_CONFIG : this.#opusConfig
  }

  get #opusConfig() {
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
    if (this.#pcm) {
      this.#emit({ capturedUs, level }, this.#pcm.encode(planes))
      return
    }
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
    } catch {
      this.#failed(encoder)
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
      error: () => this.#failed(encoder),
    })
    this.#encoder = encoder
    encoder.configure(/** @type {AudioEncoderConfig} */ ({
      ...this.#opusConfig,
      opus: { frameDuration: this.#settings.blockMs * 1000, application: this.#settings.application },
    }))
    return encoder
  }

  /** A new encoder may do; sound must go on in any case. @param {AudioEncoder} encoder */
  #failed(encoder) {
    if (encoder !== this.#encoder) return
    if (encoder.state !== 'closed') encoder.close()
    this.#encoder = null
    this.#pending.clear()
    this.counters.encoderErrors++
    if (++this.#faults < defaults.audioEncoderFaults) return
    this.#pcm = new PcmEncoder()
    this.#handlers.onConfig()
  }

  /** @param {EncodedAudioChunk} chunk */
  #onChunk(chunk) {
    // The encoder may shift timestamps by its look-ahead: the oldest block in it is the one that comes out.
    const key = this.#pending.keys().next().value
    const meta = key === undefined ? undefined : this.#pending.get(key)
    if (key === undefined || !meta) return
    this.#pending.delete(key)
    this.#faults = 0
    const payload = new Uint8Array(chunk.byteLength)
    chunk.copyTo(payload)
    this.#emit(meta, payload)
  }

  /** @param {{capturedUs: number, level: number}} meta @param {Uint8Array} payload */
  #emit(meta, payload) {
    this.counters.frames++
    this.counters.bytes += payload.length
    this.#handlers.onFrame({ ...meta, payload })
  }
}
