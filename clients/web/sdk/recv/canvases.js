// Owns the canvases that one received video track is drawn on. Closes every picture it is given; keeps the newest one while there is
// nothing to draw it on, or while the one before has not come to the screen yet: a compositor that is behind would otherwise show
// picture after picture late, each in turn. Never decides when one is due.

import { defaults } from '../defaults.js'

export class Canvases {
  /** @type {Map<number, {canvas: OffscreenCanvas, context: OffscreenCanvasRenderingContext2D | null}>} */
  #canvases = new Map()
  /** @type {VideoFrame | null} */
  #waiting = null
  /** When the last picture was drawn that has not come to the screen yet. @type {number | null} */
  #pendingAt = null
  #frame = 0
  #onDrawn
  counters = { unseen: 0 }

  /** @param {(capturedMs: number) => void} onDrawn */
  constructor(onDrawn) {
    this.#onDrawn = onDrawn
  }

  /** @param {number} id @param {OffscreenCanvas} canvas */
  attach(id, canvas) {
    this.#canvases.set(id, { canvas, context: canvas.getContext('2d', { alpha: false, desynchronized: true }) })
    const waiting = this.#waiting
    this.#waiting = null
    if (waiting) this.draw(waiting)
  }

  /** @param {number} id @returns {boolean} whether it was one of these */
  detach(id) {
    return this.#canvases.delete(id)
  }

  /** @param {VideoFrame} picture */
  draw(picture) {
    const behind = this.#pendingAt !== null && performance.now() - this.#pendingAt < defaults.video.unseenLimitMs
    if (this.#canvases.size === 0 || behind) {
      if (this.#waiting) {
        this.#waiting.close()
        this.counters.unseen++
      }
      this.#waiting = picture
      return
    }
    this.#waiting?.close()
    this.#waiting = null
    try {
      for (const { canvas, context } of this.#canvases.values()) {
        if (canvas.width !== picture.displayWidth || canvas.height !== picture.displayHeight) {
          canvas.width = picture.displayWidth
          canvas.height = picture.displayHeight
        }
        context?.drawImage(picture, 0, 0)
      }
      cancelAnimationFrame(this.#frame)
      this.#pendingAt = performance.now()
      this.#frame = requestAnimationFrame(() => this.#onFrame())
      this.#onDrawn(picture.timestamp / 1000)
    } finally {
      picture.close()
    }
  }

  close() {
    cancelAnimationFrame(this.#frame)
    this.#waiting?.close()
    this.#waiting = null
    this.#canvases.clear()
  }

  #onFrame() {
    this.#pendingAt = null
    const waiting = this.#waiting
    this.#waiting = null
    if (waiting) this.draw(waiting)
  }
}
