// Owns the bytes of the protocol: frame, media header, chunks, control payloads (PROTOCOL.md sections 2 to 4, vectors.json).
// Never touches a socket, a clock or the DOM.

export const FrameType = Object.freeze({
  AUDIO: 1, USER_LIST_UPDATE: 3, JOIN_REQUEST: 4, SCREEN_SHARE: 5, SCREEN_SHARE_STOP: 6, SCREEN_SHARE_START: 7, CHAT_V1: 8,
  JOIN: 16, WELCOME: 17, ROSTER: 18, TRACK_CONFIG: 19, TRACK_STOP: 20, CHAT: 21, KEYFRAME_REQUEST: 22, PUBLISHER_ACK: 23,
  PING: 24, PONG: 25, ERROR: 26, SUBSCRIBE: 27, LEAVE: 28, MEDIA: 29, DEMAND: 30, UPDATE: 31,
  CONSTRAINED: 32, ALTERNATES: 33,
})
const KNOWN_TYPES = new Set(Object.values(FrameType))

export const ID_BYTES = 36
export const FRAME_HEADER = 37
export const MEDIA_HEADER = 20
export const MAX_MEDIA_FRAME = 1000
export const CHUNK_BYTES = MAX_MEDIA_FRAME - FRAME_HEADER - MEDIA_HEADER
export const MAX_CHUNKS = 1024
export const MAX_CHAT = 16_384
export const MAX_IMAGE = 1_048_576
/** The id of what the server itself says, and of a JOIN. */
export const ZERO_ID = '\0'.repeat(ID_BYTES)

/** @param {string} origin of an edge @returns {string} where its socket is */
export const socketUrl = (origin) => `${origin.replace('http', 'ws')}/v2`

const KEYFRAME = 1
const DISCARDABLE = 2
const LAST = 4
/** Level of a video frame, and of silence. */
export const LEVEL_NONE = 0x7f
const UUID = /^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$/

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true })

/** Bytes that do not follow the protocol; `name` is one of its error names. */
export class WireError extends Error {
  /** @param {string} name @param {string} [detail] */
  constructor(name, detail) {
    super(detail ? `${name}: ${detail}` : name)
    this.name = name
  }
}

/**
 * @typedef {{id: string, type: number, payload: Uint8Array}} Frame
 * @typedef {object} Media One chunk of one codec frame.
 * @property {string} id
 * @property {number} track
 * @property {number} config
 * @property {boolean} keyframe
 * @property {boolean} discardable
 * @property {boolean} last
 * @property {number} spatial
 * @property {number} temporal
 * @property {number} ref
 * @property {number} level
 * @property {number} chunk
 * @property {number} sequence
 * @property {bigint} captured µs
 * @property {Uint8Array} payload
 * @typedef {Omit<Media, 'chunk' | 'last'>} CodecFrame A whole codec frame, `payload` being all of it.
 */

/** @param {Uint8Array} bytes at least 36 @returns {string} */
function readId(bytes) {
  const id = String.fromCharCode.apply(null, /** @type {any} */ (bytes.subarray(0, ID_BYTES)))
  if (id !== ZERO_ID && !UUID.test(id)) throw new WireError('bad_id')
  return id
}

/** @param {Uint8Array} out @param {string} id @param {number} type */
function writeHeader(out, id, type) {
  for (let i = 0; i < ID_BYTES; i++) out[i] = id.charCodeAt(i)
  out[ID_BYTES] = type
}

/**
 * @param {Uint8Array} bytes one WebSocket message
 * @returns {Frame} whose payload is a view into `bytes`
 */
export function parseFrame(bytes) {
  if (bytes.length < FRAME_HEADER) throw new WireError('frame_too_short')
  const type = bytes[ID_BYTES]
  if (!KNOWN_TYPES.has(/** @type {any} */ (type))) throw new WireError('unknown_type', String(type))
  const id = readId(bytes)
  if (type === FrameType.MEDIA && bytes.length > MAX_MEDIA_FRAME) throw new WireError('frame_too_large')
  return { id, type, payload: bytes.subarray(FRAME_HEADER) }
}

/** @param {string} id @param {number} type @param {Uint8Array} [payload] @returns {Uint8Array<ArrayBuffer>} */
export function encodeFrame(id, type, payload = new Uint8Array(0)) {
  const out = new Uint8Array(FRAME_HEADER + payload.length)
  writeHeader(out, id, type)
  out.set(payload, FRAME_HEADER)
  return out
}

/** @param {Uint8Array} bytes one WebSocket message of type MEDIA @returns {Media} */
export function parseMedia(bytes) {
  if (bytes.length < FRAME_HEADER) throw new WireError('frame_too_short')
  if (bytes[ID_BYTES] !== FrameType.MEDIA) throw new WireError('unknown_type')
  const id = readId(bytes)
  if (bytes.length > MAX_MEDIA_FRAME) throw new WireError('frame_too_large')
  if (bytes.length <= FRAME_HEADER + MEDIA_HEADER) throw new WireError('bad_media_header', 'no payload')
  const view = new DataView(bytes.buffer, bytes.byteOffset + FRAME_HEADER, MEDIA_HEADER)
  const flags = view.getUint8(2)
  const layers = view.getUint8(3)
  const media = {
    id,
    track: view.getUint8(0),
    config: view.getUint8(1),
    keyframe: (flags & KEYFRAME) !== 0,
    discardable: (flags & DISCARDABLE) !== 0,
    last: (flags & LAST) !== 0,
    spatial: layers >> 4,
    temporal: layers & 15,
    ref: view.getUint8(4),
    level: view.getUint8(5),
    chunk: view.getUint16(6),
    sequence: view.getUint32(8),
    captured: view.getBigUint64(12),
    payload: bytes.subarray(FRAME_HEADER + MEDIA_HEADER),
  }
  if (media.track > 15 || flags > 7 || media.spatial > 2 || media.temporal > 3) throw new WireError('bad_media_header')
  if (media.keyframe !== (media.ref === 0)) throw new WireError('bad_media_header', 'keyframe and ref')
  if (media.chunk >= MAX_CHUNKS) throw new WireError('bad_media_header', 'chunk')
  if (!media.last && media.payload.length !== CHUNK_BYTES) throw new WireError('bad_media_header', 'short chunk')
  return media
}

/** @param {Media} media @returns {Uint8Array<ArrayBuffer>} the whole message */
export function encodeMedia(media) {
  const out = new Uint8Array(FRAME_HEADER + MEDIA_HEADER + media.payload.length)
  writeHeader(out, media.id, FrameType.MEDIA)
  const view = new DataView(out.buffer, FRAME_HEADER, MEDIA_HEADER)
  view.setUint8(0, media.track)
  view.setUint8(1, media.config)
  view.setUint8(2, (media.keyframe ? KEYFRAME : 0) | (media.discardable ? DISCARDABLE : 0) | (media.last ? LAST : 0))
  view.setUint8(3, (media.spatial << 4) | media.temporal)
  view.setUint8(4, media.ref)
  view.setUint8(5, media.level)
  view.setUint16(6, media.chunk)
  view.setUint32(8, media.sequence)
  view.setBigUint64(12, media.captured)
  out.set(media.payload, FRAME_HEADER + MEDIA_HEADER)
  return out
}

/**
 * Cuts a codec frame into messages, in order.
 * @param {CodecFrame} frame
 * @returns {Uint8Array<ArrayBuffer>[]}
 */
export function chunkFrame(frame) {
  const count = Math.ceil(frame.payload.length / CHUNK_BYTES)
  if (count < 1 || count > MAX_CHUNKS) throw new WireError('frame_too_large', `${frame.payload.length} bytes`)
  const messages = []
  for (let chunk = 0; chunk < count; chunk++) {
    const payload = frame.payload.subarray(chunk * CHUNK_BYTES, (chunk + 1) * CHUNK_BYTES)
    messages.push(encodeMedia({ ...frame, payload, chunk, last: chunk === count - 1 }))
  }
  return messages
}

/** Whether `a` is newer than `b` in 32-bit serial arithmetic. @param {number} a @param {number} b */
export function newer(a, b) {
  const distance = (a - b) >>> 0
  return distance !== 0 && distance < 0x8000_0000
}

/** What all chunks of a frame say alike. */
const SHARED_FIELDS = /** @type {const} */ (['track', 'config', 'keyframe', 'discardable', 'spatial', 'temporal', 'ref', 'level', 'captured'])

/** Puts the chunks of one (track, spatial layer) together again, in any order of arrival. Bounded: the oldest part goes first. */
export class Reassembler {
  /** @type {Map<number, {head: Media, parts: Map<number, Uint8Array>, count: number}>} by sequence, oldest first */
  #partial = new Map()
  #max
  /** @type {number | null} */
  #newestWhole = null
  /** Frames given up because newer ones needed their place. */
  abandoned = 0

  /** @param {number} [maxPartial] frames being put together at once */
  constructor(maxPartial = 8) {
    this.#max = maxPartial
  }

  /**
   * @param {Media} media
   * @returns {CodecFrame | null} the whole frame once its last missing chunk is here
   */
  push(media) {
    if (this.#newestWhole !== null && !newer(media.sequence, this.#newestWhole)) throw new WireError('bad_chunk', 'of an earlier frame')
    if (media.chunk === 0 && media.last && !this.#partial.has(media.sequence)) {
      this.#finish(media.sequence)
      return media
    }
    let entry = this.#partial.get(media.sequence)
    if (!entry) {
      if (this.#partial.size >= this.#max) {
        const oldest = this.#partial.keys().next().value
        if (oldest !== undefined) this.#partial.delete(oldest)
        this.abandoned++
      }
      entry = { head: media, parts: new Map(), count: 0 }
      this.#partial.set(media.sequence, entry)
    }
    const { head, parts } = entry
    if (SHARED_FIELDS.some((field) => head[field] !== media[field])) throw new WireError('bad_chunk', 'header differs')
    if (parts.has(media.chunk)) throw new WireError('bad_chunk', 'repeated')
    if (entry.count && (media.last || media.chunk >= entry.count)) throw new WireError('bad_chunk', 'after the last one')
    parts.set(media.chunk, media.payload)
    if (media.last) {
      entry.count = media.chunk + 1
      for (const index of parts.keys()) if (index >= entry.count) throw new WireError('bad_chunk', 'after the last one')
    }
    if (parts.size !== entry.count) return null
    this.#finish(media.sequence)
    let length = 0
    for (const part of parts.values()) length += part.length
    const payload = new Uint8Array(length)
    for (const [index, part] of parts) payload.set(part, index * CHUNK_BYTES)
    return { ...head, payload }
  }

  /** What is older than a whole frame will not be waited for. @param {number} whole */
  #finish(whole) {
    this.#newestWhole = whole
    for (const sequence of this.#partial.keys()) {
      if (newer(sequence, whole)) continue
      this.#partial.delete(sequence)
      if (sequence !== whole) this.abandoned++
    }
  }
}

/** @param {string} id @param {number} type @param {object} message @returns {Uint8Array<ArrayBuffer>} */
export const encodeControl = (id, type, message) => encodeFrame(id, type, encoder.encode(JSON.stringify(message)))

/**
 * Fields that a message from the edge must have, as type names; `?` marks one that may be missing.
 * @type {Record<number, Record<string, string>>}
 */
const SHAPES = {
  [FrameType.WELCOME]: {
    hello: 'object', id: 'uuid', resume: 'string', resumed: 'boolean', uploads: 'string', roster: 'object', region: 'region?', alternates: 'alternates?',
  },
  [FrameType.ROSTER]: { epoch: 'count', joined: 'array', updated: 'array', left: 'array' },
  [FrameType.TRACK_CONFIG]: {
    track: 'track', source: 'source', version: 'byte', muted: 'boolean', interrupted: 'interruption?', config: 'object',
  },
  [FrameType.TRACK_STOP]: { track: 'track' },
  [FrameType.CHAT]: { nonce: 'string', seq: 'count', at: 'number', text: 'string?', image: 'object?' },
  [FrameType.KEYFRAME_REQUEST]: { participant: 'uuid', track: 'track', layer: 'count' },
  [FrameType.PUBLISHER_ACK]: { acks: 'array', bytes: 'count', delayMs: 'number' },
  [FrameType.PING]: { t: 'number' },
  [FrameType.PONG]: { t: 'number' },
  [FrameType.ERROR]: { code: 'count', name: 'string', message: 'string', ends: 'boolean' },
  [FrameType.DEMAND]: { track: 'track', subscribers: 'count', decode: 'codecs' },
  [FrameType.CONSTRAINED]: { tracks: 'constraints' },
  [FrameType.ALTERNATES]: { alternates: 'alternates' },
}
const ALTERNATE = { url: 'origin', region: 'region' }
const CONSTRAINT = { participant: 'uuid', track: 'track', paused: 'boolean', reason: 'bandwidth' }
const ORIGIN = /^https?:\/\/[\w.:[\]-]{1,259}$/
const SOURCES = new Set(['microphone', 'camera', 'screen', 'screenAudio'])
const INTERRUPTIONS = new Set(['hidden', 'device', 'frozen', 'bandwidth', 'overload'])
const QUALITIES = new Set(['excellent', 'good', 'poor', 'lost', null])

/** @param {unknown} value @param {string} kind @returns {boolean} */
function fits(value, kind) {
  switch (kind) {
    case 'array': return Array.isArray(value)
    case 'object': return typeof value === 'object' && value !== null && !Array.isArray(value)
    case 'count': return Number.isSafeInteger(value) && /** @type {number} */ (value) >= 0
    case 'byte': return fits(value, 'count') && /** @type {number} */ (value) <= 255
    case 'track': return fits(value, 'count') && /** @type {number} */ (value) <= 15
    case 'uuid': return typeof value === 'string' && UUID.test(value)
    case 'source': return SOURCES.has(/** @type {any} */ (value))
    case 'interruption': return INTERRUPTIONS.has(/** @type {any} */ (value))
    case 'quality': return QUALITIES.has(/** @type {any} */ (value))
    case 'hand': return value === null || fits(value, 'count')
    case 'codecs': return Array.isArray(value) && value.length <= 16 && value.every((one) => typeof one === 'string' && one.length <= 16)
    case 'bandwidth': return value === kind
    case 'constraints': return isListOf(value, 256, CONSTRAINT)
    case 'alternates': return isListOf(value, 2, ALTERNATE)
    case 'origin': return typeof value === 'string' && ORIGIN.test(value)
    case 'region': return typeof value === 'string' && value.length <= 32
    default: return typeof value === kind
  }
}

/** @param {unknown} value @param {number} most @param {Record<string, string>} shape */
const isListOf = (value, most, shape) =>
  Array.isArray(value) && value.length <= most && value.every((one) => fits(one, 'object') && check(one, shape) === undefined)

/** @param {any} message @param {Record<string, string>} shape @returns {void} */
function check(message, shape) {
  for (const [field, kind] of Object.entries(shape)) {
    const optional = kind.endsWith('?')
    if (optional && message[field] === undefined) continue
    if (!fits(message[field], optional ? kind.slice(0, -1) : kind)) throw new WireError('bad_json', field)
  }
}

/** @param {any} participant */
function checkParticipant(participant) {
  if (!fits(participant, 'object')) throw new WireError('bad_json', 'participant')
  participant.hand ??= null
  participant.quality ??= null
  check(participant, { id: 'uuid', name: 'string', protocol: 'string', away: 'boolean', tracks: 'array', hand: 'hand', quality: 'quality' })
  for (const track of participant.tracks) {
    if (!fits(track, 'object')) throw new WireError('bad_json', 'tracks')
    check(track, SHAPES[FrameType.TRACK_CONFIG])
  }
}

/**
 * Reads a control payload of the edge and checks what this side relies on.
 * @param {number} type
 * @param {Uint8Array} payload
 * @returns {any}
 */
export function parseControl(type, payload) {
  // Rosters and welcomes of large rooms outgrow the bound that holds for what clients send.
  let message
  try {
    message = JSON.parse(decoder.decode(payload))
  } catch {
    throw new WireError('bad_json')
  }
  if (!fits(message, 'object')) throw new WireError('bad_json')
  const shape = SHAPES[type]
  if (shape) check(message, shape)
  if (type === FrameType.WELCOME) {
    check(message.roster, { epoch: 'count', participants: 'array' })
    message.roster.participants.forEach(checkParticipant)
  }
  if (type === FrameType.ROSTER) {
    for (const participant of [...message.joined, ...message.updated]) checkParticipant(participant)
    for (const gone of message.left) check(gone, { id: 'uuid', reason: 'string' })
  }
  return message
}
