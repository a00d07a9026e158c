// Owns one received audio track in the worker: packets → jitter buffer → Opus decoder → playout ring.
// The decoder's timestamps ignore gaps, so what comes out is matched to what went in by order. Never touches the page's audio graph.

import { defaults } from '../defaults.js'
import { JitterBuffer } from './jitter.js'
import { PlayedTime } from './played.js'
import { conceal, opusDurationMs, shorten } from './samples.js'

/** @typedef {{kind: 'packet', keep: number, capturedMs: number} | {kind: 'conceal', durationMs: number}} Pending */

export class AudioReceiver {
  kind = /** @type {const} */ ('audio')
  #jitter = new JitterBuffer()
  /** @type {AudioDecoder | null} */
  #decoder = null
  /** @type {Pending[]} in the decoder or waiting for it, in order of playing */
  #pending = []
  /** @type {Float32Array<ArrayBuffer>[]} */
  #last = []
  /** @type {import('./output.js').Output | null} */
  #output = null
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer
  #onError
  #played = new PlayedTime()
  #packetMs = 20
  #muted = false
  config
  counters = { packets: 0, bytes: 0, decoded: 0, decoderErrors: 0, unplayed: 0 }

  /** @param {Record<string, any>} config of the track @param {(error: unknown) => void} onError */
  constructor(config, onError) {
    this.config = config
    this.#onError = onError
  }

  /** @param {import('../worker/messages.js').TrackInfo} info */
  configure({ config, muted }) {
    if (config.codec !== this.config.codec || config.numberOfChannels !== this.config.numberOfChannels) this.#dropDecoder()
    this.config = config
    if (muted && !this.#muted) this.#jitter.reset()
    this.#muted = muted
  }

  /** @param {import('./output.js').Output} output */
  setOutput(output) {
    this.#output?.close()
    this.#output = output
    this.#played.reset()
    output.setTargetMs(this.#jitter.targetMs)
  }

  /** @param {import('../wire.js').Media} media an Opus packet is always one chunk */
  push(media) {
    if (media.chunk !== 0 || !media.last) return
    this.counters.packets++
    this.counters.bytes += media.payload.length
    if (this.counters.packets === 1) {
      this.#packetMs = opusDurationMs(media.payload)
      this.#jitter = new JitterBuffer({ packetMs: this.#packetMs })
    }
    const packet = { sequence: media.sequence, capturedMs: Number(media.captured) / 1000, payload: media.payload }
    this.#play(this.#jitter.push(performance.now(), packet, this.#depthMs()))
    this.#output?.setTargetMs(this.#jitter.targetMs)
  }

  close() {
    clearTimeout(this.#timer)
    this.#dropDecoder()
    this.#output?.close()
    this.#output = null
  }

  /** @param {number} nowMs of this worker @returns {number | null} the sender's capture time of what is handed out now; null when nothing plays */
  playedCapturedMs(nowMs) {
    const output = this.#output
    return output && this.#played.at(nowMs, output.readPosition, output.playing)
  }

  statistics() {
    return {
      ...this.counters, ...this.#jitter.counters, targetMs: Math.round(this.#jitter.targetMs), depthMs: Math.round(this.#depthMs()),
      ringUnderruns: this.#output?.underruns ?? 0, overflow: this.#output?.overflow ?? 0,
    }
  }

  #depthMs() {
    let ms = this.#output?.depthMs ?? 0
    for (const each of this.#pending) ms += each.kind === 'conceal' ? each.durationMs : each.keep * this.#packetMs
    return ms
  }

  /** @param {import('./jitter.js').Playable[]} playables */
  #play(playables) {
    for (const item of playables) {
      if (item.kind === 'conceal') this.#pending.push(item)
      else this.#decode(item.packet, item.keep)
    }
    this.#flushConcealment()
    clearTimeout(this.#timer)
    const due = this.#jitter.nextTimeout()
    if (due === null) return
    this.#timer = setTimeout(() => this.#play(this.#jitter.poll(performance.now(), this.#depthMs())), Math.max(0, due - performance.now()))
  }

  /** @param {import('./jitter.js').Packet} packet @param {number} keep */
  #decode(packet, keep) {
    try {
      const decoder = this.#decoder ?? this.#createDecoder()
      this.#pending.push({ kind: 'packet', keep, capturedMs: packet.capturedMs })
      decoder.decode(new EncodedAudioChunk({ type: 'key', timestamp: Math.round(packet.capturedMs * 1000), data: packet.payload }))
    } catch (error) {
      this.#failed(error)
    }
  }

  #createDecoder() {
    const decoder = new AudioDecoder({
      output: (data) => {
        try {
          if (decoder === this.#decoder) this.#onDecoded(data)
        } finally {
          data.close()
        }
      },
      error: (error) => {
        if (decoder === this.#decoder) this.#failed(error)
      },
    })
    this.#decoder = decoder
    decoder.configure({
      codec: this.config.codec, sampleRate: defaults.sampleRate, numberOfChannels: this.config.numberOfChannels,
    })
    return decoder
  }

  /** @param {unknown} error */
  #failed(error) {
    this.counters.decoderErrors++
    this.#dropDecoder()
    // One report; the next packet gets a new decoder.
    if (this.counters.decoderErrors === 1) this.#onError(error)
  }

  #dropDecoder() {
    const decoder = this.#decoder
    this.#decoder = null
    this.#pending = []
    if (decoder && decoder.state !== 'closed') decoder.close()
  }

  /** @param {AudioData} data */
  #onDecoded(data) {
    this.counters.decoded++
    const op = this.#pending.shift()
    /** @type {Float32Array<ArrayBuffer>[]} */
    const planes = []
    for (let planeIndex = 0; planeIndex < data.numberOfChannels; planeIndex++) {
      const plane = new Float32Array(data.numberOfFrames)
      data.copyTo(plane, { planeIndex, format: 'f32-planar' })
      planes.push(plane)
    }
    this.#last = planes
    if (op?.kind === 'packet' && this.#output) this.#played.mark(this.#output.writePosition, op.capturedMs)
    const keep = op?.kind === 'packet' ? op.keep : 1
    if (keep >= 1) this.#write(planes)
    else if (keep > 0) this.#write(planes.map((plane) => shorten(plane, keep)))
    this.#flushConcealment()
  }

  /** Concealment is played once everything before it has come out of the decoder. */
  #flushConcealment() {
    for (;;) {
      const head = this.#pending[0]
      if (head?.kind !== 'conceal') return
      this.#pending.shift()
      const frames = Math.round((head.durationMs * defaults.sampleRate) / 1000)
      const channels = Math.max(1, this.#last.length)
      this.#write(Array.from({ length: channels }, (_, channel) => conceal(this.#last[channel], frames)))
    }
  }

  /** @param {Float32Array<ArrayBuffer>[]} planes */
  #write(planes) {
    if (this.#output) this.#output.write(planes)
    else this.counters.unplayed++
  }
}
