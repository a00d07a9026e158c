// Owns what this side asks to receive (SUBSCRIBE): the person's choice, what they can see, what the page can carry. Never sends it.

/**
 * @typedef {import('./messages.js').Source} Source
 * @typedef {{participant: string, track: number, source: Source}} VideoTrack
 * @typedef {{audio: boolean, video: boolean, paused: {participant: string, track: number}[], maxTemporal: number}} Subscribe
 */

/** Speakers remembered, for the question who stays when not everybody can. */
const MAX_STAGE = 16
/** As in the protocol. */
const MAX_PAUSED = 256

export class Subscription {
  /** @type {import('./messages.js').ReceiveQuality} */
  quality = 'auto'
  /** What is given up. */
  limits = { maxTemporal: 3, onStage: Infinity }
  /** Video tracks that the person cannot see, as `participant/source`. @type {Set<string>} */
  #hidden = new Set()
  /** Who spoke, latest first. @type {string[]} */
  #stage = []
  #sent = ''

  /** @param {string} participant @param {Source} source @param {boolean} visible */
  setVisible(participant, source, visible) {
    if (visible) this.#hidden.delete(`${participant}/${source}`)
    else this.#hidden.add(`${participant}/${source}`)
  }

  /** @param {string[]} speaking loudest first @returns {boolean} whether that changes who is on stage */
  spoke(speaking) {
    if (speaking.length === 0) return false
    const before = this.#stage.join()
    this.#stage = [...new Set([...speaking, ...this.#stage])].slice(0, MAX_STAGE)
    return this.limits.onStage !== Infinity && this.#stage.join() !== before
  }

  get maxTemporal() {
    return this.quality === 'low' ? 0 : this.limits.maxTemporal
  }

  /** @param {VideoTrack[]} tracks of the others @returns {Subscribe} SUBSCRIBE */
  message(tracks) {
    for (const key of this.#hidden) if (!tracks.some(({ participant, source }) => key === `${participant}/${source}`)) this.#hidden.delete(key)
    const place = (/** @type {VideoTrack} */ { participant }) => {
      const index = this.#stage.indexOf(participant)
      return index < 0 ? MAX_STAGE : index
    }
    const seen = tracks.filter(({ participant, source }) => !this.#hidden.has(`${participant}/${source}`))
    // A screen is what everybody looks at: it is never off stage.
    const onStage = new Set(seen.filter(({ source }) => source === 'camera').sort((a, b) => place(a) - place(b)).slice(0, this.limits.onStage))
    const kept = new Set(seen.filter((track) => track.source === 'screen' || onStage.has(track)))
    const paused = tracks.filter((track) => !kept.has(track)).slice(0, MAX_PAUSED).map(({ participant, track }) => ({ participant, track }))
    return { audio: true, video: this.quality !== 'audioOnly', paused, maxTemporal: this.maxTemporal }
  }

  /** @param {VideoTrack[]} tracks @param {boolean} again on a new connection @returns {Subscribe | null} what is to be sent, if anything is */
  next(tracks, again = false) {
    const message = this.message(tracks)
    const text = JSON.stringify(message)
    // An edge that was never told anything sends everything.
    if (text === this.#sent && !again) return null
    if (!this.#sent && text === EVERYTHING) return null
    this.#sent = text
    return message
  }
}

const EVERYTHING = JSON.stringify(new Subscription().message([]))
