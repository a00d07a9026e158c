// Owns the Room: the public face of the SDK, and the only module an app imports. Keeps the people and tracks of a room as the worker
// reports them and says what changed. Everything that touches the network or a codec runs in worker.js.

import { Chat } from './chat.js'
import { defaults } from './defaults.js'
import { fromPlain, PulseError } from './errors.js'
import { Lifecycle } from './lifecycle.js'
import { LocalDevices } from './local-devices.js'
import { LocalParticipant } from './local-participant.js'
import { People } from './people.js'
import { AudioOutput } from './recv/playout.js'
import { canChooseSpeaker, decodeFeatures } from './support.js'
import { socketUrl } from './wire.js'

export { createLocalPreview, listDevices, setCameraSize } from './devices.js'
export { PulseError } from './errors.js'
export { LocalParticipant } from './local-participant.js'
export { Participant } from './participant.js'
export { hasScreenShare, isSupported } from './support.js'
export { Track } from './track.js'

/**
 * @typedef {import('./chat.js').ChatMessage} ChatMessage
 * @typedef {import('./connection.js').ConnectionState} ConnectionState
 * @typedef {import('./worker/messages.js').FromWorker} FromWorker
 * @typedef {import('./worker/messages.js').Limitation} Limitation
 * @typedef {import('./worker/messages.js').ReceiveQuality} ReceiveQuality
 * @typedef {import('./worker/messages.js').ToWorker} ToWorker
 */

/** @returns {Promise<string[]>} addresses of the edges to be tried, best first: the nearest one, and where the page came from */
const findEdges = () => import('./nearest.js').then(({ findEdges }) => findEdges(origin), () => [origin]).then((found) => found.map(socketUrl))
const createWorker = () => new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'pulse' })
/** Loaded ahead of time. @type {Worker | null} */
let spare = null
/** What this browser decodes, asked once. @type {Promise<string[]> | null} */
let decoding = null
/** Measured ahead of time. @type {Promise<string[]> | null} */
let nearest = null

/** Loads what the next call needs, so that its `connect` takes only as long as the network; to be called while the person still decides. */
export function prepare() {
  decoding ??= decodeFeatures()
  nearest = findEdges()
  if (spare) return
  spare = createWorker()
  // What does not load now may load when it is needed.
  spare.onerror = () => (spare = null)
}

/**
 * Events (CustomEvent; `detail`): connectionStateChanged {state, error?}, participantJoined {participant}, participantUpdated
 * {participant, changed}, participantLeft {participant, reason}, trackPublished, trackUnpublished, trackSubscribed, trackUnsubscribed,
 * trackMuted, trackUnmuted {participant, track}, trackSubscriptionFailed {participant, track, error}, trackInterrupted {participant, track,
 * reason}, trackStreamStateChanged {participant, track}, localTrackPublished {track}, localTrackUnpublished {track, reason}, connectionQualityChanged {participant, quality, mos?},
 * qualityLimitationChanged {reason, steps}, activeSpeakersChanged {participants}, devicesChanged {devices}, deviceChanged,
 * deviceRecovered {source, deviceId, label}, deviceFailed {source, error}, microphoneSilent {silent}, chatMessage {message},
 * audioPlaybackChanged {canPlay}, error {error}.
 */
export class Room extends EventTarget {
  /** @type {ConnectionState} */
  state = 'disconnected'
  name = ''
  localParticipant
  /** What is being left out for want of power or bandwidth. @type {Limitation} */
  qualityLimitation = { reason: 'none', steps: [] }
  /** What was last found of them. @type {import('./devices.js').Devices} */
  devices = { microphones: [], cameras: [], speakers: [] }
  #url
  #people
  /** @type {string[]} */
  #videoCodecs
  /** @type {ReceiveQuality} */
  #receiveQuality
  #chat
  /** @type {Worker | null} */
  #worker = null
  /** @type {AudioOutput | null} */
  #audio = null
  /** @type {LocalDevices | null} */
  #localDevices = null
  /** @type {{resolve: () => void, reject: (error: PulseError) => void} | null} */
  #connecting = null
  /** @type {Record<string, any>} */
  #statistics = {}
  #speaking = ''
  /** @type {Lifecycle | null} */
  #lifecycle = null
  #hasPlayed = false

  /**
   * @param {{url?: string, audioOnly?: boolean, receiveQuality?: ReceiveQuality, videoCodecs?: string[]}} [options] url: the edge; without it
   *   the nearest of those that the page's own one knows; videoCodecs: wanted for what is sent, best first, such as ['av1', 'vp9', 'vp8']; taken where everybody can show it
   */
  constructor({ url, audioOnly = false, receiveQuality = audioOnly ? 'audioOnly' : 'auto', videoCodecs = [] } = {}) {
    super()
    this.#url = url
    this.#receiveQuality = receiveQuality
    this.#videoCodecs = videoCodecs
    this.#people = new People({
      post: (message, transfer) => this.#post(message, transfer), audio: () => this.#output, emit: (name, detail) => this.#emit(name, detail),
    })
    this.#chat = new Chat((message) => this.#post({ do: 'chat', ...message }))
    this.localParticipant = this.#createLocal()
  }

  /** @param {{room: string, name: string}} options @returns {Promise<void>} */
  async connect({ room, name }) {
    if (this.#worker) throw new PulseError('already_connected')
    this.name = room
    this.localParticipant.name = name.trim()
    void this.#output.start()
    const worker = spare ?? createWorker()
    spare = null
    worker.onmessage = ({ data }) => this.#onMessage(data)
    worker.onerror = (event) => {
      // A worker that cannot even start would leave connect() waiting forever. Where nothing is said, its files did not arrive.
      if (this.#connecting) this.#onState('failed', new PulseError(event.message ? 'not_supported' : 'connection_failed', { cause: event.message }))
    }
    this.#worker = worker
    this.#localDevices = this.#watchDevices()
    this.#lifecycle = this.#watchPage()
    const connected = new Promise((/** @type {(value: void) => void} */ resolve, reject) => {
      this.#connecting = { resolve, reject }
    })
    // Whoever leaves before connecting has begun is answered all the same.
    connected.catch(() => {})
    this.#onState('connecting', null)
    const [decode, edges] = await Promise.all([(decoding ??= decodeFeatures()), this.#url ? [this.#url] : (nearest ??= findEdges())])
    // Who has left again meanwhile has been answered already.
    if (this.#worker === worker) {
      this.#post({ do: 'subscribe', quality: this.#receiveQuality })
      this.#post({ do: 'connect', edges, room, name, videoCodecs: this.#videoCodecs, decode })
    }
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

  /** Remote participants. */
  get participants() {
    return this.#people.participants
  }

  /** Whether video is received. */
  get videoEnabled() {
    return this.#receiveQuality !== 'audioOnly'
  }

  /** @param {boolean} on whether video is received */
  setVideoEnabled(on) {
    this.setReceiveQuality(on ? 'auto' : 'audioOnly')
  }

  get receiveQuality() {
    return this.#receiveQuality
  }

  /** @param {ReceiveQuality} quality 'auto' and 'high': everything; 'low': fewer pictures a second; 'audioOnly': no video */
  setReceiveQuality(quality) {
    this.#receiveQuality = quality
    this.#post({ do: 'subscribe', quality })
    if (quality === 'audioOnly') this.#people.unsubscribe(({ kind }) => kind === 'video')
  }

  /**
   * @param {'microphone' | 'camera' | 'speaker'} kind
   * @param {string} deviceId '' is the default one
   * @returns {Promise<void>} once it is known to be the one in use
   */
  switchDevice(kind, deviceId) {
    return kind === 'speaker' ? this.setSpeaker(deviceId) : this.localParticipant.switchDevice(kind, deviceId)
  }

  /** @param {string} deviceId '' is the default one */
  async setSpeaker(deviceId) {
    await this.#useSpeaker(deviceId, deviceId)
  }

  /** Begins to play after the browser has blocked it; to be called from a click. */
  async startAudio() {
    await this.#output.start()
    this.#people.play()
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
    return { state: this.state, audio: { canPlay: this.canPlayAudio }, shares: this.#people.statistics(), ...this.#statistics }
  }

  /** @param {string} deviceId @param {string} [wanted] the person's choice, where this is one */
  async #useSpeaker(deviceId, wanted) {
    const id = deviceId === 'default' ? '' : deviceId
    const output = this.#output
    // Where no other can be chosen, the default one is in use already.
    if (id !== '' || canChooseSpeaker()) await output.setSpeaker(id)
    if (canChooseSpeaker() && output.context.sinkId !== id) throw new PulseError('switch_failed', { device: 'speaker' })
    const { groupId = '', label = '' } = this.devices.speakers.find((each) => each.deviceId === (id || 'default')) ?? {}
    const device = { deviceId: id, groupId, label }
    this.#localDevices?.using('speaker', device, null, wanted === undefined ? wanted : id)
    return device
  }

  #watchPage() {
    return new Lifecycle({
      onNetwork: () => this.#post({ do: 'networkChanged' }),
      onFrozen: (frozen) => this.localParticipant.interruptAll('frozen', frozen),
      onShown: () => this.#hasPlayed && void this.#audio?.start(),
      onGone: () => this.#worker?.postMessage(/** @type {ToWorker} */ ({ do: 'disconnect' })),
      // The others saw this participant leave; that cannot be undone, only said.
      onBack: () => this.#onState('disconnected', new PulseError('connection_lost')),
    })
  }

  #watchDevices() {
    return new LocalDevices({
      open: (source, deviceId, stillWanted) => (source === 'speaker' ? this.#useSpeaker(deviceId) : this.localParticipant.reopen(source, deviceId, stillWanted)),
      stop: (source) => source !== 'speaker' && this.localParticipant.stopDevice(source),
      interrupt: (source, reason) => source !== 'speaker' && this.localParticipant.interrupt(source, 'device', reason !== null),
      emit: (name, detail) => this.#emit(name, detail),
      onList: (devices) => {
        this.devices = devices
        this.#emit('devicesChanged', { devices })
      },
    })
  }

  get #output() {
    this.#audio ??= new AudioOutput((canPlay) => {
      // What has played once was interrupted by the system: a call, another program. Without a new click it goes on.
      if (!canPlay && this.#hasPlayed) void this.#audio?.start()
      this.#hasPlayed ||= canPlay
      this.#emit('audioPlaybackChanged', { canPlay })
    })
    return this.#audio
  }

  #createLocal() {
    return new LocalParticipant({
      post: (message, transfer) => this.#post(message, transfer),
      audio: () => this.#output,
      requireActive: () => {
        if (!this.#worker) throw new PulseError('not_connected')
      },
      hasV1: () => this.state === 'connected' && this.#people.hasV1,
      devices: () => {
        if (!this.#localDevices) throw new PulseError('not_connected')
        return this.#localDevices
      },
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
        this.localParticipant.id = message.id
        this.#chat.setEdge(message.uploads, message.edge)
        this.#people.reset(message.participants)
        return
      case 'roster':
        this.#people.change(message)
        for (const info of message.updated) if (info.id === this.localParticipant.id) this.#updateLocal(info)
        void this.localParticipant.updateV1Share()
        return
      case 'trackConfig':
      case 'trackStop':
      case 'picture':
      case 'subscribed':
      case 'subscriptionFailed':
      case 'v1share':
        this.#people.received(message)
        return
      case 'constrained':
        return this.#people.constrain(message.tracks)
      case 'interrupted':
        for (const cause of /** @type {const} */ (['bandwidth', 'overload'])) this.localParticipant.interrupt(message.source, cause, message.reason === cause)
        return
      case 'limitation':
        this.qualityLimitation = { reason: message.reason, steps: message.steps }
        this.#emit('qualityLimitationChanged', this.qualityLimitation)
        return
      case 'quality':
        this.#onQuality(message.quality, message.mos)
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
    if (state === 'connected') void this.localParticipant.updateV1Share(true)
    if (state === 'reconnecting') this.#onQuality('lost')
    this.#emit('connectionStateChanged', error ? { state, error } : { state })
    if (!connecting || (state !== 'connected' && state !== 'failed' && state !== 'disconnected')) return
    this.#connecting = null
    if (state === 'connected') connecting.resolve()
    else connecting.reject(error ?? new PulseError('not_connected'))
  }

  #release() {
    const worker = this.#worker
    this.#worker = null
    this.#lifecycle?.close()
    this.#lifecycle = null
    this.localParticipant.release()
    this.#localDevices?.close()
    this.#localDevices = null
    if (worker) {
      worker.onmessage = worker.onerror = null
      setTimeout(() => worker.terminate(), defaults.connection.closeGraceMs)
    }
    this.#people.clear()
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

  /** @param {import('./worker/messages.js').ConnectionQuality} quality @param {number} [mos] */
  #onQuality(quality, mos) {
    this.localParticipant.connectionQuality = quality
    this.#emit('connectionQualityChanged', { participant: this.localParticipant, quality, ...(mos && { mos }) })
  }

  /** @param {import('./worker/messages.js').ParticipantInfo} info */
  #updateLocal(info) {
    // How good the connection is, is known here first.
    const changed = this.localParticipant.update({ ...info, away: false, quality: this.localParticipant.connectionQuality })
    if (changed.length > 0) this.#emit('participantUpdated', { participant: this.localParticipant, changed })
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
}
