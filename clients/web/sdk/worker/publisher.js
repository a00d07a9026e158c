// Owns the local tracks in the worker: their numbers, sequence numbers and announcements, what is asked of them, and the guard of the
// uplink. Never opens a device; senders encode, the socket sends. What one receiver lacks reaches it only as DEMAND.

import { defaults } from '../defaults.js'
import { AudioSender } from '../send/audio.js'
import { CodecChoice, preferredCodecs } from '../send/codecs.js'
import { Pacer } from '../send/pacer.js'
import { VideoRate } from '../send/rate.js'
import { isEncoderSlow } from '../send/shed.js'
import { Uplink } from '../send/uplink.js'
import { VideoSender } from '../send/video.js'
import { chunkFrame, FrameType, LEVEL_NONE } from '../wire.js'

/**
 * @typedef {import('./messages.js').Source} Source
 * @typedef {import('./messages.js').Interruption} Interruption
 */

/** A source keeps its number for the life of the page, so sequence numbers go on over a stop and a new start. @type {Record<Source, number>} */
const TRACK_NUMBERS = { microphone: 0, camera: 1, screen: 2, screenAudio: 3 }

/**
 * @typedef {object} LocalTrack
 * @property {Source} source
 * @property {AudioSender | VideoSender} sender
 * @property {boolean} muted
 * @property {Interruption | null} interrupted as the page says
 * @property {Interruption | null} stalled why nothing of it gets out, if so
 * @property {number} stalledWindows in a row without anything
 * @property {number} slowWindows in a row in which its encoder was too slow
 * @property {Record<string, number>} last counters at the end of the window before
 */

/** @param {Source} source @param {AudioSender | VideoSender} sender @returns {LocalTrack} */
const createTrack = (source, sender) => ({
  source, sender, muted: false, interrupted: null, stalled: null, stalledWindows: 0, slowWindows: 0, last: { ...sender.counters },
})

export class Publisher {
  #socket
  #onLevel
  #onStalled
  #onError
  /** @type {Map<Source, LocalTrack>} */
  #tracks = new Map()
  #sequences = [0, 0, 0, 0]
  #versions = [0, 0, 0, 0]
  #uplink = new Uplink()
  #rate = new VideoRate()
  #pacer = new Pacer()
  /** Whether pictures have begun on this connection. */
  #begun = false
  #limits = { divisor: 1, small: false, thin: false }
  /** @type {string[]} */
  #videoCodecs = []
  /** What has failed with a codec stays known for as long as the page. @type {Map<Source, CodecChoice>} */
  #choices = new Map()
  #skipped = false
  #lagging = false
  #v1Present = false
  /** While anybody needs v1's sound. @type {import('../v1/microphone.js').V1Microphone | null} */
  #v1 = null
  counters = { mediaBytes: 0, v1Blocks: 0, keyframeRequests: 0, demands: 0 }

  /**
   * @param {import('./socket.js').Socket} socket
   * @param {object} handlers
   * @param {(level: number) => void} handlers.onLevel of the microphone
   * @param {(source: Source, reason: 'bandwidth' | 'overload' | null) => void} handlers.onStalled
   * @param {(error: unknown) => void} handlers.onError
   */
  constructor(socket, { onLevel, onStalled, onError }) {
    this.#socket = socket
    this.#onLevel = onLevel
    this.#onStalled = onStalled
    this.#onError = onError
  }

  /** @param {string[]} codecs for video, best first; none: this side decides */
  setVideoCodecs(codecs) {
    this.#videoCodecs = codecs
    this.#choices.clear()
  }

  /** @param {Source} source @param {MessagePort} port */
  publishAudio(source, port) {
    this.unpublish(source)
    const number = TRACK_NUMBERS[source]
    const microphone = source === 'microphone'
    const sender = new AudioSender(port, microphone ? defaults.microphone : defaults.screenAudio, {
      onFrame: ({ capturedUs, level, payload }) => this.#send(number, {
        config: this.#versions[number], keyframe: true, discardable: false, temporal: 0, ref: 0, level, capturedUs, payload,
      }),
      onLevel: (level) => microphone && this.#onLevel(level),
      onBlock: (planes) => microphone && this.#sendV1(planes[0]),
      onConfig: () => {
        this.#versions[number] = (this.#versions[number] + 1) & 255
        this.#announce(source)
      },
    })
    this.#tracks.set(source, createTrack(source, sender))
    this.#announce(source)
  }

  /** A source that is published already goes on with the frames that follow. @param {Source} source */
  publishVideo(source) {
    const track = this.#tracks.get(source) ?? this.#createVideo(source)
    if (!(track.sender instanceof VideoSender)) return
    track.sender.requestKeyframe()
  }

  /** @param {Source} source @param {VideoFrame} frame */
  pushFrame(source, frame) {
    const sender = this.#tracks.get(source)?.sender
    if (sender instanceof VideoSender) sender.push(frame)
    else frame.close()
  }

  /** @param {Source} source */
  unpublish(source) {
    const track = this.#tracks.get(source)
    if (!track) return
    this.#tracks.delete(source)
    this.#pacer.forget(TRACK_NUMBERS[source])
    const announced = track.sender.config !== null
    if (track.sender instanceof VideoSender) this.#versions[TRACK_NUMBERS[source]] = track.sender.version
    track.sender.close()
    if (announced && this.#socket.connected) this.#socket.sendControl(FrameType.TRACK_STOP, { track: TRACK_NUMBERS[source] })
  }

  /** @param {Source} source @param {boolean} muted */
  mute(source, muted) {
    const track = this.#tracks.get(source)
    if (!track || track.muted === muted) return
    track.muted = muted
    if (track.sender instanceof AudioSender) track.sender.muted = muted
    if (muted) this.#v1?.clear()
    this.#announce(source)
  }

  /** @param {Source} source @param {Interruption | null} reason why the page has nothing of it to send */
  interrupt(source, reason) {
    const track = this.#tracks.get(source)
    if (!track || track.interrupted === reason) return
    track.interrupted = reason
    this.#announce(source)
  }

  /** The connection is new, resumed or not: everything is said again, and pictures begin with a keyframe. */
  restart() {
    // A new connection starts without a debt, and what its path carries is not known.
    this.#uplink = new Uplink()
    this.#pacer.clear()
    this.#begun = false
    // An edge that does not say what the others decode leaves what everybody does.
    if (!this.#socket.edgeFeatures.has('demand')) for (const choice of this.#choices.values()) choice.setDecodable([])
    for (const { source, sender } of this.#tracks.values()) {
      this.#announce(source)
      if (sender instanceof VideoSender) sender.restart()
    }
  }

  /** @param {number} number @returns {void} */
  keyframeRequested(number) {
    this.counters.keyframeRequests++
    this.#video(number)?.requestKeyframe()
  }

  /** @param {{track: number, subscribers: number, decode: string[]}} demand */
  demanded({ track, subscribers, decode }) {
    this.counters.demands++
    this.#video(track)?.demand(subscribers, decode)
  }

  /** What pictures have to give up. @param {import('../send/shed.js').Limits} limits */
  setLimits({ divisor, small, thin }) {
    this.#limits = { divisor, small, thin }
    for (const { sender } of this.#tracks.values()) if (sender instanceof VideoSender) sender.setLimits(this.#limits)
  }

  /** What is given up for lack of bits. */
  get bandwidthRungs() {
    return this.#rate.taken
  }

  /**
   * Ends a window of so many ms: looks at what the encoders did in it, and changes a codec that is too slow.
   * @param {number} windowMs
   * @param {boolean} lagging whether this thread was late, and with it everything that it sends
   * @returns {{busyShare: number, skippedShare: number}} of the encoders that have nothing cheaper
   */
  window(windowMs, lagging) {
    this.#lagging = lagging
    const worst = { busyShare: 0, skippedShare: 0 }
    for (const track of this.#tracks.values()) {
      const { sender, last } = track
      if (!(sender instanceof VideoSender)) continue
      const since = (/** @type {keyof typeof sender.counters} */ name) => sender.counters[name] - last[name]
      const skipped = since('skippedEncoder')
      const load = { busyShare: since('busyMs') / windowMs, skippedShare: skipped / Math.max(1, skipped + since('frames')) }
      this.#noteStall(track, since('frames') > 0 ? null : skipped > 0 ? 'overload' : since('skippedUplink') > 0 ? 'bandwidth' : null)
      track.last = { ...sender.counters }
      track.slowWindows = isEncoderSlow(load) ? track.slowWindows + 1 : 0
      if (sender.hasCheaperCodec) {
        if (track.slowWindows >= defaults.shed.troubleWindows) sender.codecTooSlow()
        continue
      }
      worst.busyShare = Math.max(worst.busyShare, load.busyShare)
      worst.skippedShare = Math.max(worst.skippedShare, load.skippedShare)
    }
    return worst
  }

  /** @param {any} ack */
  acknowledged(ack) {
    const now = performance.now()
    const uplink = this.#uplink
    uplink.acknowledged(now, ack, this.#socket.rttMs)
    this.#drain(now)
    // What leaves late arrives late: no word against the path.
    const trouble = !this.#lagging && (uplink.isLate(now) || (this.#skipped && !uplink.isClear))
    const clear = uplink.isClear && !this.#skipped
    this.#skipped = false
    const changed = this.#rate.update(now, { trouble, clear, carried: (uplink.bitsPerSecond * defaults.rate.carriedShare) / this.#videoBits })
    if (changed) this.#setShare()
  }

  /** @param {boolean} present whether anybody in the room needs v1's sound */
  setV1Present(present) {
    this.#v1Present = present
    if (!present) this.#v1 = null
    else if (!this.#v1) {
      void import('../v1/microphone.js').then(({ V1Microphone }) => {
        if (this.#v1Present) this.#v1 ??= new V1Microphone()
      })
    }
  }

  close() {
    for (const source of [...this.#tracks.keys()]) this.unpublish(source)
  }

  statistics() {
    return {
      ...this.counters, unackedBytes: this.#uplink.unackedBytes, uplinkDelayMs: this.#uplink.delayMs, ackedBitsPerSecond: this.#uplink.bitsPerSecond,
      videoRateShare: this.#rate.share, queuedBytes: this.#pacer.bytes, ...this.#pacer.counters, ...this.#rate.counters,
      tracks: [...this.#tracks.values()].map(({ source, sender, muted }) => ({
        source, muted, ...sender.counters, ...(sender instanceof VideoSender && this.#choices.get(source)?.counters), config: sender.config,
      })),
    }
  }

  /** @param {number} number @returns {VideoSender | undefined} */
  #video(number) {
    for (const { source, sender } of this.#tracks.values()) {
      if (TRACK_NUMBERS[source] === number && sender instanceof VideoSender) return sender
    }
    return undefined
  }

  /** Tells the others why they see nothing new, once that has lasted. @param {LocalTrack} track @param {'bandwidth' | 'overload' | null} reason */
  #noteStall(track, reason) {
    track.stalledWindows = reason ? track.stalledWindows + 1 : 0
    const stalled = track.stalledWindows >= defaults.shed.troubleWindows ? reason : null
    if (stalled === track.stalled) return
    track.stalled = stalled
    this.#onStalled(track.source, stalled)
    this.#announce(track.source)
  }

  /** @param {Source} source @returns {LocalTrack} */
  #createVideo(source) {
    const number = TRACK_NUMBERS[source]
    const kind = source === 'screen' ? 'screen' : 'camera'
    const choice = this.#choices.get(source) ?? new CodecChoice(preferredCodecs(kind, navigator.hardwareConcurrency, this.#videoCodecs))
    choice.reset()
    this.#choices.set(source, choice)
    const sender = new VideoSender(defaults[kind], this.#versions[number], choice, {
      mayEncode: () => {
        if (!this.#socket.connected) return 'offline'
        if (this.#uplink.durationMs(this.#pacer.bytes) <= defaults.pacer.queueMs) return 'send'
        this.#skipped = true
        return 'uplink'
      },
      onConfig: () => {
        if (!this.#begun) this.#rate.begin(performance.now(), defaults.rate.start / this.#videoBits)
        this.#begun = true
        this.#setShare()
        this.#announce(source)
      },
      onFrame: (frame) => this.#send(number, { ...frame, config: frame.version, level: LEVEL_NONE }),
      onError: this.#onError,
    })
    sender.setRateShare(this.#rate.share)
    sender.setLimits(this.#limits)
    const track = createTrack(source, sender)
    this.#tracks.set(source, track)
    return track
  }

  /** @param {Source} source */
  #announce(source) {
    const track = this.#tracks.get(source)
    const config = track?.sender.config
    // A picture has no size before its first frame; it is announced then.
    if (!track || !config || !this.#socket.connected) return
    const number = TRACK_NUMBERS[source]
    const version = track.sender instanceof VideoSender ? track.sender.version : this.#versions[number]
    const interrupted = track.interrupted ?? track.stalled
    this.#socket.sendControl(FrameType.TRACK_CONFIG, { track: number, source, version, muted: track.muted, ...(interrupted && { interrupted }), config })
  }

  /**
   * @param {number} track
   * @param {{config: number, keyframe: boolean, discardable: boolean, temporal: number, ref: number, level: number, capturedUs: number,
   *   payload: Uint8Array}} frame
   */
  #send(track, { capturedUs, ...frame }) {
    // A number that was used up while offline would only look like a loss.
    if (!this.#socket.connected) return
    const sequence = this.#sequences[track]
    this.#sequences[track] = (sequence + 1) >>> 0
    const at = performance.now()
    for (const [index, bytes] of chunkFrame({ ...frame, id: this.#socket.id, track, spatial: 0, sequence, captured: BigInt(capturedUs) }).entries()) {
      const chunk = { track, sequence, first: index === 0, bytes, at }
      if (this.#video(track)) this.#pacer.push(chunk)
      else this.#sendChunk(chunk)
    }
    this.#drain(at)
  }

  /** Sends what there is room for; each acknowledgement makes some. @param {number} now */
  #drain(now) {
    for (const number of this.#pacer.takeStale(now)) this.#video(number)?.restart()
    for (;;) {
      const chunk = this.#pacer.take(this.#pacer.bytes && this.#uplink.roomBytes(now))
      if (!chunk) return
      this.#sendChunk(chunk)
    }
  }

  /** @param {import('../send/pacer.js').WaitingChunk} chunk */
  #sendChunk({ track, sequence, first, bytes }) {
    this.#socket.send(bytes)
    this.counters.mediaBytes += bytes.length
    this.#uplink.sent(track, sequence, bytes.length, first)
  }

  #setShare() {
    for (const { sender } of this.#tracks.values()) if (sender instanceof VideoSender) sender.setRateShare(this.#rate.share)
  }

  /** The usual bitrate of all pictures together. */
  get #videoBits() {
    let bits = 1
    for (const { sender } of this.#tracks.values()) if (sender instanceof VideoSender) bits += sender.config?.bitrate ?? 0
    return bits
  }

  /** @param {Float32Array} samples */
  #sendV1(samples) {
    if (!this.#v1 || !this.#socket.connected) return
    for (const block of this.#v1.push(samples)) {
      this.counters.v1Blocks++
      this.#socket.sendFrame(FrameType.AUDIO, block)
    }
  }
}
