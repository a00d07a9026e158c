// Owns what the local participant publishes: devices to tracks, tracks to the worker. Never talks to the network itself.

import { defaults } from './defaults.js'
import { createVideo, openCamera, openMicrophone, openScreen } from './devices.js'
import { Participant } from './participant.js'
import { AudioCapture, captureFrames } from './send/capture.js'
import { Track } from './track.js'
import { ShareRecorder } from './v1/share-recorder.js'

/** @typedef {import('./worker/messages.js').Source} Source */

/**
 * What the local participant needs of its room.
 * @typedef {object} Host
 * @property {(message: import('./worker/messages.js').ToWorker, transfer?: Transferable[]) => void} post
 * @property {() => import('./recv/playout.js').AudioOutput} audio
 * @property {() => void} requireActive throws where nothing can be published
 * @property {() => boolean} hasV1
 * @property {(name: string, detail: object) => void} emit
 */

/** @typedef {{track: Track, stream: MediaStream, release: () => void}} Publication */

export class LocalParticipant extends Participant {
  isLocal = true
  #host
  /** @type {Map<Source, Publication & {capture?: AudioCapture, videos: Set<HTMLVideoElement>}>} */
  #publications = new Map()
  /** Changes of devices happen one after the other. @type {Promise<unknown>} */
  #order = Promise.resolve()
  /** @type {ShareRecorder | null} */
  #recorder = null
  #closed = false

  /** @param {Host} host */
  constructor(host) {
    super({ id: '', name: '', protocol: 'v2' })
    this.#host = host
  }

  /**
   * Off mutes: the track stays, nothing is sent.
   * @param {boolean} on
   * @param {{deviceId?: string}} [options] another device than the default or the one in use
   * @returns {Promise<void>}
   */
  setMicrophoneEnabled(on, { deviceId } = {}) {
    return this.#inOrder(async () => {
      const current = this.#publications.get('microphone')
      if (current && on && deviceId && deviceId !== deviceOf(current.stream)) {
        const stream = this.#adopt(await openMicrophone(deviceId), 'microphone')
        stopStream(current.stream)
        current.stream = stream
        current.capture?.setStream(stream)
      } else if (!current && on) {
        const stream = this.#adopt(await openMicrophone(deviceId), 'microphone')
        await this.#publishAudio('microphone', stream, defaults.microphone)
      }
      const { track, stream } = this.#publications.get('microphone') ?? {}
      if (!track || !stream || track.muted === !on) return
      track.muted = !on
      for (const each of stream.getTracks()) each.enabled = on
      this.#host.post({ do: 'mute', source: 'microphone', muted: !on })
      this.#host.emit(on ? 'trackUnmuted' : 'trackMuted', { participant: this, track })
    })
  }

  /**
   * Off stops the device and the track.
   * @param {boolean} on
   * @param {{deviceId?: string}} [options]
   * @returns {Promise<void>}
   */
  setCameraEnabled(on, { deviceId } = {}) {
    return this.#inOrder(async () => {
      const current = this.#publications.get('camera')
      if (!on) {
        this.#unpublish('camera', 'stopped')
        return
      }
      if (current && (!deviceId || deviceId === deviceOf(current.stream))) return
      const stream = this.#adopt(await openCamera(deviceId), 'camera')
      if (!current) {
        this.#publishVideo('camera', stream)
        return
      }
      current.release()
      stopStream(current.stream)
      current.stream = stream
      for (const video of current.videos) video.srcObject = stream
      current.release = this.#sendFrames('camera', stream)
    })
  }

  /**
   * Asks the person what to share, with its sound where the browser offers it.
   * @param {boolean} on
   * @param {DisplayMediaStreamOptions} [options] added to the SDK's own
   * @returns {Promise<void>}
   */
  setScreenShareEnabled(on, options) {
    return this.#inOrder(async () => {
      if (!on) {
        this.#stopShare('stopped')
        return
      }
      if (this.#publications.has('screen')) return
      const stream = await openScreen(options)
      this.#adopt(stream, 'screen')
      this.#publishVideo('screen', stream)
      if (stream.getAudioTracks().length > 0) await this.#publishAudio('screenAudio', stream, defaults.screenAudio)
      this.updateV1Share()
    })
  }

  /**
   * @param {'microphone' | 'camera'} source
   * @param {string} deviceId '' is the default one
   * @returns {Promise<void>} once it is known to be the one in use
   */
  switchDevice(source, deviceId) {
    return source === 'microphone' ? this.setMicrophoneEnabled(true, { deviceId }) : this.setCameraEnabled(true, { deviceId })
  }

  /** @param {boolean} on */
  setHandRaised(on) {
    this.#host.requireActive()
    if (on === this.handRaised) return
    // The edge's clock has the last word; until it speaks, this one's.
    this.handRaisedAt = on ? Date.now() : null
    this.#host.post({ do: 'update', hand: on })
    this.#host.emit('participantUpdated', { participant: this, changed: ['hand'] })
  }

  /** The SDK's own. @param {Source} source @param {import('./worker/messages.js').Interruption | null} reason */
  interrupted(source, reason) {
    const track = this.tracks.get(source)
    if (!track || track.interrupted === reason) return
    track.interrupted = reason
    this.#host.emit('trackInterrupted', { participant: this, track, reason })
  }

  /** The SDK's own: starts or stops what v1 members see of the share. @param {boolean} [again] from its beginning, on a new connection */
  updateV1Share(again = false) {
    const share = this.#publications.get('screen')
    const wanted = share !== undefined && this.#host.hasV1()
    if (this.#recorder && (!wanted || again)) {
      this.#recorder.stop()
      this.#recorder = null
    }
    if (!wanted || this.#recorder) return
    this.#recorder = new ShareRecorder(share.stream, (type, payload) => this.#host.post({ do: 'v1share', type, payload }, [payload.buffer]))
  }

  /** The SDK's own: ends everything. */
  release() {
    this.#closed = true
    this.#stopShare('stopped')
    for (const source of [...this.#publications.keys()]) this.#unpublish(source, 'stopped')
  }

  /** @template T @param {() => Promise<T>} step @returns {Promise<T>} */
  #inOrder(step) {
    const result = this.#order.then(() => {
      this.#host.requireActive()
      return step()
    })
    this.#order = result.catch(() => {})
    return result
  }

  /** @param {MediaStream} stream @param {'microphone' | 'camera' | 'screen'} source */
  #adopt(stream, source) {
    if (this.#closed) stopStream(stream)
    for (const each of stream.getTracks()) {
      each.addEventListener('ended', () => {
        if (this.#publications.get(source)?.stream !== stream) return
        if (source !== 'screen') this.#unpublish(source, 'ended')
        else if (each.kind === 'video') this.#stopShare('ended')
        else this.#unpublish('screenAudio', 'ended')
      }, { once: true })
    }
    return stream
  }

  /** @param {'microphone' | 'screenAudio'} source @param {MediaStream} stream @param {{channels: number, blockMs: number}} settings */
  async #publishAudio(source, stream, settings) {
    const audio = this.#host.audio()
    await audio.loaded
    void audio.start()
    if (this.#closed || stream.getAudioTracks().every(({ readyState }) => readyState === 'ended')) return
    const capture = new AudioCapture(audio.context, settings)
    capture.setStream(stream)
    this.#host.post({ do: 'publishAudio', source, port: capture.port }, [capture.port])
    const track = new Track({ source, isLocal: true })
    this.#add(track, { stream, capture, videos: new Set(), release: () => capture.close() })
  }

  /** @param {'camera' | 'screen'} source @param {MediaStream} stream */
  #publishVideo(source, stream) {
    if (this.#closed) return
    /** @type {Set<HTMLVideoElement>} */
    const videos = new Set()
    const track = new Track({
      source, isLocal: true,
      createElement: () => {
        const video = createVideo(this.#publications.get(source)?.stream ?? stream)
        video.onresize = () => track.updateSize(video.videoWidth, video.videoHeight)
        videos.add(video)
        return {
          element: video,
          release: () => {
            videos.delete(video)
            video.onresize = null
            video.srcObject = null
          },
        }
      },
    })
    this.#add(track, { stream, videos, release: this.#sendFrames(source, stream) })
  }

  /** @param {'camera' | 'screen'} source @param {MediaStream} stream @returns {() => void} */
  #sendFrames(source, stream) {
    return captureFrames(
      stream.getVideoTracks()[0],
      (frames) => this.#host.post({ do: 'publishVideo', source, frames }, frames ? [frames] : []),
      (frame) => this.#host.post({ do: 'frame', source, frame }, [frame]),
    )
  }

  /** @param {Track} track @param {Omit<Publication, 'track'> & {capture?: AudioCapture, videos: Set<HTMLVideoElement>}} publication */
  #add(track, publication) {
    this.#publications.set(track.source, { track, ...publication })
    this.tracks.set(track.source, track)
    this.#host.emit('localTrackPublished', { track })
  }

  /** @param {'stopped' | 'ended'} reason */
  #stopShare(reason) {
    this.#recorder?.stop()
    this.#recorder = null
    this.#unpublish('screenAudio', reason)
    this.#unpublish('screen', reason)
  }

  /** @param {Source} source @param {'stopped' | 'ended'} reason */
  #unpublish(source, reason) {
    const publication = this.#publications.get(source)
    if (!publication) return
    this.#publications.delete(source)
    this.tracks.delete(source)
    this.#host.post({ do: 'unpublish', source })
    publication.release()
    // The share's picture and sound are one stream; its picture owns it.
    if (source !== 'screenAudio') stopStream(publication.stream)
    publication.track.detach()
    this.#host.emit('localTrackUnpublished', { track: publication.track, reason })
  }
}

/** @param {MediaStream} stream */
const deviceOf = (stream) => stream.getTracks()[0]?.getSettings().deviceId

/** @param {MediaStream} stream */
function stopStream(stream) {
  for (const track of stream.getTracks()) track.stop()
}
