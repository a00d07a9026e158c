// Owns a participant as the page sees them. Never talks to the network.

/**
 * @typedef {import('./worker/messages.js').ConnectionQuality} ConnectionQuality
 * @typedef {import('./worker/messages.js').Source} Source
 */

/** @typedef {{id: string, name: string, away?: boolean, hand?: number | null, quality?: ConnectionQuality | null}} Info */

export class Participant {
  id
  name
  /** @type {'v1' | 'v2'} */
  protocol
  isLocal = false
  /** Its connection is lost and may yet come back. */
  away = false
  isSpeaking = false
  /** 0 to 1 */
  audioLevel = 0
  /** null: not known. @type {ConnectionQuality | null} */
  connectionQuality = null
  /** ms since 1970; null while the hand is down. @type {number | null} */
  handRaisedAt = null
  /** @type {Map<Source, import('./track.js').Track>} */
  tracks = new Map()

  /** @param {Info & {protocol: 'v1' | 'v2'}} info */
  constructor(info) {
    this.id = info.id
    this.name = info.name
    this.protocol = info.protocol
    this.update(info)
  }

  get handRaised() {
    return this.handRaisedAt !== null
  }

  get microphoneMuted() {
    return this.tracks.get('microphone')?.muted ?? true
  }

  get cameraTrack() {
    return this.tracks.get('camera')
  }

  get screenTrack() {
    return this.tracks.get('screen')
  }

  /** The SDK's own. @param {Info} info @returns {string[]} what has changed: 'name', 'away', 'hand', 'quality' */
  update({ name, away = false, hand = null, quality = null }) {
    // Whoever is away has no connection, whatever was last said of it.
    const now = { name, away, hand, quality: away ? /** @type {const} */ ('lost') : quality }
    const before = { name: this.name, away: this.away, hand: this.handRaisedAt, quality: this.connectionQuality }
    this.name = name
    this.away = away
    this.handRaisedAt = hand
    this.connectionQuality = now.quality
    return /** @type {(keyof typeof now)[]} */ (Object.keys(now)).filter((key) => now[key] !== before[key])
  }
}
