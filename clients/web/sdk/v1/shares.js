// Owns the screen shares of v1 members in the page: a player and a track each, by participant. Never parses them.

import { PulseError } from '../errors.js'
import { canPlayShare } from '../support.js'
import { Track } from '../track.js'
import { FrameType } from '../wire.js'
import { SharePlayer } from './share-player.js'

export class Shares {
  /** @type {Map<string, SharePlayer>} by participant */
  #players = new Map()
  #output
  #onError

  /** @param {() => AudioNode} output that the sound goes through @param {(error: PulseError) => void} onError */
  constructor(output, onError) {
    this.#output = output
    this.#onError = onError
  }

  /** Begins to play after the browser has blocked it. */
  play() {
    for (const { video } of this.#players.values()) video.play().catch(() => {})
  }

  /** @param {string} id */
  close(id) {
    this.#players.get(id)?.close()
    this.#players.delete(id)
  }

  /**
   * @param {string} id @param {number} type @param {Uint8Array<ArrayBuffer>} payload
   * @returns {Track | null} of a share that begins
   */
  received(id, type, payload) {
    if (type === FrameType.SCREEN_SHARE) this.#players.get(id)?.append(payload)
    if (type !== FrameType.SCREEN_SHARE_START) return null
    const mime = new TextDecoder().decode(payload)
    const unreadable = () => this.#onError(new PulseError('share_unreadable'))
    if (!canPlayShare(mime)) {
      unreadable()
      return null
    }
    const share = new SharePlayer(mime, this.#output(), { onSize: (width, height) => track.updateSize(width, height), onError: unreadable })
    this.#players.set(id, share)
    const track = new Track({
      source: 'screen', isLocal: false,
      // One element plays the stream; it moves to where it is attached last.
      createElement: () => ({ element: share.video, release: () => {} }),
    })
    return track
  }

  statistics() {
    return Object.fromEntries([...this.#players].map(([id, share]) => [id, share.counters]))
  }
}
