// Owns one sent video track in the worker: frames → encoder → codec frames with their references; paces and repeats a screen; decides on
// keyframes. Skips a frame before encoding, or afterwards one that nothing needs, so that the chain of references stays whole.
// Encodes nothing while nobody wants the track. Never touches a device or a socket.

import { defaults } from '../defaults.js'
import { encodableCodecs } from '../support.js'
import { nowMs } from '../worker/clock.js'
import { FLOOR } from './codecs.js'
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
  #choice
  #paced
  /** @type {VideoEncoder | null} */
  #encoder = null
  #references = new References()
  /** @type {Map<number, {version: number, capturedUs: number, atMs: number}>} frames in the encoder, by timestamp */
  #pending = new Map()
  #version
  #codec = ''
  #size = { width: 0, height: 0 }
  /** What #size would be if size were not shed. */
  #fullSize = { width: 0, height: 0 }
  /** Of the frames that go in; what comes out may differ. @type {Record<string, any> | null} */
  #colors = null
  #announced = false
  #keyframeWanted = true
  #keyframeAt = 0
  #keyframeRequested = false
  #awaitKeyframe = true
  #baseUs = 0
  #lastCapturedUs = 0
  /** @type {VideoFrame | null} newest frame of a paced source, or of one that nobody wants */
  #held = null
  #heldIsNew = false
  #encodedAt = 0
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #pace
  #closed = false
  #rateShare = 1
  #limits = { divisor: 1, small: false, thin: false }
  #turn = 0
  #wanted = true
  #layered
  #probed = false
  #failedAt = -Infinity
  #faults = 0
  #retryMs = 0
  /** Whether the last frame was one that only the graphics card can read, and the canvas such are copied through once that has failed. */
  #opaque = false
  /** @type {OffscreenCanvas | null} */
  #copies = null
  #chunkAtMs = 0
  /** @type {Record<string, any> | null} what was announced last */
  config = null
  counters = {
    captured: 0, frames: 0, keyframes: 0, bytes: 0, busyMs: 0, skippedUplink: 0, skippedEncoder: 0, skippedOffline: 0, skippedShed: 0,
    thinned: 0, unwanted: 0, pauses: 0, brokenFrames: 0, encoderErrors: 0,
  }

  /**
   * @param {VideoSettings} settings
   * @param {number} version config versions go on over a stop and a new start
   * @param {import('./codecs.js').CodecChoice} choice
   * @param {VideoSenderHandlers} handlers
   */
  constructor(settings, version, choice, handlers) {
    this.#settings = settings
    this.#version = version
    this.#choice = choice
    this.#handlers = handlers
    this.#paced = 'repeatMs' in settings
    this.#layered = settings.scalabilityMode !== 'L1T1'
    if (this.#paced) this.#pace = setInterval(() => this.#onPace(), 1000 / settings.framerate)
  }

  get version() {
    return this.#version
  }

  /** Takes a frame and closes it. @param {VideoFrame} frame */
  push(frame) {
    this.counters.captured++
    if (this.#closed) frame.close()
    else if (!frame.displayWidth) {
      // Closed, or never filled: devices hand out such frames when they come and go.
      this.counters.brokenFrames++
      frame.close()
    } else if (this.#paced || this.#isIdle) {
      if (this.#isIdle) this.counters.unwanted++
      this.#held?.close()
      this.#held = frame
      this.#heldIsNew = true
    } else {
      this.#dropHeld()
      try {
        if (!this.#isShed()) this.#encode(frame)
      } finally {
        frame.close()
      }
    }
  }

  /** @param {number} subscribers who want the track @param {string[]} decode the codecs that all of them decode, beyond the mandatory */
  demand(subscribers, decode) {
    const was = this.#wanted
    this.#wanted = subscribers > 0
    if (!this.#wanted) {
      if (was && this.#isIdle) this.counters.pauses++
      return
    }
    this.#choice.setDecodable(decode)
    // A static screen waits for no new frame.
    const other = this.#codec !== '' && this.#choice.choose(nowMs()) !== this.#codec
    if (was && !other) return
    this.#keyframeWanted = true
    // The newest frame from while nobody was there: the next one may be long in coming.
    if (this.#held) this.#heldIsNew = !this.#encode(this.#held)
    if (!this.#paced) this.#dropHeld()
  }

  get hasCheaperCodec() {
    return this.#choice.codec !== FLOOR
  }

  /** The codec in use is too slow here; the next frame has another. */
  codecTooSlow() {
    this.#choice.failed()
  }

  /** Somebody cannot decode: a keyframe follows, at once or as soon as the last one is long enough ago. */
  requestKeyframe() {
    this.#keyframeRequested = true
  }

  /** Share of the usual bitrate that may be used from now on. @param {number} share */
  setRateShare(share) {
    this.#rateShare = share
    this.#reconfigure()
  }

  /** What is given up from now on. @param {{divisor: number, small: boolean, thin: boolean}} limits */
  setLimits({ divisor, small, thin }) {
    if (divisor === this.#limits.divisor && small === this.#limits.small && thin === this.#limits.thin) return
    this.#limits = { divisor, small, thin }
    this.#reconfigure()
  }

  /** After a reconnect: nothing is sent until a keyframe is, and who wants it is not known. */
  restart() {
    this.#wanted = true
    this.#keyframeWanted = true
    this.#awaitKeyframe = true
  }

  close() {
    this.#closed = true
    clearInterval(this.#pace)
    this.#dropHeld()
    if (this.#encoder && this.#encoder.state !== 'closed') this.#encoder.close()
    this.#encoder = null
    this.#pending.clear()
  }

  /** Nobody wants the track. It is announced all the same, with its first frame. */
  get #isIdle() {
    return !this.#wanted && this.config !== null
  }

  /** The same picture at another rate: no keyframe, no new version. */
  #reconfigure() {
    if (this.#encoder?.state === 'configured') this.#encoder.configure(this.#encoderConfig())
  }

  #dropHeld() {
    this.#held?.close()
    this.#held = null
  }

  /** Whether this frame goes unencoded for the sake of those that do not. */
  #isShed() {
    if (++this.#turn % this.#limits.divisor === 0) return false
    this.counters.skippedShed++
    return true
  }

  #onPace() {
    if (!this.#held || this.#isIdle) return
    const repeat = 'repeatMs' in this.#settings && nowMs() - this.#encodedAt >= this.#settings.repeatMs
    if (!this.#heldIsNew && !repeat && !this.#keyframeDue(nowMs())) return
    if (this.#isShed()) return
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
    const now = nowMs()
    if (this.#closed || now - this.#failedAt < this.#retryMs) return false
    const verdict = this.#handlers.mayEncode()
    if (verdict === 'offline') {
      this.counters.skippedOffline++
      return false
    }
    if (verdict === 'uplink') {
      this.counters.skippedUplink++
      return false
    }
    const { maxSide, smallSide } = this.#settings
    const size = fitSize(frame.displayWidth, frame.displayHeight, this.#limits.small ? Math.max(smallSide, Math.min(maxSide, frame.displayWidth) / 2) : maxSide)
    const colors = plainColors(frame.colorSpace)
    const codec = this.#choice.choose(now)
    if (
      !this.#encoder || codec !== this.#codec || size.width !== this.#size.width || size.height !== this.#size.height ||
      !sameColors(colors, this.#colors)
    ) {
      this.#colors = colors
      this.#codec = codec
      this.#size = size
      this.#fullSize = fitSize(frame.displayWidth, frame.displayHeight, maxSide)
      this.#probe()
      if (!this.#configure()) return false
    }
    const encoder = this.#encoder
    if (!encoder) return false
    if (encoder.encodeQueueSize > defaults.videoEncoderQueue) {
      this.counters.skippedEncoder++
      return false
    }
    const capturedUs = Math.max(this.#lastCapturedUs + 1, Math.round(now * 1000))
    if (!this.#baseUs) this.#baseUs = capturedUs
    const stamped = this.#stamp(frame, capturedUs - this.#baseUs)
    if (!stamped) return false
    this.#lastCapturedUs = capturedUs
    const keyFrame = this.#keyframeDue(now)
    if (keyFrame) {
      this.#keyframeWanted = false
      this.#keyframeRequested = false
      this.#keyframeAt = now
    }
    this.#pending.set(stamped.timestamp, { version: this.#version, capturedUs, atMs: now })
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

  /**
   * Sources count from different zeros: every frame gets this side's own time.
   * @param {VideoFrame} frame @param {number} timestamp @returns {VideoFrame | null} null: it cannot be read
   */
  #stamp(frame, timestamp) {
    this.#opaque = frame.format === null
    try {
      if (!this.#opaque || !this.#copies) return new VideoFrame(frame, { timestamp })
      this.#copies.width = frame.displayWidth
      this.#copies.height = frame.displayHeight
      this.#copies.getContext('2d')?.drawImage(frame, 0, 0)
      return new VideoFrame(this.#copies, { timestamp })
    } catch {
      this.counters.brokenFrames++
      return null
    }
  }

  /** Asks once, now that the picture is known, which of the preferred codecs this browser encodes it with. */
  #probe() {
    const { candidates } = this.#choice
    if (this.#probed || candidates.length === 0) return
    this.#probed = true
    const configs = Object.fromEntries(candidates.map((codec) => [codec, this.#encoderConfig(codec)]))
    void encodableCodecs(configs).then((codecs) => this.#choice.setEncodable(codecs))
  }

  /** @returns {boolean} */
  #configure() {
    const encoder = this.#encoder ?? this.#createEncoder()
    try {
      encoder.configure(this.#encoderConfig())
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
    const { codec, scalabilityMode } = this.#encoderConfig()
    const colorSpace = plainColors(metadata?.decoderConfig?.colorSpace) ?? this.#colors
    this.#announced = true
    // Only now: frames of the config before this one may have been in the encoder until here.
    this.#references = new References(scalabilityMode)
    this.config = {
      codec, codedWidth: this.#size.width, codedHeight: this.#size.height, framerate: this.#settings.framerate, bitrate: this.#fullBitrate(),
      ...(scalabilityMode && { scalabilityMode }), ...(colorSpace && { colorSpace }),
    }
    this.#handlers.onConfig(this.config, this.#version)
  }

  /** A larger picture than usual gets the bits in proportion, a smaller one no fewer than half. */
  #fullBitrate() {
    const share = (this.#fullSize.width * this.#fullSize.height) / (this.#settings.width * this.#settings.height)
    return Math.round(this.#settings.bitrate * Math.min(3, Math.max(0.5, share)))
  }

  /** @returns {VideoEncoderConfig} */
  #encoderConfig(codec = this.#codec) {
    const { framerate, scalabilityMode } = this.#settings
    const share = Math.min(this.#rateShare, this.#limits.small ? 0.5 : 1)
    return {
      codec: defaults.codecs.strings[codec], ...this.#size, bitrate: Math.round(this.#fullBitrate() * share),
      framerate: framerate / this.#limits.divisor, latencyMode: 'realtime',
      contentHint: this.#paced ? 'text' : 'motion', ...(this.#layered && { scalabilityMode }),
      // Without a description, which late joiners would need; and only where it costs the machine nothing.
      ...(codec === 'h264' && { avc: { format: 'annexb' }, hardwareAcceleration: 'prefer-hardware' }),
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
    this.counters.encoderErrors++
    if (this.#opaque && !this.#copies) {
      this.#copies = new OffscreenCanvas(1, 1)
      return
    }
    if (this.#choice.failed()) return
    if (this.#layered && this.counters.frames === 0) {
      // This browser encodes without temporal layers only; that is no reason to go without a picture.
      this.#layered = false
      return
    }
    const now = nowMs()
    if (now - this.#failedAt > defaults.encoderFaultMemoryMs) this.#faults = 0
    this.#failedAt = now
    this.#retryMs = Math.min(defaults.encoderRetryMaxMs, defaults.encoderRetryMs * 2 ** this.#faults++)
    if (this.#faults === 1) this.#handlers.onError(error)
  }

  /** @param {EncodedVideoChunk} chunk @param {any} [metadata] */
  #onChunk(chunk, metadata) {
    const meta = this.#pending.get(chunk.timestamp)
    if (!meta) return
    // The encoder may drop frames by itself; what is older than this one will not come.
    for (const timestamp of this.#pending.keys()) if (timestamp <= chunk.timestamp) this.#pending.delete(timestamp)
    const now = nowMs()
    this.counters.busyMs += now - Math.max(meta.atMs, this.#chunkAtMs)
    this.#chunkAtMs = now
    const keyframe = chunk.type === 'key'
    const isFirst = !this.#announced && meta.version === this.#version
    if (!keyframe && (this.#awaitKeyframe || isFirst)) {
      // Nobody could begin with it.
      this.#keyframeWanted ||= isFirst
      return
    }
    this.#awaitKeyframe = false
    if (isFirst) this.#announce(metadata)
    const temporal = metadata?.svc?.temporalLayerId
    if (this.#limits.thin && !keyframe && this.#references.isTop(temporal)) {
      this.counters.thinned++
      return
    }
    const payload = new Uint8Array(chunk.byteLength)
    chunk.copyTo(payload)
    this.counters.frames++
    if (keyframe) this.counters.keyframes++
    this.counters.bytes += payload.length
    const { version, capturedUs } = meta
    this.#handlers.onFrame({ version, capturedUs, ...this.#references.next(keyframe, temporal), payload })
  }
}
