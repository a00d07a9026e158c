// Owns the decoder of one sound track: packets in, samples out, in the same order. One that breaks is made anew after a while, not at the rate
// of packets, and harms nothing else. The decoder's timestamps ignore gaps, so what comes out is matched to what went in by order.

import { defaults } from '../defaults.js'
import { isPcm, PcmDecoder } from './pcm.js'

export class SoundDecoder {
  #config
  #onSamples
  #onFailed
  /** @type {AudioDecoder | PcmDecoder | null} */
  #decoder = null
  #retryAt = -Infinity
  /** @type {number} */
  #retryMs = defaults.soundDecoder.retryMs
  counters = { decoded: 0, decoderErrors: 0, undecoded: 0 }

  /**
   * @param {Record<string, any>} config of the track
   * @param {(planes: Float32Array<ArrayBuffer>[]) => void} onSamples of the oldest packet that has not come out yet
   * @param {(error: unknown) => void} onFailed what has not come out will not
   */
  constructor(config, onSamples, onFailed) {
    this.#config = config
    this.#onSamples = onSamples
    this.#onFailed = onFailed
  }

  /** @param {number} now @returns {boolean} whether packets are taken; if not, this one is counted */
  ready(now) {
    const decoder = this.#decoder
    const stuck = decoder instanceof PcmDecoder || !decoder ? now < this.#retryAt : decoder.decodeQueueSize > defaults.soundDecoder.maxQueue
    if (stuck) this.counters.undecoded++
    return !stuck
  }

  /** @param {number} now @param {Uint8Array} payload @param {number} timestampUs */
  decode(now, payload, timestampUs) {
    try {
      this.#decoder ??= isPcm(this.#config) ? new PcmDecoder() : this.#create()
      if (this.#decoder instanceof PcmDecoder) {
        if (payload.length !== defaults.soundDecoder.pcmBytes) throw new Error(`a pcm-s16 packet of ${payload.length} bytes`)
        this.#deliver([this.#decoder.decode(payload)])
      } else this.#decoder.decode(new EncodedAudioChunk({ type: 'key', timestamp: timestampUs, data: payload }))
    } catch (error) {
      this.#failed(now, error)
    }
  }

  close() {
    const decoder = this.#decoder
    this.#decoder = null
    if (decoder && !(decoder instanceof PcmDecoder) && decoder.state !== 'closed') decoder.close()
  }

  #create() {
    const { codec, numberOfChannels, description } = this.#config
    const decoder = new AudioDecoder({
      output: (data) => {
        try {
          if (decoder === this.#decoder) this.#deliver(planesOf(data))
        } finally {
          data.close()
        }
      },
      error: (error) => {
        if (decoder === this.#decoder) this.#failed(performance.now(), error)
      },
    })
    this.#decoder = decoder
    decoder.configure({ codec, sampleRate: defaults.sampleRate, numberOfChannels, description })
    return decoder
  }

  /** @param {Float32Array<ArrayBuffer>[]} planes */
  #deliver(planes) {
    this.counters.decoded++
    this.#retryMs = defaults.soundDecoder.retryMs
    this.#onSamples(planes)
  }

  /** @param {number} now @param {unknown} error */
  #failed(now, error) {
    this.counters.decoderErrors++
    this.close()
    this.#retryAt = now + this.#retryMs
    this.#retryMs = Math.min(2 * this.#retryMs, defaults.soundDecoder.maxRetryMs)
    this.#onFailed(error)
  }
}

/** @param {AudioData} data */
function planesOf(data) {
  return Array.from({ length: data.numberOfChannels }, (_, planeIndex) => {
    const plane = new Float32Array(data.numberOfFrames)
    data.copyTo(plane, { planeIndex, format: 'f32-planar' })
    return plane
  })
}
