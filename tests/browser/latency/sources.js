// Owns the known picture and the known sound that a measurement sends through a call: a camera that shows the time as a barcode,
// a microphone that says when it beeps. They take the place of the browser's devices before the app runs.

/** Serialised into the page; nothing outside of it exists there. */
export function installKnownDevices() {
  const BITS = 16
  const BARS = BITS + 4
  const WIDTH = 640
  const HEIGHT = 360
  const wallMs = () => performance.timeOrigin + performance.now()

  /** @param {number} value @returns {boolean[]} its bits and a checksum, so that a half-changed picture is not read as a time */
  function encode(value) {
    const check = ((value >> 12) ^ (value >> 8) ^ (value >> 4) ^ value ^ 0b0101) & 15
    return Array.from({ length: BARS }, (_, index) => Boolean(index < BITS ? (value >> index) & 1 : (check >> (index - BITS)) & 1))
  }

  /** @returns {MediaStreamTrack} a camera of 640 x 360 whose picture is the time it was painted at */
  function openCamera() {
    const canvas = document.createElement('canvas')
    canvas.width = WIDTH
    canvas.height = HEIGHT
    const context = canvas.getContext('2d', { alpha: false })
    const [track] = canvas.captureStream(30).getVideoTracks()
    function paint() {
      if (track.readyState === 'ended') return
      const bars = encode(Math.round(wallMs()) & 0xffff)
      bars.forEach((on, index) => {
        context.fillStyle = on ? '#fff' : '#000'
        context.fillRect((index * WIDTH) / BARS, 0, WIDTH / BARS, HEIGHT)
      })
      requestAnimationFrame(paint)
    }
    paint()
    return track
  }

  const read = document.createElement('canvas')
  read.width = WIDTH
  read.height = 1
  const readContext = read.getContext('2d', { willReadFrequently: true })

  /** @param {CanvasImageSource} picture @returns {number | null} how many ms ago this picture was painted */
  function ageOf(picture) {
    readContext.drawImage(picture, 0, 180, WIDTH, 1, 0, 0, WIDTH, 1)
    const { data } = readContext.getImageData(0, 0, WIDTH, 1)
    const bars = Array.from({ length: BARS }, (_, index) => data[Math.floor(((index + 0.5) * WIDTH) / BARS) * 4] > 127)
    const value = bars.slice(0, BITS).reduce((sum, on, index) => sum | (Number(on) << index), 0)
    if (encode(value).some((on, index) => on !== bars[index])) return null
    return (wallMs() - value) & 0xffff
  }

  /**
   * The pictures on an element for a time: when each is first seen there, and how old it is then.
   * @param {() => HTMLCanvasElement | HTMLVideoElement | null} find @param {number} seconds
   */
  async function watch(find, seconds) {
    const seen = []
    let unreadable = 0
    let last = -1
    const until = performance.now() + seconds * 1000
    while (performance.now() < until) {
      await new Promise(requestAnimationFrame)
      const picture = find()
      if (!picture || (picture.videoWidth ?? picture.width) !== WIDTH) continue
      const age = ageOf(picture)
      if (age === null) {
        unreadable++
        continue
      }
      const painted = Math.round(wallMs() - age)
      if (Math.abs(painted - last) <= 1) continue
      last = painted
      seen.push({ at: painted + age, age })
    }
    return { seen, unreadable }
  }

  // The audio thread has no performance.now(); Date.now() is the one clock that both pages' audio threads share.
  const WORKLET = `
    registerProcessor('beeper', class extends AudioWorkletProcessor {
      next = currentTime + 1
      process(_, [[output]]) {
        for (let index = 0; index < output.length; index++) {
          const since = currentTime + index / sampleRate - this.next
          if (since < 0) continue
          if (!this.on) {
            this.on = true
            this.port.postMessage(Date.now() + (index * 1000) / sampleRate)
          }
          output[index] = 0.5 * Math.sin(2 * Math.PI * 1000 * since)
          if (since > 0.03) {
            this.on = false
            // Never in step with the 20-ms packets.
            this.next += 0.6 + Math.random() * 0.1
          }
        }
        return true
      }
    })
    registerProcessor('ear', class extends AudioWorkletProcessor {
      quiet = 0
      process([[input]]) {
        for (let index = 0; index < (input?.length ?? 0); index++) {
          this.quiet++
          if (Math.abs(input[index]) < 0.1) continue
          if (this.quiet > sampleRate / 4) this.port.postMessage(Date.now() + (index * 1000) / sampleRate)
          this.quiet = 0
        }
        return true
      }
    })`
  const load = (context) => context.audioWorklet.addModule(URL.createObjectURL(new Blob([WORKLET], { type: 'text/javascript' })))

  /** Wall times of the beeps that left. @type {number[]} */
  const beeped = []
  /** @returns {Promise<MediaStreamTrack>} */
  async function openMicrophone() {
    // A microphone gives its samples as they come: the smallest blocks that the browser renders are nearest to that.
    const context = new AudioContext({ sampleRate: 48_000, latencyHint: 0 })
    await load(context)
    const beeper = new AudioWorkletNode(context, 'beeper', { numberOfInputs: 0, outputChannelCount: [1] })
    const destination = new MediaStreamAudioDestinationNode(context, { channelCount: 1 })
    beeper.connect(destination)
    const [track] = destination.stream.getAudioTracks()
    beeper.port.onmessage = ({ data }) => {
      if (track.readyState === 'ended') void context.close().catch(() => {})
      else beeped.push(data)
    }
    return track
  }

  /** Wall times of the beeps that the page's audio thread is given. @param {AudioNode} node @returns {Promise<number[]>} */
  async function listenAt(node) {
    const heard = []
    await load(node.context)
    const ear = new AudioWorkletNode(node.context, 'ear', { numberOfOutputs: 0 })
    ear.port.onmessage = ({ data }) => heard.push(data)
    node.connect(ear)
    return heard
  }

  navigator.mediaDevices.getUserMedia = async ({ audio, video }) => {
    const tracks = []
    if (video) tracks.push(openCamera())
    if (audio) tracks.push(await openMicrophone())
    return new MediaStream(tracks)
  }
  Object.assign(globalThis, { pulseKnown: { watch, listenAt, beeped } })
}
