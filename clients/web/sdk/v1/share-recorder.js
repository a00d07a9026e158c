// Owns a screen share as v1 members see it: MediaRecorder chunks with their START and STOP. Runs only while one of them is in the room.

import { defaults } from '../defaults.js'
import { FrameType } from '../wire.js'
import { v1Defaults } from './defaults.js'

export class ShareRecorder {
  #recorder
  #send
  #stopped = false
  /** Chunks leave in the order they were recorded, though reading them is asynchronous. */
  #order = Promise.resolve()

  /**
   * @param {MediaStream} stream
   * @param {(type: number, payload: Uint8Array<ArrayBuffer>) => void} send
   */
  constructor(stream, send) {
    this.#send = send
    const sound = stream.getAudioTracks().length > 0
    const mime = `video/webm;codecs=${sound ? 'vp8,opus' : 'vp8'}`
    this.#recorder = new MediaRecorder(stream, /** @type {MediaRecorderOptions} */ ({
      mimeType: mime, videoBitsPerSecond: v1Defaults.shareBitrate, videoKeyFrameIntervalDuration: v1Defaults.shareKeyframeMs,
    }))
    send(FrameType.SCREEN_SHARE_START, new TextEncoder().encode(mime))
    this.#recorder.ondataavailable = ({ data }) => {
      if (data.size === 0) return
      this.#order = this.#order.then(async () => {
        const chunk = new Uint8Array(await data.arrayBuffer())
        if (!this.#stopped) this.#send(FrameType.SCREEN_SHARE, chunk)
      })
    }
    this.#recorder.start(v1Defaults.shareSliceMs)
  }

  stop() {
    if (this.#stopped) return
    this.#stopped = true
    this.#recorder.ondataavailable = null
    if (this.#recorder.state !== 'inactive') this.#recorder.stop()
    this.#send(FrameType.SCREEN_SHARE_STOP, new Uint8Array(0))
  }
}
