// Owns the Room: the public face of the SDK, and the only module an app imports. Keeps the people and tracks of a room as the worker
// reports them and says what changed. Everything that touches the network or a codec runs in worker.js.

import { Chat } from './chat.js'
import { defaults } from './defaults.js'
import { fromPlain, PulseError } from './errors.js'
import { LocalParticipant, Participant } from './participant.js'
import { AudioOutput } from './recv/playout.js'
import { canPlayShare } from './support.js'
import { Track } from './track.js'
import { SharePlayer } from './v1/share-player.js'
import { FrameType } from './wire.js'

export { createLocalPreview, listDevices, LocalPreview } from './devices.js'
export { PulseError } from './errors.js'
export { LocalParticipant, Participant } from './participant.js'
export { hasScreenShare, isSupported } from './support.js'
export { Track } from './track.js'

/**
 * @typedef {import('./chat.js').ChatMessage} ChatMessage
 * @typedef {import('./connection.js').ConnectionState} ConnectionState
 * @typedef {import('./worker/messages.js').FromWorker} FromWorker
 * @typedef {import('./worker/messages.js').ParticipantInfo} ParticipantInfo
 * @typedef {import('./worker/messages.js').Source} Source
 * @typedef {import('./worker/messages.js').ToWorker} ToWorker
 * @typedef {import('./worker/messages.js').TrackInfo} TrackInfo
 */

/** @returns {string} where the page came from, by WebSocket */
function defaultUrl() {
  const url = new URL('/v2', location.href)
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
  return url.href
}

let canvasIds = 0

/**
 * Events (CustomEvent; `detail`): connectionStateChanged {state, error?}, participantJoined {participant}, participantUpdated
 * {participant}, participantLeft {participant, reason}, trackPublished, trackUnpublished, trackMuted, trackUnmuted {participant, track},
 * localTrackPublished {track}, localTrackUnpublished {track, reason}, activeSpeakersChanged {participants}, chatMessage {message},
 * audioPlaybackChanged {canPlay}, error {error}.
 */
export class Room extends EventTarget {
  /** @type {ConnectionState} */
  state = 'disconnected'
  name = ''
  /** Remote participants. @type {Map<string, Participant>} */
  participants = new Map()
  localParticipant
  /** Whether video is received. */
  videoEnabled
  #url
  #chat
  /** @type {Worker | null} */
  #worker = null
  /** @type {AudioOutput | null} */
  #audio = null
  /** @type {{resolve: () => void, reject: (error: PulseError) => void} | null} */
  #connecting = null
  /** @type {Map<string, SharePlayer>} shares of v1 members, by participant */
  #shares = new Map()
  /** @type {Record<string, any>} */
  #statistics = {}
  #speaking = ''
  #onPageHide = () => this.#worker?.postMessage(/** @type {ToWorker} */ ({ do: 'disconnect' }))
  #onOnline = () => this.#post({ do: 'online' })

  /** @param {{url?: string, audioOnly?: boolean}} [options] */
  constructor({ url = defaultUrl(), audioOnly = false } = {}) {
    super()
    this.#url = url
    this.videoEnabled = !audioOnly
    this.#chat = new Chat((message) => this.#post({ do: 'chat', ...message }), url)
    this.localParticipant = this.#createLocal()
  }

  /** @param {{room: string, name: string}} options @returns {Promise<void>} */
  async connect({ room, name }) {
    if (this.#worker) throw new PulseError('already_connected')
    this.name = room
    this.localParticipant.name = name.trim()
    void this.#output.start()
    const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'pulse' })
    worker.onmessage = ({ data }) => this.#onMessage(data)
    worker.onerror = (event) => {
      // A worker that cannot even start would leave connect() waiting forever. Where nothing is said, its files did not arrive.
      if (this.#connecting) this.#onState('failed', new PulseError(event.message ? 'not_supported' : 'connection_failed', { cause: event.message }))
    }
    this.#worker = worker
    addEventListener('pagehide', this.#onPageHide)
    addEventListener('online', this.#onOnline)
    const connected = new Promise((/** @type {(value: void) => void} */ resolve, reject) => {
      this.#connecting = { resolve, reject }
    })
    this.#post({ do: 'subscribe', audio: true, video: this.videoEnabled })
    this.#post({ do: 'connect', url: this.#url, room, name })
    return connected
  }

  /** Leaves the room and releases everything. */
  async disconnect() {
    if (!this.#worker) {
      await this.#releaseAudio()
      return
    }
    this.#post({ do: 'disconnect' })
    this.#onState('disconnected', null)
  }

  /** @param {boolean} on whether video is received */
  setVideoEnabled(on) {
    this.videoEnabled = on
    this.#post({ do: 'subscribe', audio: true, video: on })
  }

  /** @param {string} deviceId '' is the default one */
  setSpeaker(deviceId) {
    return this.#output.setSpeaker(deviceId)
  }

  /** Begins to play after the browser has blocked it; to be called from a click. */
  async startAudio() {
    await this.#output.start()
    for (const { video } of this.#shares.values()) video.play().catch(() => {})
  }

  get canPlayAudio() {
    return this.#audio?.canPlay ?? true
  }

  /** The master gain that everything audible passes through. @returns {AudioNode} */
  get outputNode() {
    return this.#output.node
  }

  get audioContext() {
    return this.#output.context
  }

  /** The newest messages since joining, in order. */
  get messages() {
    return this.#chat.messages
  }

  /** @param {string} text @returns {Promise<ChatMessage>} once the edge has taken it */
  async sendText(text) {
    this.#requireConnected()
    return this.#chat.sendText(text)
  }

  /** @param {Blob} blob PNG, JPEG, GIF or WebP @returns {Promise<ChatMessage>} once the edge has taken it */
  async sendImage(blob) {
    this.#requireConnected()
    return this.#chat.sendImage(blob)
  }

  /** @param {string} ref of a message's image @returns {Promise<Blob>} */
  async fetchImage(ref) {
    return this.#chat.fetchImage(ref)
  }

  /** Counters of the worker, at most half a second old. @returns {Record<string, any>} */
  statistics() {
    const shares = Object.fromEntries([...this.#shares].map(([id, share]) => [id, share.counters]))
    return { state: this.state, audio: { canPlay: this.canPlayAudio }, shares, ...this.#statistics }
  }

  get #output() {
    this.#audio ??= new AudioOutput((canPlay) => this.#emit('audioPlaybackChanged', { canPlay }))
    return this.#audio
  }

  #createLocal() {
    return new LocalParticipant({
      post: (message, transfer) => this.#post(message, transfer),
      audio: () => this.#output,
      requireActive: () => {
        if (!this.#worker) throw new PulseError('not_connected')
      },
      hasV1: () => this.state === 'connected' && [...this.participants.values()].some(({ protocol }) => protocol === 'v1'),
      emit: (name, detail) => this.#emit(name, detail),
    })
  }

  #requireConnected() {
    if (this.state !== 'connected') throw new PulseError('not_connected')
  }

  /** @param {ToWorker} message @param {Transferable[]} [transfer] */
  #post(message, transfer = []) {
    if (this.#worker) {
      this.#worker.postMessage(message, transfer)
      return
    }
    // What nobody takes any more is closed here: a frame that is only forgotten holds up its source.
    for (const each of transfer) {
      if ('close' in each) each.close()
      else if (each instanceof ReadableStream) void each.cancel()
    }
  }

  /** @param {string} name @param {object} detail */
  #emit(name, detail) {
    // A listener that throws is reported by the browser and does not come back here.
    this.dispatchEvent(new CustomEvent(name, { detail }))
  }

  /** @param {FromWorker} message */
  #onMessage(message) {
    switch (message.on) {
      case 'state':
        this.#onState(message.state, message.error && fromPlain(message.error))
        return
      case 'welcome':
        this.#onWelcome(message)
        return
      case 'roster':
        for (const info of message.joined) this.#join(info)
        for (const info of message.updated) this.#update(info)
        for (const { id, reason } of message.left) this.#leave(id, reason)
        this.localParticipant.updateV1Share()
        return
      case 'trackConfig': {
        const participant = this.participants.get(message.participant)
        if (participant) this.#configure(participant, message.track)
        return
      }
      case 'trackStop': {
        const participant = this.participants.get(message.participant)
        if (participant) this.#unpublish(participant, message.source)
        return
      }
      case 'picture':
        this.participants.get(message.participant)?.tracks.get(message.source)?.updateSize(message.width, message.height)
        return
      case 'chat':
        this.#onChat(message.participant, message.message)
        return
      case 'chatRefused':
        this.#chat.fail(fromPlain(message.error))
        return
      case 'speakers':
        this.#onSpeakers(message)
        return
      case 'v1share':
        this.#onV1Share(message)
        return
      case 'error':
        this.#emit('error', { error: fromPlain(message.error) })
        return
      case 'statistics':
        this.#statistics = message.statistics
    }
  }

  /** @param {ConnectionState} state @param {PulseError | null} error */
  #onState(state, error) {
    if (state === this.state) return
    this.state = state
    const connecting = this.#connecting
    if (state !== 'connected') this.#chat.fail(new PulseError('message_not_sent'))
    if (state === 'failed' || state === 'disconnected') this.#release()
    if (state === 'connected') this.localParticipant.updateV1Share(true)
    this.#emit('connectionStateChanged', error ? { state, error } : { state })
    if (!connecting || (state !== 'connected' && state !== 'failed' && state !== 'disconnected')) return
    this.#connecting = null
    if (state === 'connected') connecting.resolve()
    else connecting.reject(error ?? new PulseError('not_connected'))
  }

  #release() {
    const worker = this.#worker
    this.#worker = null
    removeEventListener('pagehide', this.#onPageHide)
    removeEventListener('online', this.#onOnline)
    this.localParticipant.release()
    if (worker) {
      worker.onmessage = worker.onerror = null
      setTimeout(() => worker.terminate(), defaults.connection.closeGraceMs)
    }
    for (const id of [...this.participants.keys()]) this.#leave(id, 'left')
    void this.#releaseAudio()
    // What was published is gone; a second connect begins afresh.
    const { name } = this.localParticipant
    this.localParticipant = this.#createLocal()
    this.localParticipant.name = name
  }

  async #releaseAudio() {
    const audio = this.#audio
    this.#audio = null
    await audio?.close()
  }

  /** @param {Extract<FromWorker, {on: 'welcome'}>} welcome */
  #onWelcome({ id, uploads, participants }) {
    this.localParticipant.id = id
    this.#chat.setToken(uploads)
    const present = new Set(participants.map((info) => info.id))
    for (const known of [...this.participants.keys()]) if (!present.has(known)) this.#leave(known, 'lost')
    for (const info of participants) {
      const known = this.participants.get(info.id)
      const sources = new Set(info.tracks.map(({ source }) => source))
      for (const source of [...(known?.tracks.keys() ?? [])]) {
        // A v1 member's tracks are known by what it sends alone.
        if (known && info.protocol === 'v2' && !sources.has(source)) this.#unpublish(known, source)
      }
      this.#join(info)
    }
  }

  /** @param {ParticipantInfo} info */
  #join(info) {
    let participant = this.participants.get(info.id)
    if (participant) this.#update(info)
    else {
      participant = new Participant(info)
      this.participants.set(info.id, participant)
      this.#emit('participantJoined', { participant })
    }
    for (const track of info.tracks) this.#configure(participant, track)
  }

  /** @param {ParticipantInfo} info */
  #update(info) {
    const participant = this.participants.get(info.id)
    if (!participant || (participant.name === info.name && participant.away === info.away)) return
    participant.name = info.name
    participant.away = info.away
    this.#emit('participantUpdated', { participant })
  }

  /** @param {string} id @param {string} reason */
  #leave(id, reason) {
    const participant = this.participants.get(id)
    if (!participant) return
    for (const source of [...participant.tracks.keys()]) this.#unpublish(participant, source)
    this.participants.delete(id)
    this.#emit('participantLeft', { participant, reason })
  }

  /** @param {Participant} participant @param {TrackInfo} info */
  #configure(participant, { source, muted, config }) {
    const known = participant.tracks.get(source)
    if (known) {
      if (known.muted === muted) return
      known.muted = muted
      this.#emit(muted ? 'trackMuted' : 'trackUnmuted', { participant, track: known })
      return
    }
    const track = new Track({ source, isLocal: false, muted, createElement: () => this.#createCanvas(participant.id, source) })
    if (track.kind === 'audio') void this.#play(participant.id, source, config.numberOfChannels === 2 ? 2 : 1)
    this.#publish(participant, track)
  }

  /** @param {Participant} participant @param {Track} track */
  #publish(participant, track) {
    participant.tracks.set(track.source, track)
    this.#emit('trackPublished', { participant, track })
  }

  /** @param {Participant} participant @param {Source} source */
  #unpublish(participant, source) {
    const track = participant.tracks.get(source)
    if (!track) return
    participant.tracks.delete(source)
    if (track.kind === 'audio') this.#audio?.remove(`${participant.id}/${source}`)
    track.detach()
    const share = source === 'screen' ? this.#shares.get(participant.id) : undefined
    if (share) {
      this.#shares.delete(participant.id)
      share.close()
    }
    this.#emit('trackUnpublished', { participant, track })
  }

  /** @param {string} id @param {Source} source @param {number} channels */
  async #play(id, source, channels) {
    const link = await this.#output.add(`${id}/${source}`, channels).catch((cause) => {
      this.#emit('error', { error: new PulseError('media_failed', { cause }) })
      return null
    })
    if (link) this.#post({ do: 'playout', participant: id, source, channels, ...link }, link.port ? [link.port] : [])
  }

  /** @param {string} id @param {Source} source */
  #createCanvas(id, source) {
    const element = document.createElement('canvas')
    const canvas = element.transferControlToOffscreen()
    const canvasId = ++canvasIds
    this.#post({ do: 'attach', participant: id, source, canvasId, canvas }, [canvas])
    return { element, release: () => this.#post({ do: 'detach', canvasId }) }
  }

  /** @param {string} id @param {any} message */
  #onChat(id, { nonce, seq, at, text, image }) {
    const isLocal = id === this.localParticipant.id
    const sender = isLocal ? this.localParticipant : this.participants.get(id)
    /** @type {ChatMessage} */
    const message = { participantId: id, participantName: sender?.name ?? '', isLocal, seq, at, ...(image ? { image } : { text }) }
    this.#chat.received(message, nonce)
    this.#emit('chatMessage', { message })
  }

  /** @param {Extract<FromWorker, {on: 'speakers'}>} report */
  #onSpeakers({ levels, speaking }) {
    const find = (/** @type {string} */ id) => (id === this.localParticipant.id ? this.localParticipant : this.participants.get(id))
    for (const [id, level] of levels) {
      const participant = find(id)
      if (participant) participant.audioLevel = level
    }
    const key = speaking.join()
    if (key === this.#speaking) return
    this.#speaking = key
    const loudest = new Set(speaking)
    for (const participant of [this.localParticipant, ...this.participants.values()]) participant.isSpeaking = loudest.has(participant.id)
    const participants = speaking.flatMap((id) => find(id) ?? [])
    this.#emit('activeSpeakersChanged', { participants })
  }

  /** @param {Extract<FromWorker, {on: 'v1share'}>} message */
  #onV1Share({ participant: id, type, payload }) {
    const participant = this.participants.get(id)
    if (!participant) return
    if (type === FrameType.SCREEN_SHARE) {
      this.#shares.get(id)?.append(payload)
      return
    }
    this.#unpublish(participant, 'screen')
    if (type !== FrameType.SCREEN_SHARE_START) return
    const mime = new TextDecoder().decode(payload)
    const unreadable = () => this.#emit('error', { error: new PulseError('share_unreadable') })
    if (!canPlayShare(mime)) {
      unreadable()
      return
    }
    const share = new SharePlayer(mime, this.#output.node, { onSize: (width, height) => track.updateSize(width, height), onError: unreadable })
    this.#shares.set(id, share)
    const track = new Track({
      source: 'screen', isLocal: false,
      // One element plays the stream; it moves to where it is attached last.
      createElement: () => ({ element: share.video, release: () => {} }),
    })
    this.#publish(participant, track)
  }
}
