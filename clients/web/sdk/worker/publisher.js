// Owns the local tracks in the worker: their numbers, sequence numbers and announcements, and the guard of the uplink.
// Never opens a device; senders encode, the socket sends.

import { defaults } from '../defaults.js'
import { AudioSender } from '../send/audio.js'
import { VideoRate } from '../send/rate.js'
import { Uplink } from '../send/uplink.js'
import { VideoSender } from '../send/video.js'
import { PcmBlocks, Resampler } from '../v1/pcm.js'
import { FrameType, LEVEL_NONE } from '../wire.js'

/** @typedef {import('./messages.js').Source} Source */

/** A source keeps its number for the life of the page, so sequence numbers go on over a stop and a new start. @type {Record<Source, number>} */
const TRACK_NUMBERS = { microphone: 0, camera: 1, screen: 2, screenAudio: 3 }

/**
 * @typedef {object} LocalTrack
 * @property {Source} source
 * @property {AudioSender | VideoSender} sender
 * @property {boolean} muted
 */

export class Publisher {
  #socket
  #onLevel
  #onError
  /** @type {Map<Source, LocalTrack>} */
  #tracks = new Map()
  #sequences = [0, 0, 0, 0]
  #versions = [0, 0, 0, 0]
  #uplink = new Uplink()
  #rate = new VideoRate()
  #skipped = false
  #v1Present = false
  #v1Resampler = new Resampler(defaults.sampleRate, defaults.v1.sampleRate)
  #v1Blocks = new PcmBlocks(defaults.v1.blockFrames)
  counters = { mediaBytes: 0, v1Blocks: 0, keyframeRequests: 0 }

  /**
   * @param {import('./socket.js').Socket} socket
   * @param {(level: number) => void} onLevel of the microphone
   * @param {(error: unknown) => void} onError
   */
  constructor(socket, onLevel, onError) {
    this.#socket = socket
    this.#onLevel = onLevel
    this.#onError = onError
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
      onError: this.#onError,
    })
    this.#tracks.set(source, { source, sender, muted: false })
    this.#announce(source)
  }

  /** A source that is published already goes on with the new frames. @param {Source} source @param {ReadableStream<VideoFrame> | null} frames */
  publishVideo(source, frames) {
    const track = this.#tracks.get(source) ?? this.#createVideo(source)
    if (!(track.sender instanceof VideoSender)) return
    track.sender.requestKeyframe()
    if (frames) void track.sender.read(frames)
  }

  /** A frame of a browser that cannot hand over a stream of them. @param {Source} source @param {VideoFrame} frame */
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
    if (muted) this.#v1Blocks.clear()
    this.#announce(source)
  }

  /** The connection is new, resumed or not: everything is said again, and pictures begin with a keyframe. */
  restart() {
    this.#uplink.reset()
    for (const { source, sender } of this.#tracks.values()) {
      this.#announce(source)
      if (sender instanceof VideoSender) sender.restart()
    }
  }

  /** @param {number} number @returns {void} */
  keyframeRequested(number) {
    this.counters.keyframeRequests++
    for (const { source, sender } of this.#tracks.values()) {
      if (TRACK_NUMBERS[source] === number && sender instanceof VideoSender) sender.requestKeyframe()
    }
  }

  /** @param {any} ack */
  acknowledged(ack) {
    const now = performance.now()
    this.#uplink.acknowledged(now, ack)
    const changed = this.#rate.update(now, this.#skipped || this.#uplink.isLate(now))
    this.#skipped = false
    if (!changed) return
    for (const { sender } of this.#tracks.values()) if (sender instanceof VideoSender) sender.setRateShare(this.#rate.share)
  }

  /** @param {boolean} present whether anybody in the room needs v1's sound */
  setV1Present(present) {
    if (this.#v1Present && !present) this.#v1Blocks.clear()
    this.#v1Present = present
  }

  close() {
    for (const source of [...this.#tracks.keys()]) this.unpublish(source)
  }

  statistics() {
    return {
      ...this.counters, unackedBytes: this.#uplink.unackedBytes, uplinkDelayMs: this.#uplink.delayMs, ackedBitsPerSecond: this.#uplink.bitsPerSecond,
      videoRateShare: this.#rate.share,
      tracks: [...this.#tracks.values()].map(({ source, sender, muted }) => ({ source, muted, ...sender.counters, config: sender.config })),
    }
  }

  /** @param {Source} source @returns {LocalTrack} */
  #createVideo(source) {
    const number = TRACK_NUMBERS[source]
    const sender = new VideoSender(source === 'screen' ? defaults.screen : defaults.camera, this.#versions[number], {
      mayEncode: () => {
        if (!this.#socket.connected) return 'offline'
        if (this.#uplink.hasRoom(performance.now(), this.#socket.rttMs)) return 'send'
        this.#skipped = true
        return 'uplink'
      },
      onConfig: () => this.#announce(source),
      onFrame: (frame) => this.#send(number, { ...frame, config: frame.version, level: LEVEL_NONE }),
      onError: this.#onError,
    })
    sender.setRateShare(this.#rate.share)
    const track = { source, sender, muted: false }
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
    this.#socket.sendControl(FrameType.TRACK_CONFIG, { track: number, source, version, muted: track.muted, config })
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
    const bytes = this.#socket.sendMedia({ ...frame, track, spatial: 0, sequence, captured: BigInt(capturedUs) })
    this.counters.mediaBytes += bytes
    this.#uplink.sent(track, 0, sequence, bytes)
  }

  /** @param {Float32Array} samples */
  #sendV1(samples) {
    if (!this.#v1Present || !this.#socket.connected) return
    for (const block of this.#v1Blocks.push(this.#v1Resampler.process(samples))) {
      this.counters.v1Blocks++
      this.#socket.sendFrame(FrameType.AUDIO, block)
    }
  }
}
