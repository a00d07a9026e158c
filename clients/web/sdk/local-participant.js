// Owns what the local participant publishes: devices to tracks, tracks to the worker. Never talks to the network itself.

import { defaults } from './defaults.js'
import { createVideo, deviceOf, openCamera, openMicrophone, openScreen, openVerified, stopStream } from './devices.js'
import { PulseError } from './errors.js'
import { Participant } from './participant.js'
import { AudioCapture, captureFrames } from './send/capture.js'
import { Track } from './track.js'

/**
 * @typedef {import('./device-watch.js').Device} Device
 * @typedef {import('./worker/messages.js').Interruption} Interruption
 * @typedef {import('./worker/messages.js').Source} Source
 */

/** Why nothing is sent, the most telling cause first. @type {Interruption[]} */
const CAUSES = ['device', 'frozen', 'hidden', 'bandwidth', 'overload']

/**
 * What the local participant needs of its room.
 * @typedef {object} Host
 * @property {(message: import('./worker/messages.js').ToWorker, transfer?: Transferable[]) => void} post
 * @property {() => import('./recv/playout.js').AudioOutput} audio
 * @property {() => void} requireActive throws where nothing can be published
 * @property {() => boolean} hasV1
 * @property {() => import('./local-devices.js').LocalDevices} devices
 * @property {(name: string, detail: object) => void} emit
 */

/**
 * @typedef {{track: Track, stream: MediaStream, release: () => void, capture?: AudioCapture, videos: Set<HTMLVideoElement>,
 *   causes: Set<Interruption>}} Publication
 */

export class LocalParticipant extends Participant {
  isLocal = true
  #host
  /** @type {Map<Source, Publication>} */
  #publications = new Map()
  /** Changes of devices happen one after the other. @type {Promise<unknown>} */
  #order = Promise.resolve()
  /** @type {import('./v1/share-recorder.js').ShareRecorder | null} */
  #recorder = null
  #silent = false
  #closed = false

  /** @param {Host} host */
  constructor(host) {
    super({ id: '', name: '', protocol: 'v2' })
    this.#host = host
  }

  /**
   * Off mutes: the track stays, nothing is sent.
   * @param {boolean} on
   * @param {{deviceId?: string}} [options] another device than the one in use; '' is the default one
   * @returns {Promise<void>}
   */
  setMicrophoneEnabled(on, { deviceId } = {}) {
    return this.#inOrder(async () => {
      const current = this.#publications.get('microphone')
      if (current && on) await this.#choose('microphone', deviceId)
      else if (on) {
        const { stream, wanted } = await this.#open('microphone', deviceId)
        const { echoCancellation } = stream.getAudioTracks()[0].getSettings()
        if (echoCancellation === false) this.#fail('microphone', new PulseError('processing_refused', { device: 'microphone' }))
        await this.#publishAudio('microphone', stream, defaults.microphone)
        this.#keep('microphone', stream, wanted)
      }
      const { track, stream, capture } = this.#publications.get('microphone') ?? {}
      if (!track || !stream || track.muted === !on) return
      track.muted = !on
      for (const each of stream.getTracks()) each.enabled = on
      capture?.listenAnew()
      this.#onSilent(false)
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
      if (!on) this.#unpublish('camera', 'stopped')
      else if (this.#publications.has('camera')) await this.#choose('camera', deviceId)
      else {
        const { stream, wanted } = await this.#open('camera', deviceId)
        this.#publishVideo('camera', stream)
        this.#keep('camera', stream, wanted)
      }
    })
  }

  /**
   * A microphone that is muted stays so; where nothing is published, it is now.
   * @param {'microphone' | 'camera'} source
   * @param {string} deviceId '' is the default one
   * @returns {Promise<void>} once it is known to be the one in use
   */
  switchDevice(source, deviceId) {
    if (!this.#publications.has(source)) return this[source === 'microphone' ? 'setMicrophoneEnabled' : 'setCameraEnabled'](true, { deviceId })
    return this.#inOrder(() => this.#switch(source, normal(deviceId)))
  }

  /**
   * The SDK's own: takes another device into use, since the one before is not there or not the right one any more.
   * @param {'microphone' | 'camera'} source @param {string} deviceId @param {() => boolean} stillWanted @returns {Promise<Device>}
   */
  reopen(source, deviceId, stillWanted) {
    return this.#inOrder(async () => {
      if (!stillWanted() || !this.#publications.has(source)) throw new PulseError('device_failed')
      return this.#replace(source, await openVerified(source, deviceId))
    })
  }

  /** The SDK's own. @param {Source} source */
  stopDevice(source) {
    const publication = this.#publications.get(source)
    if (publication) stopStream(publication.stream)
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
      if (this.#closed) stopStream(stream)
      this.#adoptShare(stream)
      this.#publishVideo('screen', stream)
      if (stream.getAudioTracks().length > 0) await this.#publishAudio('screenAudio', stream, defaults.screenAudio)
      void this.updateV1Share()
    })
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

  /** The SDK's own: this keeps a source from being sent, or does no more. @param {Source} source @param {Interruption} cause @param {boolean} on */
  interrupt(source, cause, on) {
    const publication = this.#publications.get(source)
    if (!publication) return
    const { track, causes } = publication
    if (on) causes.add(cause)
    else causes.delete(cause)
    const reason = CAUSES.find((each) => causes.has(each)) ?? null
    if (reason === track.interrupted) return
    track.interrupted = reason
    // The worker knows its own causes.
    if (reason !== 'bandwidth' && reason !== 'overload') this.#host.post({ do: 'interrupt', source, reason })
    this.#host.emit('trackInterrupted', { participant: this, track, reason })
  }

  /** The SDK's own: so for everything that is published. @param {Interruption} cause @param {boolean} on */
  interruptAll(cause, on) {
    for (const source of this.#publications.keys()) this.interrupt(source, cause, on)
  }

  /** The SDK's own: starts or stops what v1 members see of the share. @param {boolean} [again] from its beginning, on a new connection */
  async updateV1Share(again = false) {
    const share = this.#publications.get('screen')
    const wanted = share !== undefined && this.#host.hasV1()
    if (this.#recorder && (!wanted || again)) {
      this.#recorder.stop()
      this.#recorder = null
    }
    if (!wanted || this.#recorder) return
    const { ShareRecorder } = await import('./v1/share-recorder.js')
    if (this.#recorder || this.#publications.get('screen') !== share || !this.#host.hasV1()) return
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

  /** A share ends from the browser's own bar too. @param {MediaStream} stream */
  #adoptShare(stream) {
    for (const each of stream.getTracks()) {
      each.addEventListener('ended', () => {
        if (this.#publications.get('screen')?.stream !== stream) return
        if (each.kind === 'video') this.#stopShare('ended')
        else this.#unpublish('screenAudio', 'ended')
      }, { once: true })
    }
  }

  /**
   * Opens a device to be published: the one asked for, the one chosen before, or any.
   * @param {'microphone' | 'camera'} source @param {string} [deviceId] @returns {Promise<{stream: MediaStream, wanted: string}>}
   */
  async #open(source, deviceId) {
    const wanted = normal(deviceId ?? this.#host.devices().wanted(source))
    const openIt = source === 'microphone' ? openMicrophone : openCamera
    let stream
    try {
      stream = await openIt(wanted)
    } catch (error) {
      const { name } = /** @type {PulseError} */ (error)
      this.#fail(source, error)
      // One that is not there is no reason to be without: the default one, until it is back.
      if (wanted === '' || (name !== 'overconstrained' && name !== 'device_not_found')) throw error
      stream = await openIt()
    }
    if (this.#closed) stopStream(stream)
    return { stream, wanted }
  }

  /** What is published is looked after from now on. @param {'microphone' | 'camera'} source @param {MediaStream} stream @param {string} wanted */
  #keep(source, stream, wanted) {
    const [track] = stream.getTracks()
    if (!this.#publications.has(source)) return
    this.#host.devices().using(source, deviceOf(stream), track, wanted)
    // It may have ended before anybody listened.
    if (track.readyState === 'ended') void this.#host.devices().ended(source)
  }

  /** Changes to a device on the way to something else: its failure is said, and the call goes on. @param {'microphone' | 'camera'} source @param {string} [deviceId] */
  async #choose(source, deviceId) {
    if (deviceId === undefined || normal(deviceId) === this.#host.devices().wanted(source)) return
    await this.#switch(source, normal(deviceId)).catch((error) => this.#fail(source, error))
  }

  /** @param {'microphone' | 'camera'} source @param {string} deviceId */
  async #switch(source, deviceId) {
    const current = this.#publications.get(source)
    let stream
    try {
      stream = await openVerified(source, deviceId).catch(async (error) => {
        // Many phones open one camera at a time.
        if (source !== 'camera' || error.name !== 'device_in_use' || !current) throw error
        const before = deviceOf(current.stream).deviceId
        stopStream(current.stream)
        return openVerified(source, deviceId).catch(async () => {
          this.#replace(source, await openVerified(source, before))
          throw error
        })
      })
    } catch (cause) {
      // One that was stopped in vain is brought back like one that has ended by itself.
      if (current?.stream.getTracks()[0].readyState === 'ended') void this.#host.devices().ended(source)
      throw new PulseError('switch_failed', { cause, device: source })
    }
    this.#replace(source, stream, deviceId)
  }

  /** @param {'microphone' | 'camera'} source @param {MediaStream} stream @param {string} [wanted] @returns {Device} */
  #replace(source, stream, wanted) {
    const current = this.#publications.get(source)
    if (!current || this.#closed) {
      stopStream(stream)
      throw new PulseError('not_connected')
    }
    const device = deviceOf(stream)
    stopStream(current.stream)
    current.stream = stream
    if (source === 'microphone') {
      for (const each of stream.getTracks()) each.enabled = !current.track.muted
      current.capture?.setStream(stream)
      this.#onSilent(false)
    } else {
      current.release()
      for (const video of current.videos) video.srcObject = stream
      current.release = this.#sendFrames('camera', stream)
    }
    this.#host.devices().using(source, device, stream.getTracks()[0], wanted)
    return device
  }

  /** @param {'microphone' | 'camera'} source @param {unknown} error */
  #fail(source, error) {
    this.#host.emit('deviceFailed', { source, error })
  }

  /** @param {boolean} silent */
  #onSilent(silent) {
    const now = silent && !(this.tracks.get('microphone')?.muted ?? true)
    if (now === this.#silent) return
    this.#silent = now
    this.#host.emit('microphoneSilent', { silent: now })
  }

  /** @param {'microphone' | 'screenAudio'} source @param {MediaStream} stream @param {{channels: number, blockMs: number}} settings */
  async #publishAudio(source, stream, settings) {
    const audio = this.#host.audio()
    await audio.loaded
    void audio.start()
    if (this.#closed) return
    const capture = new AudioCapture(audio.context, settings, source === 'microphone' ? (silent) => this.#onSilent(silent) : undefined)
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
    this.#host.post({ do: 'publishVideo', source })
    return captureFrames(stream.getVideoTracks()[0], (frame) => this.#host.post({ do: 'frame', source, frame }, [frame]))
  }

  /** @param {Track} track @param {Omit<Publication, 'track' | 'causes'>} publication */
  #add(track, publication) {
    this.#publications.set(track.source, { track, causes: new Set(), ...publication })
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
    if (source === 'microphone' || source === 'camera') this.#host.devices().off(source)
    if (source === 'microphone') this.#onSilent(false)
    publication.release()
    // The share's picture and sound are one stream; its picture owns it.
    if (source !== 'screenAudio') stopStream(publication.stream)
    publication.track.detach()
    this.#host.emit('localTrackUnpublished', { track: publication.track, reason })
  }
}

/** Browsers list the default device under a name of its own. @param {string} deviceId */
const normal = (deviceId) => (deviceId === 'default' ? '' : deviceId)
