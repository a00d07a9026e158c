// Owns the canvases that one received video track is drawn on. Closes every picture it is given; keeps the newest one only while there
// is nothing to draw it on. Never decides when.

export class Canvases {
  /** @type {Map<number, {canvas: OffscreenCanvas, context: OffscreenCanvasRenderingContext2D | null}>} */
  #canvases = new Map()
  /** @type {VideoFrame | null} */
  #waiting = null

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

  /** @param {VideoFrame} picture @returns {boolean} whether it is seen now */
  draw(picture) {
    if (this.#canvases.size === 0) {
      this.#waiting?.close()
      this.#waiting = picture
      return false
    }
    try {
      for (const { canvas, context } of this.#canvases.values()) {
        if (canvas.width !== picture.displayWidth || canvas.height !== picture.displayHeight) {
          canvas.width = picture.displayWidth
          canvas.height = picture.displayHeight
        }
        context?.drawImage(picture, 0, 0)
      }
      return true
    } finally {
      picture.close()
    }
  }

  close() {
    this.#waiting?.close()
    this.#waiting = null
    this.#canvases.clear()
  }
}
