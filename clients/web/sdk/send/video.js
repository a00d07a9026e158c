// Owns one sent video track in the worker: frames → VP8 → codec frames with their references; paces and repeats a screen; decides on
// keyframes. Skips a frame only before encoding, so that the chain of references stays whole. Never touches a device or a socket.

import { defaults } from '../defaults.js'
import { nowMs } from '../worker/clock.js'
import { References } from './references.js'

/**
 * @typedef {typeof defaults.camera | typeof defaults.screen} VideoSettings
 * @typedef {object} VideoSenderHandlers
 * @property {() => 'send' | 'uplink' | 'offline'} mayEncode
 * @property {(config: Record<string, any>, version: number) => void} onConfig before frames that name it
 * @property {(frame: {version: number, capturedUs: number, keyframe: boolean, ref: number, discardable: boolean, temporal: number,
 *   payload: Uint8Array}) => void} onFrame
 * @property {(error: unknown) => void} onError
 */

/** @param {number} width @param {number} height @param {number} maxSide @returns {{width: number, height: number}} even, not larger */
export function fitSize(width, height, maxSide) {
  const scale = Math.min(1, maxSide / Math.max(width, height))
  const even = (/** @type {number} */ side) => Math.max(16, Math.floor((side * scale) / 2) * 2)
  return { width: even(width), height: even(height) }
}

/** @param {VideoColorSpace | VideoColorSpaceInit | null | undefined} space @returns {Record<string, any> | null} as announced; null if nothing is known */
export function plainColors(space) {
  const { primaries = null, transfer = null, matrix = null, fullRange = null } = space ?? {}
  return primaries || transfer || matrix || fullRange !== null ? { primaries, transfer, matrix, fullRange } : null
}

const sameColors = (/** @type {unknown} */ a, /** @type {unknown} */ b) => JSON.stringify(a) === JSON.stringify(b)

export class VideoSender {
  #settings
  #handlers
  #paced
  /** @type {ReadableStreamDefaultReader<VideoFrame> | null} */
  #reader = null
  /** @type {VideoEncoder | null} */
  #encoder = null
  #references = new References()
  /** @type {Map<number, {version: number, capturedUs: number}>} frames in the encoder, by timestamp */
  #pending = new Map()
  #version
  #size = { width: 0, height: 0 }
  /** Of the frames that go in; what comes out may differ. @type {Record<string, any> | null} */
  #colors = null
  #announced = false
  #keyframeWanted = true
  #keyframeAt = 0
  #keyframeRequested = false
  #awaitKeyframe = true
  #baseUs = 0
  #lastCapturedUs = 0
  /** @type {VideoFrame | null} newest frame of a paced source */
  #held = null
  #heldIsNew = false
  #encodedAt = 0
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #pace
  #closed = false
  #rateShare = 1
  #layered
  #failedAt = -Infinity
  /** @type {Record<string, any> | null} what was announced last */
  config = null
  counters = { captured: 0, frames: 0, keyframes: 0, bytes: 0, skippedUplink: 0, skippedEncoder: 0, skippedOffline: 0 }

  /**
   * @param {VideoSettings} settings
   * @param {number} version config versions go on over a stop and a new start
   * @param {VideoSenderHandlers} handlers
   */
  constructor(settings, version, handlers) {
    this.#settings = settings
    this.#version = version
    this.#handlers = handlers
    this.#paced = 'repeatMs' in settings
    this.#layered = settings.scalabilityMode !== 'L1T1'
    if (this.#paced) this.#pace = setInterval(() => this.#onPace(), 1000 / settings.framerate)
  }

  get version() {
    return this.#version
  }

  /**
   * Reads to the end of the stream, which is that of its device: cancelling would lose the frames that are on their way from it, unclosed.
   * @param {ReadableStream<VideoFrame>} frames
   */
  async read(frames) {
    const reader = frames.getReader()
    this.#reader = reader
    try {
      for (;;) {
        const { value, done } = await reader.read()
        if (done) return
        if (this.#reader !== reader || this.#closed) value.close()
        else this.push(value)
      }
    } catch (error) {
      if (this.#reader === reader && !this.#closed) this.#handlers.onError(error)
    }
  }

  /** Takes a frame and closes it. @param {VideoFrame} frame */
  push(frame) {
    this.counters.captured++
    if (this.#closed || !this.#paced) {
      try {
        this.#encode(frame)
      } finally {
        frame.close()
      }
      return
    }
    this.#held?.close()
    this.#held = frame
    this.#heldIsNew = true
  }

  /** Somebody cannot decode: a keyframe follows, at once or as soon as the last one is long enough ago. */
  requestKeyframe() {
    this.#keyframeRequested = true
  }

  /** Share of the usual bitrate that may be used from now on. @param {number} share */
  setRateShare(share) {
    this.#rateShare = share
    if (!this.#encoder || this.#encoder.state !== 'configured') return
    // The same picture at another rate: no keyframe, no new version.
    this.#encoder.configure(this.#encoderConfig())
  }

  /** After a reconnect: nothing is sent until a keyframe is. */
  restart() {
    this.#keyframeWanted = true
    this.#awaitKeyframe = true
  }

  close() {
    this.#closed = true
    clearInterval(this.#pace)
    this.#held?.close()
    this.#held = null
    if (this.#encoder && this.#encoder.state !== 'closed') this.#encoder.close()
    this.#encoder = null
    this.#pending.clear()
  }

  #onPace() {
    if (!this.#held) return
    const repeat = 'repeatMs' in this.#settings && nowMs() - this.#encodedAt >= this.#settings.repeatMs
    if (!this.#heldIsNew && !repeat && !this.#keyframeDue(nowMs())) return
    this.#heldIsNew = !this.#encode(this.#held) && this.#heldIsNew
  }

  /** @param {number} now */
  #keyframeDue(now) {
    const since = now - this.#keyframeAt
    return this.#keyframeWanted || since >= this.#settings.keyframeIntervalMs ||
      (this.#keyframeRequested && since >= defaults.forcedKeyframeIntervalMs)
  }

  /** @param {VideoFrame} frame stays the caller's @returns {boolean} whether it went into the encoder */
  #encode(frame) {
    if (this.#closed || nowMs() - this.#failedAt < defaults.encoderRetryMs) return false
    const verdict = this.#handlers.mayEncode()
    if (verdict === 'offline') {
      this.counters.skippedOffline++
      return false
    }
    if (verdict === 'uplink') {
      this.counters.skippedUplink++
      return false
    }
    const size = fitSize(frame.displayWidth, frame.displayHeight, this.#settings.maxSide)
    const colors = plainColors(frame.colorSpace)
    if (!this.#encoder || size.width !== this.#size.width || size.height !== this.#size.height || !sameColors(colors, this.#colors)) {
      this.#colors = colors
      if (!this.#configure(size)) return false
    }
    const encoder = this.#encoder
    if (!encoder) return false
    if (encoder.encodeQueueSize > defaults.videoEncoderQueue) {
      this.counters.skippedEncoder++
      return false
    }
    const now = nowMs()
    const capturedUs = Math.max(this.#lastCapturedUs + 1, Math.round(now * 1000))
    this.#lastCapturedUs = capturedUs
    if (!this.#baseUs) this.#baseUs = capturedUs
    const keyFrame = this.#keyframeDue(now)
    if (keyFrame) {
      this.#keyframeWanted = false
      this.#keyframeRequested = false
      this.#keyframeAt = now
    }
    // Sources count from different zeros: every frame gets this side's own time.
    const stamped = new VideoFrame(frame, { timestamp: capturedUs - this.#baseUs })
    this.#pending.set(stamped.timestamp, { version: this.#version, capturedUs })
    try {
      encoder.encode(stamped, { keyFrame })
    } catch (error) {
      this.#onEncoderError(encoder, error)
      return false
    } finally {
      stamped.close()
    }
    this.#encodedAt = now
    return true
  }

  /** @param {{width: number, height: number}} size @returns {boolean} */
  #configure(size) {
    const encoder = this.#encoder ?? this.#createEncoder()
    this.#size = size
    const config = this.#encoderConfig()
    try {
      encoder.configure(config)
    } catch (error) {
      this.#onEncoderError(encoder, error)
      return false
    }
    this.#keyframeWanted = true
    this.#version = (this.#version + 1) & 255
    this.#announced = false
    return true
  }

  /** The encoder tells the colours of what it made with the first chunk, so the config waits for that one. @param {any} [metadata] */
  #announce(metadata) {
    const { codec, framerate, scalabilityMode } = this.#encoderConfig()
    const colorSpace = plainColors(metadata?.decoderConfig?.colorSpace) ?? this.#colors
    this.#announced = true
    // Only now: frames of the config before this one may have been in the encoder until here.
    this.#references = new References(scalabilityMode)
    this.config = {
      codec, codedWidth: this.#size.width, codedHeight: this.#size.height, framerate, bitrate: this.#fullBitrate(),
      ...(scalabilityMode && { scalabilityMode }), ...(colorSpace && { colorSpace }),
    }
    this.#handlers.onConfig(this.config, this.#version)
  }

  /** A larger picture than usual gets the bits in proportion, a smaller one no fewer than half. */
  #fullBitrate() {
    const share = (this.#size.width * this.#size.height) / (this.#settings.width * this.#settings.height)
    return Math.round(this.#settings.bitrate * Math.min(2, Math.max(0.5, share)))
  }

  /** @returns {VideoEncoderConfig} */
  #encoderConfig() {
    const { codec, framerate, scalabilityMode } = this.#settings
    return {
      codec, ...this.#size, bitrate: Math.round(this.#fullBitrate() * this.#rateShare), framerate, latencyMode: 'realtime',
      contentHint: this.#paced ? 'text' : 'motion', ...(this.#layered && { scalabilityMode }),
    }
  }

  #createEncoder() {
    const encoder = new VideoEncoder({
      output: (chunk, metadata) => this.#onChunk(chunk, metadata),
      error: (error) => this.#onEncoderError(encoder, error),
    })
    this.#encoder = encoder
    return encoder
  }

  /** @param {VideoEncoder} encoder @param {unknown} error */
  #onEncoderError(encoder, error) {
    if (encoder !== this.#encoder) return
    if (encoder.state !== 'closed') encoder.close()
    this.#encoder = null
    this.#pending.clear()
    this.#failedAt = nowMs()
    if (this.#layered && this.counters.frames === 0) {
      // This browser encodes without temporal layers only; that is no reason to go without a picture.
      this.#layered = false
      return
    }
    this.#handlers.onError(error)
  }

  /** @param {EncodedVideoChunk} chunk @param {any} [metadata] */
  #onChunk(chunk, metadata) {
    const meta = this.#pending.get(chunk.timestamp)
    if (!meta) return
    // The encoder may drop frames by itself; what is older than this one will not come.
    for (const timestamp of this.#pending.keys()) if (timestamp <= chunk.timestamp) this.#pending.delete(timestamp)
    const keyframe = chunk.type === 'key'
    if (this.#awaitKeyframe && !keyframe) return
    this.#awaitKeyframe = false
    if (!this.#announced && meta.version === this.#version) this.#announce(metadata)
    const payload = new Uint8Array(chunk.byteLength)
    chunk.copyTo(payload)
    this.counters.frames++
    if (keyframe) this.counters.keyframes++
    this.counters.bytes += payload.length
    this.#handlers.onFrame({ ...meta, ...this.#references.next(keyframe, metadata?.svc?.temporalLayerId), payload })
  }
}
