// Owns the page's end of capturing: a microphone through the audio graph to a port, a camera's frames to the worker.
// The graph resamples to 48 kHz, which no device can be trusted to deliver. Never encodes.

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

  /** @param {AudioContext} context whose capture worklet is loaded @param {{channels: number, blockMs: number}} options */
  constructor(context, { channels, blockMs }) {
    this.#context = context
    this.#node = new AudioWorkletNode(context, 'pulse-capture', {
      numberOfInputs: 1, numberOfOutputs: 1, channelCount: channels, channelCountMode: 'explicit', processorOptions: { channels, blockMs },
    })
    // A node is only driven on its way to the speakers; what arrives there is silence.
    this.#sink = new GainNode(context, { gain: 0 })
    this.#node.connect(this.#sink).connect(context.destination)
    const { port1, port2 } = new MessageChannel()
    this.#node.port.postMessage({ port: port1 }, [port1])
    this.port = port2
  }

  /** @param {MediaStream} stream replaces the one before */
  setStream(stream) {
    this.#source?.disconnect()
    this.#source = this.#context.createMediaStreamSource(stream)
    this.#source.connect(this.#node)
  }

  close() {
    this.#source?.disconnect()
    this.#node.port.postMessage({ end: true })
    this.#node.disconnect()
    this.#sink.disconnect()
  }
}

/**
 * Hands the frames of a track to the worker: as a stream where the browser can, else one by one.
 * @param {MediaStreamTrack} track
 * @param {(frames: ReadableStream<VideoFrame> | null) => void} onStream
 * @param {(frame: VideoFrame) => void} onFrame
 * @returns {() => void} stops
 */
export function captureFrames(track, onStream, onFrame) {
  if (hasTrackProcessor()) {
    onStream(new MediaStreamTrackProcessor({ track }).readable)
    return () => {}
  }
  onStream(null)
  const video = document.createElement('video')
  video.muted = true
  video.srcObject = new MediaStream([track])
  let handle = 0
  const next = () => {
    handle = video.requestVideoFrameCallback(() => {
      if (video.videoWidth > 0) onFrame(new VideoFrame(video, { timestamp: Math.round(performance.now() * 1000) }))
      next()
    })
  }
  next()
  video.play().catch(() => {})
  return () => {
    video.cancelVideoFrameCallback(handle)
    video.srcObject = null
  }
}
