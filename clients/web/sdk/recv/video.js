// Owns one received video track in the worker: chunks → frames → decodable ones → decoder → pictures shown against their sound.
// Finds gaps itself (a decoder would close or draw garbage) and asks for a keyframe, at most one each 500 ms, until one arrives.

import { defaults } from '../defaults.js'
import { newer, Reassembler, WireError } from '../wire.js'
import { Canvases } from './canvases.js'
import { PictureQueue, SkewLog } from './sync.js'

/** Sequence numbers remembered as decoded; `ref` reaches back at most 255. */
const MEMORY = 256

/**
 * @typedef {object} VideoReceiverHandlers
 * @property {() => void} onKeyframeWanted
 * @property {(width: number, height: number, first: boolean) => void} onPicture
 * @property {() => void} onPlaying there are pictures: the first, or again after a pause or a failure
 * @property {(errorName: string) => void} onFailure why the track cannot be shown
 * @property {(now: number) => number | null} soundMs capture time of the sound that is being heard with this track
 */

export class VideoReceiver {
  kind = /** @type {const} */ ('video')
  #handlers
  #assembler = new Reassembler(defaults.video.maxPartialFrames)
  /** @type {Map<number, Record<string, any>>} by version, the newest few */
  #configs = new Map()
  /** @type {import('../wire.js').CodecFrame[]} frames of a version that is not known yet */
  #held = []
  #decoded = new Float64Array(MEMORY).fill(-1)
  #newest = -1
  /** @type {VideoDecoder | null} */
  #decoder = null
  #version = -1
  #colorsRefused = false
  #heldBytes = 0
  #askedAt = -Infinity
  #canvases = new Canvases((capturedMs) => this.#onDrawn(capturedMs))
  /** @type {PictureQueue<VideoFrame>} */
  #pictures = new PictureQueue()
  #skews = new SkewLog()
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer
  #failures = 0
  #retryAt = -Infinity
  #failure = ''
  #playing = false
  #width = 0
  #height = 0
  /** Frames of higher temporal layers are not decoded. */
  maxTemporal = 3
  counters = {
    frames: 0, bytes: 0, keyframes: 0, decoded: 0, drawn: 0, undecodable: 0, late: 0, badChunks: 0, overload: 0, decoderErrors: 0,
    keyframeRequests: 0, heldDropped: 0, thinned: 0, tooLarge: 0, backOff: 0, captureToDrawMs: 0,
  }

  /** @param {VideoReceiverHandlers} handlers */
  constructor(handlers) {
    this.#handlers = handlers
  }

  get config() {
    return [...this.#configs.values()].at(-1) ?? {}
  }

  /** @param {import('../worker/messages.js').TrackInfo} info */
  configure({ config, version }) {
    this.#configs.delete(version)
    this.#configs.set(version, config)
    if (this.#configs.size > 4) this.#configs.delete(/** @type {number} */ (this.#configs.keys().next().value))
    const held = this.#held
    this.#held = []
    this.#heldBytes = 0
    for (const frame of held) this.#onFrame(frame)
  }

  /** @param {import('../wire.js').Media} media */
  push(media) {
    if (media.spatial !== 0) return
    try {
      const frame = this.#assembler.push(media)
      if (frame) this.#onFrame(frame)
    } catch (error) {
      if (!(error instanceof WireError)) throw error
      this.counters.badChunks++
    }
  }

  /** @param {number} id @param {OffscreenCanvas} canvas */
  attach(id, canvas) {
    this.#canvases.attach(id, canvas)
  }

  /** @param {number} id @returns {boolean} */
  detach(id) {
    return this.#canvases.detach(id)
  }

  /** This side stops receiving it: what waits is not shown any more, and what comes later begins with a keyframe. */
  pause() {
    this.#playing = false
    for (const picture of this.#pictures.clear()) picture.close()
  }

  close() {
    this.#dropDecoder()
    clearTimeout(this.#timer)
    for (const picture of this.#pictures.clear()) picture.close()
    this.#canvases.close()
    this.#held = []
    this.#heldBytes = 0
  }

  statistics() {
    const captureToDrawMs = Math.round(this.counters.captureToDrawMs * 10) / 10
    return {
      ...this.counters, ...this.#pictures.counters, ...this.#canvases.counters, captureToDrawMs, abandoned: this.#assembler.abandoned, width: this.#width, height: this.#height,
      codec: this.config.codec, skewP95Ms: this.#skews.p95,
    }
  }

  /** @param {import('../wire.js').CodecFrame} frame */
  #onFrame(frame) {
    if (!this.#configs.has(frame.config)) {
      this.#held.push(frame)
      this.#heldBytes += frame.payload.length
      while (this.#held.length > defaults.video.maxHeldFrames || this.#heldBytes > defaults.video.maxHeldBytes) {
        this.#heldBytes -= this.#held.shift()?.payload.length ?? 0
        this.counters.heldDropped++
      }
      return
    }
    this.counters.frames++
    this.counters.bytes += frame.payload.length
    if (this.#newest >= 0 && !newer(frame.sequence, this.#newest)) {
      this.counters.late++
      return
    }
    this.#newest = frame.sequence
    if (frame.temporal > this.maxTemporal) {
      this.counters.thinned++
      return
    }
    if (!this.#isDecodable(frame)) {
      this.counters.undecodable++
      // A higher temporal layer may be thinned on the way on purpose; only a broken base layer needs help.
      if (frame.temporal === 0) this.#wantKeyframe()
      return
    }
    if (!this.#decoder && performance.now() < this.#retryAt) {
      this.counters.backOff++
      return
    }
    if (this.#decoder && this.#decoder.decodeQueueSize > defaults.video.maxDecodeQueue) {
      this.counters.overload++
      this.#decoded.fill(-1)
      this.#wantKeyframe()
      return
    }
    this.#decode(frame)
  }

  /** @param {import('../wire.js').CodecFrame} frame */
  #isDecodable(frame) {
    if (frame.keyframe) return true
    if (!this.#decoder || frame.config !== this.#version) return false
    const needed = (frame.sequence - frame.ref) >>> 0
    return this.#decoded[needed % MEMORY] === needed
  }

  /** @param {import('../wire.js').CodecFrame} frame */
  #decode(frame) {
    try {
      if (frame.keyframe) this.counters.keyframes++
      const decoder = this.#decoder ?? this.#createDecoder()
      if (frame.config !== this.#version) {
        this.#configure(decoder, /** @type {Record<string, any>} */ (this.#configs.get(frame.config)))
        this.#version = frame.config
      }
      const type = frame.keyframe ? 'key' : 'delta'
      decoder.decode(new EncodedVideoChunk({ type, timestamp: Number(frame.captured), data: frame.payload }))
      this.#decoded[frame.sequence % MEMORY] = frame.sequence
    } catch (error) {
      // A config that is no config at all is refused at once.
      this.#failed(error instanceof TypeError ? 'codec_not_supported' : undefined)
    }
  }

  /** @param {VideoDecoder} decoder @param {Record<string, any>} config */
  #configure(decoder, { codec, codedWidth, codedHeight, description, colorSpace }) {
    const config = { codec, codedWidth, codedHeight, optimizeForLatency: true, ...(description && { description: fromHex(description) }) }
    if (!colorSpace || this.#colorsRefused) {
      decoder.configure(config)
      return
    }
    try {
      decoder.configure({ ...config, colorSpace })
    } catch {
      // Names that this browser does not know: slightly wrong colours are better than none.
      this.#colorsRefused = true
      decoder.configure(config)
    }
  }

  #createDecoder() {
    const decoder = new VideoDecoder({
      output: (picture) => {
        if (decoder === this.#decoder) this.#onDecoded(picture)
        else picture.close()
      },
      error: (error) => {
        if (decoder !== this.#decoder) return
        // Either the colours or the codec: the first refusal is put down to the colours.
        const refused = error.name === 'NotSupportedError'
        const codecRefused = refused && (this.#colorsRefused || !this.config.colorSpace)
        if (refused) this.#colorsRefused = true
        this.#failed(codecRefused ? 'codec_not_supported' : undefined)
      },
    })
    this.#decoder = decoder
    this.#version = -1
    return decoder
  }

  /** A decoder that has failed stays closed: a keyframe gets a new one, but not at the rate of keyframes that break decoders. */
  #failed(name = 'track_undecodable') {
    const { retryMs, maxRetryMs, failuresShown } = defaults.video
    this.counters.decoderErrors++
    this.#retryAt = performance.now() + Math.min(maxRetryMs, retryMs * 2 ** this.#failures++)
    this.#dropDecoder()
    if (name !== 'track_undecodable' || this.#failures >= failuresShown) this.#report(name)
    this.#wantKeyframe()
  }

  /** @param {string} name of the error; the same one is not said twice */
  #report(name) {
    this.#playing = false
    if (name === this.#failure) return
    this.#failure = name
    this.#handlers.onFailure(name)
  }

  #dropDecoder() {
    const decoder = this.#decoder
    this.#decoder = null
    this.#version = -1
    this.#decoded.fill(-1)
    if (decoder && decoder.state !== 'closed') decoder.close()
  }

  #wantKeyframe() {
    const now = performance.now()
    if (now - this.#askedAt < defaults.video.keyframeRequestMs) return
    this.#askedAt = now
    this.counters.keyframeRequests++
    this.#handlers.onKeyframeWanted()
  }

  /** @param {VideoFrame} picture */
  #onDecoded(picture) {
    this.counters.decoded++
    const { displayWidth, displayHeight } = picture
    if (displayWidth * displayHeight > defaults.video.maxPixels) {
      picture.close()
      this.counters.tooLarge++
      this.#failed('picture_too_large')
      return
    }
    this.#failures = 0
    this.#failure = ''
    if (displayWidth !== this.#width || displayHeight !== this.#height) {
      const first = this.#width === 0
      this.#width = displayWidth
      this.#height = displayHeight
      this.#handlers.onPicture(displayWidth, displayHeight, first)
    }
    if (!this.#playing) {
      this.#playing = true
      this.#handlers.onPlaying()
    }
    this.#pictures.push(picture.timestamp / 1000, picture)
    this.#present()
  }

  /** @param {number} capturedMs */
  #onDrawn(capturedMs) {
    const now = performance.now()
    const soundMs = this.#handlers.soundMs(now)
    this.counters.drawn++
    if (soundMs !== null) this.#skews.add(capturedMs - soundMs)
    // Meaningful between pages of one machine only: clocks of others differ.
    this.counters.captureToDrawMs = performance.timeOrigin + now - capturedMs
  }

  /** Draws what is due, and comes back for the next. */
  #present() {
    clearTimeout(this.#timer)
    const now = performance.now()
    const { show, drop } = this.#pictures.take(now, this.#handlers.soundMs(now))
    for (const picture of drop) picture.close()
    if (show) this.#canvases.draw(show.picture)
    const waitMs = this.#pictures.nextTimeoutMs(now)
    if (waitMs !== null) this.#timer = setTimeout(() => this.#present(), waitMs)
  }
}

/** @param {string} hex @returns {Uint8Array<ArrayBuffer>} */
function fromHex(hex) {
  const bytes = new Uint8Array(hex.length >> 1)
  for (let i = 0; i < bytes.length; i++) bytes[i] = parseInt(hex.slice(i * 2, i * 2 + 2), 16)
  return bytes
}
