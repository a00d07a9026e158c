// Owns the other people of a room and their tracks as the page sees them: what the worker reports becomes objects and events.
// Never talks to the network; sound and canvases are handed on.

import { fromPlain, PulseError } from './errors.js'
import { Participant } from './participant.js'
import { Track } from './track.js'
import { Visibility } from './visibility.js'
import { FrameType } from './wire.js'

/**
 * @typedef {import('./worker/messages.js').FromWorker} FromWorker
 * @typedef {import('./worker/messages.js').ParticipantInfo} ParticipantInfo
 * @typedef {import('./worker/messages.js').Source} Source
 * @typedef {import('./worker/messages.js').TrackInfo} TrackInfo
 *
 * What people need of their room.
 * @typedef {object} RoomHost
 * @property {(message: import('./worker/messages.js').ToWorker, transfer?: Transferable[]) => void} post
 * @property {() => import('./recv/playout.js').AudioOutput} audio
 * @property {(name: string, detail: object) => void} emit
 */

let canvasIds = 0

export class People {
  /** @type {Map<string, Participant>} */
  participants = new Map()
  #host
  /** Loaded once a v1 member shows its screen. @type {import('./v1/shares.js').Shares | null} */
  #shares = null
  /** @type {Promise<typeof import('./v1/shares.js')> | null} */
  #loading = null
  /** While there is somebody to see. @type {Visibility | null} */
  #visibility = null

  /** @param {RoomHost} host */
  constructor(host) {
    this.#host = host
  }

  get hasV1() {
    return [...this.participants.values()].some(({ protocol }) => protocol === 'v1')
  }

  /** Begins to play after the browser has blocked it. */
  play() {
    this.#shares?.play()
  }

  statistics() {
    return this.#shares?.statistics() ?? {}
  }

  /** The whole room, after a join or a resume. @param {ParticipantInfo[]} infos */
  reset(infos) {
    const present = new Set(infos.map((info) => info.id))
    for (const known of [...this.participants.keys()]) if (!present.has(known)) this.#leave(known, 'lost')
    for (const info of infos) {
      const known = this.participants.get(info.id)
      const sources = new Set(info.tracks.map(({ source }) => source))
      for (const source of [...(known?.tracks.keys() ?? [])]) {
        // A v1 member's tracks are known by what it sends alone.
        if (known && info.protocol === 'v2' && !sources.has(source)) this.#unpublish(known, source)
      }
      this.#join(info)
    }
  }

  /** @param {Extract<FromWorker, {on: 'roster'}>} change */
  change({ joined, updated, left }) {
    for (const info of joined) this.#join(info)
    for (const info of updated) this.#update(info)
    for (const { id, reason } of left) this.#leave(id, reason)
  }

  /** @param {{participant: string, source: Source}[]} paused what this side's connection does not carry, and the edge tries again by itself */
  constrain(paused) {
    for (const participant of this.participants.values()) {
      for (const track of participant.tracks.values()) {
        const state = paused.some((one) => one.participant === participant.id && one.source === track.source) ? 'paused' : 'active'
        if (track.streamState === state) continue
        track.streamState = state
        this.#host.emit('trackStreamStateChanged', { participant, track })
      }
    }
  }

  /** The call is over. */
  clear() {
    for (const id of [...this.participants.keys()]) this.#leave(id, 'left')
    this.#visibility?.close()
    this.#visibility = null
  }

  /** @param {Extract<FromWorker, {participant: string}>} message about somebody's track */
  received(message) {
    const participant = this.participants.get(message.participant)
    if (!participant) return
    if (message.on === 'trackConfig') this.#configure(participant, message.track)
    else if (message.on === 'v1share') void this.#shared(participant, message)
    else if ('source' in message) {
      const track = participant.tracks.get(message.source)
      if (!track) return
      if (message.on === 'trackStop') this.#unpublish(participant, message.source)
      if (message.on === 'picture') track.updateSize(message.width, message.height)
      if (message.on === 'subscribed') {
        track.codec = message.codec
        this.#subscribed(participant, track)
      }
      if (message.on === 'subscriptionFailed') {
        track.error = fromPlain(message.error)
        this.#host.emit('trackSubscriptionFailed', { participant, track, error: track.error })
      }
    }
  }

  /** What is not received from now on. @param {(track: Track) => boolean} which */
  unsubscribe(which) {
    for (const participant of this.participants.values()) {
      for (const track of participant.tracks.values()) if (which(track)) this.#unsubscribed(participant, track)
    }
  }

  /** @param {ParticipantInfo} info */
  #join(info) {
    let participant = this.participants.get(info.id)
    if (participant) this.#update(info)
    else {
      participant = new Participant(info)
      this.participants.set(info.id, participant)
      this.#host.emit('participantJoined', { participant })
    }
    for (const track of info.tracks) this.#configure(participant, track)
  }

  /** @param {ParticipantInfo} info */
  #update(info) {
    const participant = this.participants.get(info.id)
    if (!participant) return
    const changed = participant.update(info)
    if (changed.length === 0) return
    this.#host.emit('participantUpdated', { participant, changed })
    if (changed.includes('quality')) this.#host.emit('connectionQualityChanged', { participant, quality: participant.connectionQuality })
  }

  /** @param {string} id @param {string} reason */
  #leave(id, reason) {
    const participant = this.participants.get(id)
    if (!participant) return
    for (const source of [...participant.tracks.keys()]) this.#unpublish(participant, source)
    this.participants.delete(id)
    this.#host.emit('participantLeft', { participant, reason })
  }

  /** @param {Participant} participant @param {TrackInfo} info */
  #configure(participant, { source, muted, interrupted = null, config }) {
    const known = participant.tracks.get(source)
    if (known) {
      if (known.error && known.codec !== config.codec) known.error = null
      known.codec = config.codec
      if (known.muted !== muted) {
        known.muted = muted
        this.#host.emit(muted ? 'trackMuted' : 'trackUnmuted', { participant, track: known })
      }
      if (known.interrupted !== interrupted) {
        known.interrupted = interrupted
        this.#host.emit('trackInterrupted', { participant, track: known, reason: interrupted })
      }
      return
    }
    const track = new Track({ source, isLocal: false, muted, createElement: () => this.#createCanvas(participant.id, source) })
    track.interrupted = interrupted
    track.codec = config.codec ?? ''
    if (track.kind === 'audio') void this.#play(participant.id, source, config.numberOfChannels === 2 ? 2 : 1)
    else this.#visible.add(`${participant.id}/${source}`, track)
    this.#publish(participant, track)
  }

  /** @param {Participant} participant @param {Track} track */
  #publish(participant, track) {
    participant.tracks.set(track.source, track)
    this.#host.emit('trackPublished', { participant, track })
  }

  /** @param {Participant} participant @param {Source} source */
  #unpublish(participant, source) {
    const track = participant.tracks.get(source)
    if (!track) return
    participant.tracks.delete(source)
    if (track.kind === 'audio') this.#host.audio().remove(`${participant.id}/${source}`)
    track.detach()
    this.#visibility?.remove(`${participant.id}/${source}`)
    if (source === 'screen') this.#shares?.close(participant.id)
    this.#unsubscribed(participant, track)
    this.#host.emit('trackUnpublished', { participant, track })
  }

  /** In the order of arrival, though the first one waits for what plays them. @param {Participant} participant @param {Extract<FromWorker, {on: 'v1share'}>} message */
  async #shared(participant, { type, payload }) {
    this.#loading ??= import('./v1/shares.js')
    const { Shares } = await this.#loading
    if (this.participants.get(participant.id) !== participant) return
    const host = this.#host
    this.#shares ??= new Shares(() => host.audio().node, (error) => host.emit('error', { error }))
    if (type !== FrameType.SCREEN_SHARE) this.#unpublish(participant, 'screen')
    const track = this.#shares.received(participant.id, type, payload)
    if (track) this.#publish(participant, track)
  }

  /** @param {Participant} participant @param {Track} track */
  #subscribed(participant, track) {
    track.error = null
    if (track.subscribed) return
    track.subscribed = true
    this.#host.emit('trackSubscribed', { participant, track })
  }

  /** @param {Participant} participant @param {Track} track */
  #unsubscribed(participant, track) {
    if (!track.subscribed) return
    track.subscribed = false
    this.#host.emit('trackUnsubscribed', { participant, track })
  }

  /** @param {string} id @param {Source} source @param {number} channels */
  async #play(id, source, channels) {
    const link = await this.#host.audio().add(`${id}/${source}`, channels).catch((cause) => {
      this.#host.emit('error', { error: new PulseError('media_failed', { cause }) })
      return null
    })
    if (link) this.#host.post({ do: 'playout', participant: id, source, channels, ...link }, link.port ? [link.port] : [])
  }

  /** @param {string} id @param {Source} source */
  #createCanvas(id, source) {
    const element = document.createElement('canvas')
    const canvas = element.transferControlToOffscreen()
    const canvasId = ++canvasIds
    this.#host.post({ do: 'attach', participant: id, source, canvasId, canvas }, [canvas])
    this.#visible.attached(`${id}/${source}`, element)
    return {
      element,
      release: () => {
        this.#visibility?.detached(`${id}/${source}`, element)
        this.#host.post({ do: 'detach', canvasId })
      },
    }
  }

  get #visible() {
    this.#visibility ??= new Visibility((key, visible) => {
      const [participant, source] = /** @type {[string, Source]} */ (key.split('/'))
      this.#host.post({ do: 'visible', participant, source, visible })
    })
    return this.#visibility
  }
}
