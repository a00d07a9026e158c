// Owns the first step of sent sound: gathers the audio thread's quanta into blocks and posts them to a port, straight to the worker.
// Tells when they are nothing but zeroes for long. Never encodes; the port comes from the page as the first message.

class Capture extends AudioWorkletProcessor {
  /** @type {MessagePort | null} */
  #port = null
  #ended = false
  #channels
  #frames
  /** @type {Float32Array<ArrayBuffer>[]} */
  #block
  #filled = 0
  #silentBlocks
  #silentPeak
  /** Blocks since the last sound. */
  #quiet = 0

  /** @param {{processorOptions: {channels: number, blockMs: number, silentBlocks: number, silentPeak: number}}} options */
  constructor({ processorOptions: { channels, blockMs, silentBlocks, silentPeak } }) {
    super()
    this.#silentBlocks = silentBlocks
    this.#silentPeak = silentPeak
    this.#channels = channels
    this.#frames = Math.round((sampleRate * blockMs) / 1000)
    this.#block = this.#fresh()
    this.port.onmessage = ({ data }) => {
      if (data.port) this.#port = data.port
      if (data.end) this.#ended = true
      if (data.anew) this.#quiet = 0
    }
  }

  #fresh() {
    return Array.from({ length: this.#channels }, () => new Float32Array(this.#frames))
  }

  /** @param {Float32Array[][]} inputs */
  process(inputs) {
    const input = inputs[0]
    // No input: the source is being replaced. The clock of the track goes on with silence.
    const length = input[0]?.length ?? 128
    for (let done = 0; done < length; ) {
      const take = Math.min(length - done, this.#frames - this.#filled)
      for (let channel = 0; channel < this.#channels; channel++) {
        const plane = input[Math.min(channel, input.length - 1)]
        if (plane) this.#block[channel].set(plane.subarray(done, done + take), this.#filled)
      }
      done += take
      this.#filled += take
      if (this.#filled < this.#frames) continue
      const planes = this.#block
      this.#listen(planes[0])
      this.#port?.postMessage(planes, planes.map((plane) => plane.buffer))
      this.#block = this.#fresh()
      this.#filled = 0
    }
    return !this.#ended
  }

  /** @param {Float32Array} samples */
  #listen(samples) {
    if (samples.some((sample) => Math.abs(sample) >= this.#silentPeak)) {
      if (this.#quiet >= this.#silentBlocks) this.port.postMessage({ silent: false })
      this.#quiet = 0
    } else if (++this.#quiet === this.#silentBlocks) this.port.postMessage({ silent: true })
  }
}

registerProcessor('pulse-capture', Capture)
