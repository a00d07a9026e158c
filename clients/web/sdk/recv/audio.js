// Owns one received audio track in the worker: packets → jitter buffer → decoder → stretching and joining → playout ring.
// Never touches the page's audio graph.

import { defaults } from '../defaults.js'
import { JitterBuffer } from './jitter.js'
import { isPcm } from './pcm.js'
import { PlayedTime } from './played.js'
import { conceal, head, join, opusDurationMs } from './samples.js'
import { SoundDecoder } from './sound-decoder.js'
import { Stretcher } from './stretch.js'

/**
 * @typedef {Float32Array<ArrayBuffer>[]} Planes one per channel
 * @typedef {{kind: 'packet', drop: boolean, stretchMs: number, capturedMs: number}
 *   | {kind: 'conceal' | 'silence', durationMs: number}} Pending
 */

const framesOf = (/** @type {number} */ ms) => Math.round((ms * defaults.sampleRate) / 1000)

export class AudioReceiver {
  kind = /** @type {const} */ ('audio')
  #jitter = new JitterBuffer()
  #decoder
  #stretcher = new Stretcher()
  /** @type {Pending[]} in the decoder or waiting for it, in order of playing */
  #pending = []
  /** The last block. @type {Planes} */
  #last = []
  /** What would have come next where something was inserted or left out: what does come is faded over from it. @type {Planes | null} */
  #head = null
  /** @type {import('./output.js').Output | null} */
  #output = null
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer
  #onError
  #reported = false
  #played = new PlayedTime()
  #packetMs = 20
  #muted = false
  config
  counters = { packets: 0, bytes: 0, unplayed: 0 }

  /** @param {Record<string, any>} config of the track @param {(error: unknown) => void} onError once per configuration */
  constructor(config, onError) {
    this.config = config
    this.#onError = onError
    this.#decoder = this.#createDecoder()
  }

  /** @param {import('../worker/messages.js').TrackInfo} info */
  configure({ config, muted }) {
    const { codec, numberOfChannels, sampleRate } = this.config
    this.config = config
    if (config.codec !== codec || config.numberOfChannels !== numberOfChannels || config.sampleRate !== sampleRate) {
      const { counters } = this.#decoder
      this.#decoder.close()
      this.#decoder = this.#createDecoder()
      this.#decoder.counters = counters
      this.#reported = false
      this.#restart()
    }
    if (muted && !this.#muted) this.#jitter.reset()
    this.#muted = muted
  }

  /** @param {import('./output.js').Output} output */
  setOutput(output) {
    this.#output?.close()
    this.#output = output
    this.#played.reset()
    this.#restart()
    // The jitter buffer has what it waits for written as silence; the ring itself begins as soon as it can go on.
    output.setTargetMs(defaults.jitter.reserveMs)
  }

  /** @param {import('../wire.js').Media} media a packet of sound is always one chunk */
  push(media) {
    if (media.chunk !== 0 || !media.last) return
    const { payload } = media
    this.counters.packets++
    this.counters.bytes += payload.length
    const now = performance.now()
    if (!this.#output) this.counters.unplayed++
    if (!this.#output || !this.#decoder.ready(now)) return
    const packetMs = isPcm(this.config) ? 20 : opusDurationMs(payload)
    if (packetMs !== this.#packetMs) {
      this.#packetMs = packetMs
      const { counters } = this.#jitter
      this.#jitter = new JitterBuffer({ packetMs })
      this.#jitter.counters = counters
    }
    this.#play(this.#jitter.push(now, { sequence: media.sequence, capturedMs: Number(media.captured) / 1000, payload }, this.#depthMs()))
  }

  close() {
    clearTimeout(this.#timer)
    this.#decoder.close()
    this.#pending = []
    this.#output?.close()
    this.#output = null
  }

  /** @param {number} nowMs of this worker @returns {number | null} the sender's capture time of what is handed out now; null when nothing plays */
  playedCapturedMs(nowMs) {
    const output = this.#output
    return output && this.#played.at(nowMs, output.readPosition, output.playing)
  }

  statistics() {
    const { counters, targetMs, delayMs, clockJumps } = this.#jitter
    const round = (/** @type {Record<string, number>} */ all) => Object.fromEntries(Object.entries(all).map(([key, ms]) => [key, Math.round(ms)]))
    return {
      ...this.counters, ...this.#decoder.counters,
      ...round({ ...counters, ...this.#stretcher.counters, clockJumps, targetMs, delayMs, depthMs: this.#depthMs() }),
      ringUnderruns: this.#output?.underruns ?? 0, overflow: this.#output?.overflow ?? 0,
    }
  }

  #depthMs() {
    let ms = this.#output?.depthMs ?? 0
    for (const each of this.#pending) ms += each.kind !== 'packet' ? each.durationMs : each.drop ? 0 : this.#packetMs
    return ms
  }

  #createDecoder() {
    return new SoundDecoder(this.config, (planes) => this.#onDecoded(planes), (error) => {
      this.#restart()
      if (!this.#reported) this.#onError(error)
      this.#reported = true
    })
  }

  /** What is on its way is lost; what comes begins anew. */
  #restart() {
    clearTimeout(this.#timer)
    this.#pending = []
    this.#jitter.reset()
  }

  /** @param {import('./jitter.js').Playable[]} playables */
  #play(playables) {
    const now = performance.now()
    for (const item of playables) {
      if (item.kind !== 'packet') {
        this.#pending.push(item)
        continue
      }
      const { drop, stretchMs, packet: { capturedMs, payload } } = item
      this.#pending.push({ kind: 'packet', drop, stretchMs, capturedMs })
      this.#flush()
      this.#decoder.decode(now, payload, Math.round(capturedMs * 1000))
    }
    this.#flush()
    clearTimeout(this.#timer)
    const due = this.#jitter.nextTimeout()
    if (due === null) return
    this.#timer = setTimeout(() => this.#play(this.#jitter.poll(performance.now(), this.#depthMs())), Math.max(0, due - now))
  }

  /** @param {Planes} planes */
  #onDecoded(planes) {
    const op = this.#pending.shift()
    if (op?.kind !== 'packet') return
    if (op.drop) this.#head ??= planes.map(head)
    else {
      this.#last = planes
      const joined = this.#head ? planes.map((plane, channel) => join(this.#head?.[channel], plane)) : planes
      this.#head = null
      if (this.#output) this.#played.mark(this.#output.writePosition, op.capturedMs)
      this.#write(this.#stretcher.process(joined, op.stretchMs))
    }
    this.#flush()
  }

  /** What is inserted is played once everything before it has come out of the decoder. */
  #flush() {
    for (;;) {
      const op = this.#pending[0]
      if (!op || op.kind === 'packet') return
      this.#pending.shift()
      const frames = framesOf(op.durationMs)
      // A dry ring has been faded out already.
      const quiet = op.kind === 'silence'
      const last = quiet && !this.#output?.depthMs ? this.#last.map(() => new Float32Array(0)) : this.#last
      const inserted = conceal(last, frames, quiet)
      this.#write(inserted.planes)
      this.#head = inserted.head
    }
  }

  /** @param {Planes} planes */
  #write(planes) {
    this.#output?.write(planes)
  }
}
