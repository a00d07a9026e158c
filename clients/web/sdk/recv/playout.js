// Owns the page's audio graph: the AudioContext, the master gain everything audible passes through, one playout node per remote track.
// Never sees samples: they go from the worker to the audio thread.

import { defaults } from '../defaults.js'
import { PulseError } from '../errors.js'
import { canChooseSpeaker, hasSharedMemory } from '../support.js'
import { ringBytes } from './ring.js'

/** @typedef {{memory: SharedArrayBuffer | null, port: MessagePort | null}} PlayoutLink */

export class AudioOutput {
  /** @type {Map<string, {node: AudioWorkletNode | null}>} */
  #nodes = new Map()
  #loaded
  context
  /** Master gain. @type {GainNode} */
  node

  /** @param {(canPlay: boolean) => void} onChange */
  constructor(onChange) {
    this.context = new AudioContext({ sampleRate: defaults.sampleRate, latencyHint: 'interactive' })
    this.node = new GainNode(this.context)
    this.node.connect(this.context.destination)
    this.context.onstatechange = () => onChange(this.canPlay)
    this.#loaded = Promise.all([
      this.context.audioWorklet.addModule(new URL('./playout.worklet.js', import.meta.url)),
      this.context.audioWorklet.addModule(new URL('../send/capture.worklet.js', import.meta.url)),
    ])
    this.#loaded.catch(() => {})
  }

  get canPlay() {
    return this.context.state === 'running'
  }

  /** Resolves when worklets may be made. */
  get loaded() {
    return this.#loaded
  }

  /** Begins to play, which a browser may refuse until the person has clicked. */
  async start() {
    if (this.canPlay) return
    // A refused resume stays pending in some browsers; the event tells when it succeeds.
    void this.context.resume().catch(() => {})
  }

  /** @param {string} deviceId '' is the default one */
  async setSpeaker(deviceId) {
    if (!canChooseSpeaker()) throw new PulseError('speaker_failed')
    try {
      await this.context.setSinkId(deviceId)
    } catch (cause) {
      throw new PulseError('speaker_failed', { cause })
    }
  }

  /**
   * @param {string} key of the track
   * @param {number} channels
   * @returns {Promise<PlayoutLink | null>} the worker's end; null if the track is gone by now
   */
  async add(key, channels) {
    this.remove(key)
    const entry = { node: /** @type {AudioWorkletNode | null} */ (null) }
    this.#nodes.set(key, entry)
    await this.#loaded
    if (this.#nodes.get(key) !== entry || this.context.state === 'closed') return null
    const shared = hasSharedMemory()
    const bytes = ringBytes(defaults.ringFrames, channels)
    const memory = shared ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes)
    entry.node = new AudioWorkletNode(this.context, 'pulse-playout', {
      numberOfInputs: 0, numberOfOutputs: 1, outputChannelCount: [channels],
      processorOptions: { memory, channels, reportMs: defaults.depthReportMs },
    })
    entry.node.connect(this.node)
    if (memory instanceof ArrayBuffer) {
      const { port1, port2 } = new MessageChannel()
      entry.node.port.postMessage({ port: port1 }, [port1])
      return { memory: null, port: port2 }
    }
    return { memory, port: null }
  }

  /** @param {string} key */
  remove(key) {
    const entry = this.#nodes.get(key)
    if (!entry) return
    this.#nodes.delete(key)
    entry.node?.port.postMessage({ end: true })
    entry.node?.disconnect()
  }

  async close() {
    for (const key of [...this.#nodes.keys()]) this.remove(key)
    this.context.onstatechange = null
    if (this.context.state !== 'closed') await this.context.close()
  }
}
