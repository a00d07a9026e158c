// Owns one received video track in the worker: chunks → frames → decodable ones → decoder → canvases.
// Finds gaps itself (a decoder would close or draw garbage) and asks for a keyframe, at most one each 500 ms, until one arrives.

import { defaults } from '../defaults.js'
import { newer, Reassembler, WireError } from '../wire.js'

/** Sequence numbers remembered as decoded; `ref` reaches back at most 255. */
const MEMORY = 256

/**
 * @typedef {object} VideoReceiverHandlers
 * @property {() => void} onKeyframeWanted
 * @property {(width: number, height: number, first: boolean) => void} onPicture
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
  #askedAt = -Infinity
  /** @type {Map<number, {canvas: OffscreenCanvas, context: OffscreenCanvasRenderingContext2D | null}>} */
  #canvases = new Map()
  /** @type {VideoFrame | null} newest picture while there is nothing to draw it on */
  #waiting = null
  #width = 0
  #height = 0
  counters = {
    frames: 0, bytes: 0, keyframes: 0, decoded: 0, drawn: 0, undecodable: 0, late: 0, badChunks: 0, overload: 0, decoderErrors: 0,
    keyframeRequests: 0, heldDropped: 0, captureToDrawMs: 0,
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
    this.#canvases.set(id, { canvas, context: canvas.getContext('2d', { alpha: false, desynchronized: true }) })
    const waiting = this.#waiting
    this.#waiting = null
    if (waiting) this.#draw(waiting)
  }

  /** @param {number} id @returns {boolean} */
  detach(id) {
    return this.#canvases.delete(id)
  }

  close() {
    this.#dropDecoder()
    this.#waiting?.close()
    this.#waiting = null
    this.#canvases.clear()
    this.#held = []
  }

  statistics() {
    const captureToDrawMs = Math.round(this.counters.captureToDrawMs * 10) / 10
    return { ...this.counters, captureToDrawMs, abandoned: this.#assembler.abandoned, width: this.#width, height: this.#height }
  }

  /** @param {import('../wire.js').CodecFrame} frame */
  #onFrame(frame) {
    if (!this.#configs.has(frame.config)) {
      this.#held.push(frame)
      if (this.#held.length > defaults.video.maxHeldFrames) {
        this.#held.shift()
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
    if (!this.#isDecodable(frame)) {
      this.counters.undecodable++
      // A higher temporal layer may be thinned on the way on purpose; only a broken base layer needs help.
      if (frame.temporal === 0) this.#wantKeyframe()
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
    } catch {
      this.#failed()
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
        if (error.name === 'NotSupportedError') this.#colorsRefused = true
        this.#failed()
      },
    })
    this.#decoder = decoder
    this.#version = -1
    return decoder
  }

  /** A decoder that has failed stays closed: the next keyframe gets a new one. */
  #failed() {
    this.counters.decoderErrors++
    this.#dropDecoder()
    this.#wantKeyframe()
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
    if (displayWidth !== this.#width || displayHeight !== this.#height) {
      const first = this.#width === 0
      this.#width = displayWidth
      this.#height = displayHeight
      this.#handlers.onPicture(displayWidth, displayHeight, first)
    }
    this.#draw(picture)
  }

  /** @param {VideoFrame} picture is closed here, or kept until there is a canvas */
  #draw(picture) {
    if (this.#canvases.size === 0) {
      this.#waiting?.close()
      this.#waiting = picture
      return
    }
    try {
      for (const { canvas, context } of this.#canvases.values()) {
        if (canvas.width !== picture.displayWidth || canvas.height !== picture.displayHeight) {
          canvas.width = picture.displayWidth
          canvas.height = picture.displayHeight
        }
        context?.drawImage(picture, 0, 0)
      }
      this.counters.drawn++
      // Meaningful between pages of one machine only: clocks of others differ.
      this.counters.captureToDrawMs = performance.timeOrigin + performance.now() - picture.timestamp / 1000
    } finally {
      picture.close()
    }
  }
}

/** @param {string} hex @returns {Uint8Array<ArrayBuffer>} */
function fromHex(hex) {
  const bytes = new Uint8Array(hex.length >> 1)
  for (let i = 0; i < bytes.length; i++) bytes[i] = parseInt(hex.slice(i * 2, i * 2 + 2), 16)
  return bytes
}
