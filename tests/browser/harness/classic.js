// Owns a client of the original wire (v1), as a page with nothing but the browser's own WebSocket: binary messages of id, type,
// payload; no subprotocol. Written from the wire's description alone and shares no code with the SDK.

/** Serialised into the page; nothing outside of it exists there. */
export function installClassicClient() {
  const SAMPLE_RATE = 44_100
  const BLOCK_SAMPLES = 16_384
  const [AUDIO, USER_LIST, JOIN, SHARE, SHARE_STOP, SHARE_START, CHAT] = [1, 3, 4, 5, 6, 7, 8]

  class ClassicClient {
    id = crypto.randomUUID()
    /** @type {{id: string, name: string}[]} */
    users = []
    chats = []
    /** Types of all messages, in order. */
    types = []
    audioFrom = new Map()
    shares = []
    closed = null

    constructor(url, name) {
      this.socket = new WebSocket(url)
      this.socket.binaryType = 'arraybuffer'
      this.socket.onopen = () => this.send(JOIN, new TextEncoder().encode(name))
      this.socket.onmessage = ({ data }) => this.receive(new Uint8Array(data))
      this.socket.onclose = ({ code, reason }) => (this.closed = { code, reason })
    }

    send(type, payload = new Uint8Array(0)) {
      const message = new Uint8Array(37 + payload.length)
      message.set(new TextEncoder().encode(this.id))
      message[36] = type
      message.set(payload, 37)
      this.socket.send(message)
    }

    receive(message) {
      const id = new TextDecoder().decode(message.subarray(0, 36))
      const type = message[36]
      const payload = message.slice(37)
      this.types.push(type)
      if (type === USER_LIST) this.users = this.parseUsers(payload)
      if (type === CHAT) {
        const at = new DataView(payload.buffer).getFloat64(1, true)
        const body = payload.slice(9)
        this.chats.push(payload[0] === 0 ? { id, at, text: new TextDecoder().decode(body) } : { id, at, image: body })
      }
      if (type === AUDIO) {
        const samples = new Int16Array(payload.buffer, 0, payload.length >> 1)
        this.audioFrom.set(id, [...(this.audioFrom.get(id) ?? []), samples].slice(-20))
      }
      if (type === SHARE_START) this.shares.push({ id, mime: new TextDecoder().decode(payload), chunks: [], stopped: false, play: null })
      const share = this.shares.at(-1)
      if (type === SHARE && share) {
        share.chunks.push(payload)
        share.feed?.()
      }
      if (type === SHARE_STOP && share) share.stopped = true
    }

    parseUsers(payload) {
      const users = []
      let at = 1
      for (let left = payload[0]; left > 0; left--) {
        const id = new TextDecoder().decode(payload.subarray(at, at + 36))
        const length = payload[at + 36]
        users.push({ id, name: new TextDecoder().decode(payload.subarray(at + 37, at + 37 + length)) })
        at += 37 + length
      }
      if (at !== payload.length) throw new Error(`a user list of ${payload.length} bytes, ${at} of them read`)
      return users
    }

    say(text) {
      const body = new TextEncoder().encode(text)
      const payload = new Uint8Array(9 + body.length)
      new DataView(payload.buffer).setFloat64(1, Date.now(), true)
      payload.set(body, 9)
      this.send(CHAT, payload)
    }

    sendImage(png) {
      const payload = new Uint8Array(9 + png.length)
      payload[0] = 1
      new DataView(payload.buffer).setFloat64(1, Date.now(), true)
      payload.set(png, 9)
      this.send(CHAT, payload)
    }

    /** A steady tone as the original sends sound: 372 ms a message, on the clock. */
    startTone(hz) {
      let block = 0
      const from = performance.now()
      const sendDue = () => {
        while (performance.now() - from >= (block * BLOCK_SAMPLES * 1000) / SAMPLE_RATE) {
          const samples = new Int16Array(BLOCK_SAMPLES)
          for (let index = 0; index < BLOCK_SAMPLES; index++) {
            samples[index] = 8000 * Math.sin((2 * Math.PI * hz * (block * BLOCK_SAMPLES + index)) / SAMPLE_RATE)
          }
          this.send(AUDIO, new Uint8Array(samples.buffer))
          block++
        }
      }
      this.tone = setInterval(sendDue, 20)
      sendDue()
    }

    stopTone() {
      clearInterval(this.tone)
    }

    /** Shares a canvas that changes all the time. */
    startShare() {
      const canvas = document.createElement('canvas')
      canvas.width = 480
      canvas.height = 270
      const context = canvas.getContext('2d')
      let frame = 0
      const paint = () => {
        frame++
        context.fillStyle = `hsl(${(frame * 7) % 360} 90% 50%)`
        context.fillRect(0, 0, 480, 270)
        context.fillStyle = '#fff'
        context.fillRect((frame * 5) % 480, 100, 60, 60)
        this.painting = requestAnimationFrame(paint)
      }
      paint()
      const mime = 'video/webm;codecs=vp8'
      this.send(SHARE_START, new TextEncoder().encode(mime))
      this.recorder = new MediaRecorder(canvas.captureStream(15), { mimeType: mime, videoBitsPerSecond: 500_000 })
      this.recorder.ondataavailable = async ({ data }) => data.size > 0 && this.recorder && this.send(SHARE, new Uint8Array(await data.arrayBuffer()))
      this.recorder.start(500)
    }

    stopShare() {
      this.recorder.stop()
      this.recorder = null
      cancelAnimationFrame(this.painting)
      this.send(SHARE_STOP)
    }

    /** Plays the newest share as the original does: MediaSource in sequence mode. */
    playShare() {
      const share = this.shares.at(-1)
      const source = new MediaSource()
      const video = Object.assign(document.createElement('video'), { muted: true, autoplay: true, src: URL.createObjectURL(source) })
      document.body.append(video)
      let fed = 0
      source.onsourceopen = () => {
        const buffer = source.addSourceBuffer(share.mime)
        buffer.mode = 'sequence'
        share.feed = () => {
          if (fed < share.chunks.length && !buffer.updating && source.readyState === 'open') buffer.appendBuffer(share.chunks[fed++])
        }
        buffer.onupdateend = share.feed
        share.feed()
      }
      void video.play().catch(() => {})
      return video
    }

    /** How much of a tone somebody's sound has: the loudest message's share of amplitude at `hz`, 0 to 1. */
    toneIn(id, hz) {
      let most = 0
      for (const samples of this.audioFrom.get(id) ?? []) {
        // The fake microphone's beeps are short: windows of 20 ms find them.
        for (let from = 0; from + 882 <= samples.length; from += 441) {
          let [real, imaginary] = [0, 0]
          for (let index = 0; index < 882; index++) {
            const angle = (2 * Math.PI * hz * index) / SAMPLE_RATE
            real += samples[from + index] * Math.cos(angle)
            imaginary += samples[from + index] * Math.sin(angle)
          }
          most = Math.max(most, (2 * Math.hypot(real, imaginary)) / 882 / 32_768)
        }
      }
      return most
    }
  }
  Object.assign(globalThis, { ClassicClient })
}
