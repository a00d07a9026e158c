// Owns a track as the page sees it: what it is, whether it is muted, and the elements that show it. Never encodes or decodes.

/** @typedef {import('./worker/messages.js').Source} Source */

/**
 * Events: `resized` (detail {width, height}) when the picture changes its size, `firstFrame` when there is something to see.
 */
export class Track extends EventTarget {
  /** @type {Map<HTMLElement, () => void>} elements that show this track, with what releases them */
  #elements = new Map()
  #createElement
  /** @type {Source} */
  source
  isLocal
  muted = false
  /** Why nothing comes though it should. @type {import('./worker/messages.js').Interruption | null} */
  interrupted = null
  /** Why it cannot be heard or seen here. @type {import('./errors.js').PulseError | null} */
  error = null
  /** 'paused' while the edge leaves it out because this side's connection does not carry it. @type {'active' | 'paused'} */
  streamState = 'active'
  codec = ''
  /** Whether its first sound or picture was there. */
  subscribed = false
  width = 0
  height = 0
  #seen = false

  /**
   * @param {{source: Source, isLocal: boolean, muted?: boolean, createElement?: () => {element: HTMLElement, release: () => void}}} options
   */
  constructor({ source, isLocal, muted = false, createElement }) {
    super()
    this.source = source
    this.isLocal = isLocal
    this.muted = muted
    this.#createElement = createElement
  }

  /** @returns {'audio' | 'video'} */
  get kind() {
    return this.source === 'camera' || this.source === 'screen' ? 'video' : 'audio'
  }

  /** @returns {HTMLElement} an element that shows this video track until `detach`; its size is the style sheet's business */
  attach() {
    if (!this.#createElement) throw new TypeError('An audio track has no picture; it is heard by itself.')
    const { element, release } = this.#createElement()
    this.#elements.set(element, release)
    return element
  }

  /** @param {HTMLElement} [element] all of them where none is given */
  detach(element) {
    for (const [each, release] of element ? [[element, this.#elements.get(element)]] : [...this.#elements]) {
      const shown = /** @type {HTMLElement} */ (each)
      this.#elements.delete(shown)
      shown.remove()
      if (typeof release === 'function') release()
    }
  }

  /** The SDK's own: the picture has this size from now on. @param {number} width @param {number} height */
  updateSize(width, height) {
    const first = !this.#seen
    if (width !== this.width || height !== this.height) {
      this.width = width
      this.height = height
      this.dispatchEvent(new CustomEvent('resized', { detail: { width, height } }))
    }
    if (!first) return
    this.#seen = true
    this.dispatchEvent(new CustomEvent('firstFrame'))
  }
}
