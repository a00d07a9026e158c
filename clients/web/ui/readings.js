/**
 * The room's counters as a person reads them: how good it is, how fast, and for each participant what arrives of them. Pure.
 */

/** @typedef {{at: number, concealedMs: Map<string, number>}} Before what the last reading is needed for */
/** @typedef {{source: string, values: string[]}} Line */
/**
 * @typedef {object} Readings
 * @property {string} label
 * @property {string} tone excellent, good, poor, lost, or empty where nothing is known
 * @property {string} mos
 * @property {string} roundTrip
 * @property {string} edge where the call is carried
 * @property {string} up
 * @property {string} down
 * @property {{id: string, name: string, lines: Line[]}[]} people
 */

const SOURCES = /** @type {Record<string, string>} */ ({ microphone: 'Sound', camera: 'Camera', screen: 'Screen', screenAudio: 'Screen sound' })
const LABELS = /** @type {Record<string, string>} */ ({ excellent: 'Excellent', good: 'Good', poor: 'Poor', lost: 'Lost' })
const NONE = '–'

/**
 * @param {Record<string, any>} statistics of the room
 * @param {Map<string, string>} names by participant; the local one's id is ''
 * @param {number} now ms
 * @param {Before | null} before
 * @returns {{readings: Readings, before: Before}}
 */
export function readingsOf(statistics, names, now, before) {
  const sent = tracksOf(statistics['sent'])
  const received = tracksOf(statistics['received'])
  const quality = statistics['quality'] ?? {}
  const concealedMs = new Map(received.flatMap((track) => (typeof track['concealedMs'] === 'number' ? [[keyOf(track), track['concealedMs']]] : [])))
  const elapsed = before ? now - before.at : 0
  const people = [...names].map(([id, name]) => {
    const own = id === '' ? sent : received.filter((track) => track['participantId'] === id)
    const lines = own.map((track) => {
      const key = keyOf(track)
      const earlier = before?.concealedMs.get(key)
      const share = earlier === undefined || elapsed <= 0 ? null : Math.max(0, Number(track['concealedMs']) - earlier) / elapsed
      return { source: SOURCES[track['source']] ?? String(track['source']), values: [...(isVideo(track) ? videoValues(track) : audioValues(track, share)), ...(id === '' ? [rate([track])] : [])] }
    })
    return { id, name, lines }
  })
  const tone = LABELS[quality.label] ? String(quality.label) : ''
  return {
    readings: {
      label: LABELS[tone] ?? 'Measuring…', tone,
      mos: typeof quality.mos === 'number' ? quality.mos.toFixed(1) : NONE,
      roundTrip: ms(quality.rttMs ?? statistics['rttMs']), edge: edgeOf(statistics),
      up: rate(sent), down: rate(received), people,
    },
    before: { at: now, concealedMs },
  }
}

/** @param {Record<string, any>} statistics @returns {string} where the call is carried: region and host */
const edgeOf = ({ edge, region }) => [region, edge ? new URL(edge).host : ''].filter(Boolean).join(' · ') || NONE
/** @param {any} side @returns {Record<string, any>[]} */
const tracksOf = (side) => (Array.isArray(side?.tracks) ? side.tracks : [])
/** @param {Record<string, any>} track */
const keyOf = (track) => `${track['participantId'] ?? ''}/${track['source']}`
/** @param {Record<string, any>} track */
const isVideo = (track) => track['source'] === 'camera' || track['source'] === 'screen'
/** @param {unknown} value */
const ms = (value) => (typeof value === 'number' && Number.isFinite(value) ? `${Math.round(value)}\u00a0ms` : NONE)

/** @param {Record<string, any>[]} tracks */
function rate(tracks) {
  const kilobits = tracks.reduce((sum, track) => sum + (Number(track['bitsPerSecond']) || 0), 0) / 1000
  return kilobits >= 1000 ? `${(kilobits / 1000).toFixed(1)}\u00a0Mbit/s` : `${Math.round(kilobits)}\u00a0kbit/s`
}

/** @param {Record<string, any>} track */
function videoValues(track) {
  const width = track['width'] || track['config']?.codedWidth || track['config']?.width
  const height = track['height'] || track['config']?.codedHeight || track['config']?.height
  const codec = String(track['codec'] ?? track['config']?.codec ?? '').split('.')[0]?.toUpperCase() ?? ''
  const skew = track['skewMs'] ?? track['skewP95Ms']
  return [
    width && height ? `${width}\u00a0×\u00a0${height}` : '', typeof track['fps'] === 'number' ? `${Math.round(track['fps'])}\u00a0fps` : '',
    CODECS[codec] ?? codec, typeof skew === 'number' ? `skew\u00a0${ms(skew)}` : '',
  ].filter(Boolean)
}
/** @type {Record<string, string>} */
const CODECS = { VP09: 'VP9', AV01: 'AV1', AVC1: 'H.264', AVC3: 'H.264' }

/** @param {Record<string, any>} track @param {number | null} concealed share of the time */
function audioValues(track, concealed) {
  return [
    typeof track['targetMs'] === 'number' ? `buffer\u00a0${ms(track['targetMs'])}` : '',
    typeof track['delayMs'] === 'number' ? `delay\u00a0${ms(track['delayMs'])}` : '',
    concealed === null ? '' : `${(Math.min(1, concealed) * 100).toFixed(1)}\u00a0%\u00a0concealed`,
    track['muted'] === true ? 'muted' : '',
  ].filter(Boolean)
}
