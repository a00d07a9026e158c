// Owns the smallest client that can be late: joins by v2, announces nothing, and says when the first decodable byte of video came.

/** Serialised into the page; nothing outside of it exists there. @param {[url: string, room: string]} target @returns {Promise<number>} ms from the join */
export function firstDecodableByteMs([url, room]) {
  const JOIN = 16
  const MEDIA = 29
  const TRACK_CONFIG = 19
  const WELCOME = 17
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, 'pulse.v2')
    socket.binaryType = 'arraybuffer'
    let joined = 0
    /** Numbers of video tracks whose config is known, with their publisher. */
    const video = new Set()
    const limit = setTimeout(() => end(reject, new Error('no keyframe within 10 s')), 10_000)
    function end(settle, value) {
      clearTimeout(limit)
      socket.onclose = socket.onmessage = null
      socket.close(1000)
      settle(value)
    }
    const learn = (id, { track, source }) => (source === 'camera' || source === 'screen') && video.add(`${id}/${track}`)
    socket.onopen = () => {
      const hello = { version: 2, features: [], agent: 'latency' }
      const payload = new TextEncoder().encode(JSON.stringify({ hello, room, name: 'Late' }))
      const message = new Uint8Array(37 + payload.length)
      message[36] = JOIN
      message.set(payload, 37)
      joined = performance.now()
      socket.send(message)
    }
    socket.onmessage = ({ data }) => {
      const now = performance.now()
      const message = new Uint8Array(data)
      const id = new TextDecoder().decode(message.subarray(0, 36))
      const type = message[36]
      if (type === WELCOME || type === TRACK_CONFIG) {
        const body = JSON.parse(new TextDecoder().decode(message.subarray(37)))
        if (type === TRACK_CONFIG) learn(id, body)
        else for (const participant of body.roster.participants) for (const track of participant.tracks) learn(participant.id, track)
      }
      // Track is the first byte behind the header, flags the third; bit 0 is a keyframe's.
      if (type === MEDIA && video.has(`${id}/${message[37]}`) && message[39] & 1) end(resolve, now - joined)
    }
    socket.onclose = ({ code, reason }) => end(reject, new Error(`closed with ${code} ${reason}`))
  })
}
