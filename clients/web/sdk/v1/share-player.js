// Owns the picture of a v1 member's screen share: WebM chunks → MediaSource → video element, kept near the live edge.
// Sound goes through the given node like all other. Never parses WebM.

import { v1Defaults } from './defaults.js'

export class SharePlayer {
  /** @type {HTMLVideoElement} */
  video = document.createElement('video')
  #source = new MediaSource()
  #url = URL.createObjectURL(this.#source)
  /** @type {SourceBuffer | null} */
  #buffer = null
  /** @type {Uint8Array<ArrayBuffer>[]} */
  #queue = []
  #audio
  #closed = false
  counters = { chunks: 0, dropped: 0, jumps: 0 }

  /**
   * @param {string} mime
   * @param {AudioNode} output
   * @param {{onSize: (width: number, height: number) => void, onError: () => void}} handlers
   */
  constructor(mime, output, { onSize, onError }) {
    const { video } = this
    video.playsInline = true
    video.autoplay = true
    video.onresize = () => onSize(video.videoWidth, video.videoHeight)
    video.ontimeupdate = () => this.#steer()
    video.onerror = () => !this.#closed && onError()
    this.#audio = /** @type {AudioContext} */ (output.context).createMediaElementSource(video)
    this.#audio.connect(output)
    this.#source.addEventListener('sourceopen', () => {
      if (this.#closed) return
      const buffer = this.#source.addSourceBuffer(mime)
      buffer.mode = 'sequence'
      buffer.onupdateend = () => this.#appendNext()
      this.#buffer = buffer
      this.#appendNext()
    }, { once: true })
    video.src = this.#url
    // Starts by itself as soon as there is something; where the browser refuses, startAudio brings a click.
    video.play().catch(() => {})
  }

  /** @param {Uint8Array<ArrayBuffer>} chunk */
  append(chunk) {
    this.counters.chunks++
    // The first chunk is the init segment; without it nothing after it can be read.
    if (this.#queue.length >= v1Defaults.shareQueue) {
      this.#queue.splice(this.#buffer ? 0 : 1, 1)
      this.counters.dropped++
    }
    this.#queue.push(chunk)
    this.#appendNext()
  }

  close() {
    this.#closed = true
    this.video.onresize = this.video.ontimeupdate = this.video.onerror = null
    if (this.#buffer) this.#buffer.onupdateend = null
    this.#audio.disconnect()
    this.video.removeAttribute('src')
    this.video.load()
    this.video.remove()
    URL.revokeObjectURL(this.#url)
    this.#queue = []
  }

  #appendNext() {
    const buffer = this.#buffer
    if (!buffer || buffer.updating || this.#closed || this.#source.readyState !== 'open') return
    const { buffered } = buffer
    const old = this.video.currentTime - v1Defaults.shareKeepS
    if (buffered.length > 0 && buffered.start(0) < old - v1Defaults.shareKeepS) {
      buffer.remove(0, old)
      return
    }
    const chunk = this.#queue.shift()
    if (!chunk) return
    try {
      buffer.appendBuffer(chunk)
    } catch {
      // The buffer is full or the element has failed: the chunk is lost, the element's error event says the rest.
      this.counters.dropped++
    }
    this.#steer()
  }

  /** Slower when the buffer runs dry, faster when it grows, a jump when it is far behind. */
  #steer() {
    const { video } = this
    const { buffered } = video
    if (buffered.length === 0) return
    const end = buffered.end(buffered.length - 1)
    const ahead = end - video.currentTime
    const lastStart = buffered.start(buffered.length - 1)
    // In front of the newest range there is a hole that playing never gets over.
    if (ahead > v1Defaults.shareJumpS || video.currentTime < lastStart) {
      this.counters.jumps++
      video.currentTime = Math.max(lastStart, end - v1Defaults.shareTargetS)
      return
    }
    video.playbackRate = playbackRate(ahead)
  }
}

/** @param {number} ahead s of media that are buffered ahead @returns {number} */
export function playbackRate(ahead) {
  const { shareTargetS, shareMinRate, shareMaxRate } = v1Defaults
  return Math.min(shareMaxRate, Math.max(shareMinRate, 1 + (ahead - shareTargetS) * 0.5))
}
