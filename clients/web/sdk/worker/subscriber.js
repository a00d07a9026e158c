// Owns the remote tracks in the worker: makes a receiver per announced track, routes media to it, holds what comes before its
// announcement. Never decodes or draws itself.

import { defaults } from '../defaults.js'
import { PulseError, toPlain } from '../errors.js'
import { AudioReceiver } from '../recv/audio.js'
import { PortOutput, SharedOutput } from '../recv/output.js'
import { VideoReceiver } from '../recv/video.js'
import { audioLevel } from '../send/level.js'
import { FrameType } from '../wire.js'

/**
 * @typedef {import('./messages.js').Source} Source
 * @typedef {import('./messages.js').TrackInfo} TrackInfo
 * @typedef {import('./messages.js').ParticipantInfo} ParticipantInfo
 * @typedef {import('../v1/audio.js').V1AudioReceiver} V1AudioReceiver
 * @typedef {{info: TrackInfo, receiver: AudioReceiver | VideoReceiver | V1AudioReceiver, heard?: boolean}} RemoteTrack
 */

/** v1 members announce nothing; their sound gets the number a v2 microphone has here. */
const V1_MICROPHONE = 0
const isVideo = (/** @type {Source} */ source) => source === 'camera' || source === 'screen'

export class Subscriber {
  #socket
  #post
  #onLevel
  /** @type {Map<string, {info: ParticipantInfo, tracks: Map<number, RemoteTrack>}>} */
  #participants = new Map()
  /** @type {Map<string, import('../wire.js').Media[]>} media of tracks that are not announced yet */
  #early = new Map()
  #maxTemporal = 3
  /** Plays v1's sound; loaded when there is some. @type {(typeof import('../v1/audio.js'))['V1AudioReceiver'] | null} */
  #V1AudioReceiver = null
  counters = { earlyDropped: 0, unknownSender: 0 }

  /**
   * @param {import('./socket.js').Socket} socket
   * @param {import('./messages.js').Post} post
   * @param {(id: string, level: number) => void} onLevel
   */
  constructor(socket, post, onLevel) {
    this.#socket = socket
    this.#post = post
    this.#onLevel = onLevel
  }

  get hasV1() {
    for (const { info } of this.#participants.values()) if (info.protocol === 'v1') return true
    return false
  }

  /** Announced video of others. */
  get videoTracks() {
    return [...this.#participants].flatMap(([participant, { tracks }]) =>
      [...tracks.values()].filter(({ info }) => isVideo(info.source)).map(({ info: { track, source } }) => ({ participant, track, source })))
  }

  /** The whole room, after a join or a resume. @param {ParticipantInfo[]} participants */
  reset(participants) {
    const present = new Set(participants.map(({ id }) => id))
    for (const id of [...this.#participants.keys()]) if (!present.has(id)) this.leave(id)
    for (const info of participants) {
      this.join(info)
      const numbers = new Set(info.tracks.map(({ track }) => track))
      const known = this.#participants.get(info.id)
      for (const number of [...(known?.tracks.keys() ?? [])]) {
        if (info.protocol === 'v2' && !numbers.has(number)) this.stop(info.id, number)
      }
    }
    this.#early.clear()
  }

  /** @param {ParticipantInfo} info */
  join(info) {
    const known = this.#participants.get(info.id)
    if (known) known.info = info
    else this.#participants.set(info.id, { info, tracks: new Map() })
    for (const track of info.tracks) this.configure(info.id, track)
  }

  /** @param {string} id */
  leave(id) {
    const participant = this.#participants.get(id)
    if (!participant) return
    for (const { receiver } of participant.tracks.values()) receiver.close()
    this.#participants.delete(id)
    for (const key of this.#early.keys()) if (key.startsWith(id)) this.#early.delete(key)
  }

  /** @param {string} id @param {TrackInfo} info */
  configure(id, info) {
    const participant = this.#participants.get(id)
    if (!participant) return
    const known = participant.tracks.get(info.track)
    if (known && known.info.source === info.source) {
      known.info = info
      if ('configure' in known.receiver) known.receiver.configure(info)
    } else {
      known?.receiver.close()
      participant.tracks.set(info.track, { info, receiver: this.#createReceiver(id, info) })
    }
    const key = `${id}/${info.track}`
    const early = this.#early.get(key)
    this.#early.delete(key)
    for (const media of early ?? []) this.media(media)
  }

  /** @param {string} id @param {number} number @returns {Source | undefined} of the track that stopped */
  stop(id, number) {
    const tracks = this.#participants.get(id)?.tracks
    const track = tracks?.get(number)
    if (!tracks || !track) return undefined
    track.receiver.close()
    tracks.delete(number)
    return track.info.source
  }

  /** @param {import('../wire.js').Media} media */
  media(media) {
    const track = this.#participants.get(media.id)?.tracks.get(media.track)
    if (!track) {
      this.#holdEarly(media)
      return
    }
    if (!('configure' in track.receiver)) return
    if (track.info.source === 'microphone') this.#onLevel(media.id, media.level)
    track.receiver.push(media)
    if (track.heard || track.receiver.kind === 'video') return
    track.heard = true
    this.#post({ on: 'subscribed', participant: media.id, source: track.info.source, codec: track.info.config.codec })
  }

  /** @param {string} id @param {Uint8Array} payload */
  v1Audio(id, payload) {
    const participant = this.#participants.get(id)
    if (!participant) {
      this.counters.unknownSender++
      return
    }
    const V1AudioReceiver = this.#V1AudioReceiver
    if (!V1AudioReceiver) {
      void import('../v1/audio.js').then((loaded) => (this.#V1AudioReceiver = loaded.V1AudioReceiver))
      return
    }
    let track = participant.tracks.get(V1_MICROPHONE)
    if (!track) {
      /** @type {TrackInfo} */
      const info = { track: V1_MICROPHONE, source: 'microphone', version: 0, muted: false, config: {} }
      const receiver = new V1AudioReceiver((muted) => {
        info.muted = muted
        this.#post({ on: 'trackConfig', participant: id, track: { ...info } })
      })
      info.config = receiver.config
      track = { info, receiver }
      participant.tracks.set(V1_MICROPHONE, track)
    }
    if (!('configure' in track.receiver)) {
      this.#onLevel(id, audioLevel(track.receiver.push(payload), defaults.voiceThresholdDbov))
    }
  }

  /** @param {Extract<import('./messages.js').ToWorker, {do: 'playout'}>} message */
  playout({ participant, source, memory, port, channels }) {
    const receiver = this.#bySource(participant, source)?.receiver
    const output = memory ? new SharedOutput(memory, channels) : port ? new PortOutput(port) : null
    if (!output) return
    if (receiver && receiver.kind === 'audio') receiver.setOutput(output)
    else output.close()
  }

  /** @param {Extract<import('./messages.js').ToWorker, {do: 'attach'}>} message */
  attach({ participant, source, canvasId, canvas }) {
    const receiver = this.#bySource(participant, source)?.receiver
    if (receiver instanceof VideoReceiver) receiver.attach(canvasId, canvas)
  }

  /** @param {number} canvasId */
  detach(canvasId) {
    for (const { tracks } of this.#participants.values()) {
      for (const { receiver } of tracks.values()) if (receiver instanceof VideoReceiver && receiver.detach(canvasId)) return
    }
  }

  /**
   * Takes note of what this side does not receive from now on.
   * @param {{video: boolean, paused: {participant: string, track: number}[]}} subscription as it is sent
   */
  pause({ video, paused }) {
    for (const [id, { tracks }] of this.#participants) {
      for (const [number, { receiver }] of tracks) {
        const off = !video || paused.some(({ participant, track }) => participant === id && track === number)
        if (off && receiver instanceof VideoReceiver) receiver.pause()
      }
    }
  }

  /** @param {number} layer video frames of higher temporal layers are not decoded */
  setMaxTemporal(layer) {
    this.#maxTemporal = layer
    for (const { tracks } of this.#participants.values()) {
      for (const { receiver } of tracks.values()) if (receiver instanceof VideoReceiver) receiver.maxTemporal = layer
    }
  }

  close() {
    for (const id of [...this.#participants.keys()]) this.leave(id)
    this.#early.clear()
  }

  statistics() {
    const tracks = []
    for (const [id, participant] of this.#participants) {
      for (const { info, receiver } of participant.tracks.values()) {
        tracks.push({ participantId: id, source: info.source, kind: receiver.kind, config: receiver.config, ...receiver.statistics() })
      }
    }
    return { ...this.counters, tracks }
  }

  /** @param {string} id @param {Source} source */
  #bySource(id, source) {
    for (const track of this.#participants.get(id)?.tracks.values() ?? []) if (track.info.source === source) return track
    return undefined
  }

  /** @param {string} id @param {Source} source @param {number} now @returns {number | null} capture time of what is heard of it now */
  #soundMs(id, source, now) {
    const receiver = this.#bySource(id, source)?.receiver
    return receiver instanceof AudioReceiver ? receiver.playedCapturedMs(now) : null
  }

  /** @param {string} id @param {TrackInfo} info */
  #createReceiver(id, info) {
    const { source, track } = info
    if (!isVideo(source)) {
      return new AudioReceiver(info.config, () => this.#post({
        on: 'subscriptionFailed', participant: id, source, error: toPlain(new PulseError('track_undecodable')),
      }))
    }
    const receiver = new VideoReceiver({
      onKeyframeWanted: () => this.#socket.sendControl(FrameType.KEYFRAME_REQUEST, { participant: id, track, layer: 0 }),
      onPicture: (width, height, first) => this.#post({ on: 'picture', participant: id, source, width, height, first }),
      onPlaying: () => this.#post({ on: 'subscribed', participant: id, source, codec: receiver.config.codec }),
      onFailure: (error) => this.#post({ on: 'subscriptionFailed', participant: id, source, error: toPlain(new PulseError(error)) }),
      soundMs: (now) => this.#soundMs(id, source === 'screen' ? 'screenAudio' : 'microphone', now),
    })
    receiver.maxTemporal = this.#maxTemporal
    receiver.configure(info)
    return receiver
  }

  /** @param {import('../wire.js').Media} media */
  #holdEarly(media) {
    const key = `${media.id}/${media.track}`
    let held = this.#early.get(key)
    if (!held) {
      if (this.#early.size >= defaults.video.maxHeldTracks) {
        this.counters.earlyDropped++
        return
      }
      held = []
      this.#early.set(key, held)
    }
    held.push(media)
    if (held.length <= defaults.video.maxHeldFrames) return
    held.shift()
    this.counters.earlyDropped++
  }
}
