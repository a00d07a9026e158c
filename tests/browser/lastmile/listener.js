// Owns a participant without codecs in a page: it joins, notes of every frame when it was captured and when it was here, and decodes
// nothing. Serialised into a page of the edge; captured and arrived are of one machine, so they share a clock.

/**
 * @param {{room: string, name: string}} options
 */
export async function installListener({ room, name }) {
  const { encodeControl, FrameType, parseControl, parseFrame, parseMedia, ZERO_ID } = await import('/sdk/wire.js')
  const url = new URL('/v2', location.href)
  url.protocol = 'wss:'
  const socket = new WebSocket(url, 'pulse.v2')
  socket.binaryType = 'arraybuffer'
  /** @type {{track: number, keyframe: boolean, ref: number, sequence: number, last: boolean, ageMs: number, at: number}[]} */
  const frames = []
  Object.assign(globalThis, { pulseFrames: frames })
  let id = ZERO_ID
  await new Promise((resolve, reject) => {
    socket.onerror = reject
    socket.onopen = () => socket.send(encodeControl(ZERO_ID, FrameType.JOIN, { hello: { version: 2, features: [], agent: 'listener' }, room, name }))
    socket.onmessage = ({ data }) => {
      const now = performance.timeOrigin + performance.now()
      const bytes = new Uint8Array(data)
      const { type, payload } = parseFrame(bytes)
      if (type === FrameType.MEDIA) {
        const { track, keyframe, ref, sequence, last, captured } = parseMedia(bytes)
        frames.push({ track, keyframe, ref, sequence, last, ageMs: now - Number(captured) / 1000, at: now })
      } else if (type === FrameType.WELCOME) {
        id = parseControl(type, payload).id
        setInterval(() => socket.send(encodeControl(id, FrameType.PING, { t: 0 })), 2000)
        resolve(undefined)
      }
    }
  })
}
