// Owns the page's end of capturing: a microphone through the audio graph to a port, a camera's frames to the worker.
// The graph resamples to 48 kHz, which no device can be trusted to deliver. Never encodes.

import { defaults } from '../defaults.js'
import { hasTrackProcessor } from '../support.js'

/** Sound of a stream as blocks on a port. */
export class AudioCapture {
  #context
  #node
  #sink
  /** @type {MediaStreamAudioSourceNode | null} */
  #source = null
  /** The worker's end. @type {MessagePort} */
  port

  /**
   * @param {AudioContext} context whose capture worklet is loaded
   * @param {{channels: number, blockMs: number}} options
   * @param {(silent: boolean) => void} [onSilent] nothing but zeroes for long, or no more
   */
  constructor(context, { channels, blockMs }, onSilent) {
    this.#context = context
    const { silentAfterMs, silentPeak } = defaults.devices
    this.#node = new AudioWorkletNode(context, 'pulse-capture', {
      numberOfInputs: 1, numberOfOutputs: 1, channelCount: channels, channelCountMode: 'explicit',
      processorOptions: { channels, blockMs, silentBlocks: silentAfterMs / blockMs, silentPeak },
    })
    // A node is only driven on its way to the speakers; what arrives there is silence.
    this.#sink = new GainNode(context, { gain: 0 })
    this.#node.connect(this.#sink).connect(context.destination)
    if (onSilent) this.#node.port.onmessage = ({ data }) => onSilent(data.silent)
    const { port1, port2 } = new MessageChannel()
    this.#node.port.postMessage({ port: port1 }, [port1])
    this.port = port2
  }

  /** What was silent until now does not count. */
  listenAnew() {
    this.#node.port.postMessage({ anew: true })
  }

  /** @param {MediaStream} stream replaces the one before */
  setStream(stream) {
    this.#source?.disconnect()
    this.#source = this.#context.createMediaStreamSource(stream)
    this.#source.connect(this.#node)
    this.listenAnew()
  }

  close() {
    this.#source?.disconnect()
    this.#node.port.onmessage = null
    this.#node.port.postMessage({ end: true })
    this.#node.disconnect()
    this.#sink.disconnect()
  }
}

/**
 * Hands the frames of a track over, one by one. Not as a stream, which can be transferred too: Chromium loses the frames that are on their
 * way through one when it begins, never closes them, and gives a page no more of a camera once some twenty of it are open.
 * @param {MediaStreamTrack} track
 * @param {(frame: VideoFrame) => void} onFrame
 * @returns {() => void} stops
 */
export function captureFrames(track, onFrame) {
  if (!hasTrackProcessor()) return watchFrames(track, onFrame)
  let stopped = false
  let stop = () => {
    stopped = true
    clearTimeout(timer)
  }
  // An element shows a camera even then, with more work.
  const timer = setTimeout(() => {
    stop()
    stop = watchFrames(track, onFrame)
  }, defaults.devices.firstSampleMs)
  const reader = new MediaStreamTrackProcessor({ track }).readable.getReader()
  const read = async () => {
    for (;;) {
      const { value } = await reader.read()
      clearTimeout(timer)
      if (!value) return
      if (stopped) value.close()
      else onFrame(value)
    }
  }
  // To the end of the track in any case: cancelling would lose what is on its way.
  read().catch(() => {})
  return () => stop()
}

/** What an element shows of a track. @param {MediaStreamTrack} track @param {(frame: VideoFrame) => void} onFrame @returns {() => void} stops */
function watchFrames(track, onFrame) {
  const video = document.createElement('video')
  video.muted = true
  video.srcObject = new MediaStream([track])
  const push = () => {
    if (video.videoWidth > 0) onFrame(new VideoFrame(video, { timestamp: Math.round(performance.now() * 1000) }))
  }
  let handle = 0
  const next = () => {
    handle = video.requestVideoFrameCallback(() => {
      push()
      next()
    })
  }
  // A hidden page is told of no frames. What the element shows goes on all the same, as often as timers of such a page may run.
  let timer = 0
  const onVisibility = () => {
    clearInterval(timer)
    if (document.hidden) timer = window.setInterval(push, defaults.hiddenFrameMs)
  }
  document.addEventListener('visibilitychange', onVisibility)
  onVisibility()
  next()
  video.play().catch(() => {})
  return () => {
    document.removeEventListener('visibilitychange', onVisibility)
    clearInterval(timer)
    video.cancelVideoFrameCallback(handle)
    video.srcObject = null
  }
}
