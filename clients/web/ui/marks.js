/**
 * The words and signs for what is the matter with somebody's sound, picture or connection. Pure; the same words everywhere.
 */

/** @typedef {import('../sdk/pulse.js').Participant} Participant */
/** @typedef {import('../sdk/pulse.js').Track} Track */

const SOURCES = { camera: 'Camera', screen: 'Screen', microphone: 'Microphone', screenAudio: 'Sound of the screen' }
/** @type {Record<string, string>} */
const REASONS = {
  hidden: 'paused: tab in background',
  device: 'paused: device problem',
  frozen: 'stands still',
  bandwidth: 'paused: slow connection',
  overload: 'paused: device is busy',
}
/** @type {Record<string, string>} */
const QUALITIES = { excellent: 'Excellent connection', good: 'Good connection', poor: 'Poor connection', lost: 'Connection lost' }

/**
 * Why a track shows or sounds like nothing; empty: nothing is the matter.
 * @param {Pick<Track, 'source' | 'interrupted' | 'error' | 'streamState'>} track
 */
export function troubleOf({ source, interrupted, error, streamState }) {
  if (error) return error.message
  if (interrupted) return `${SOURCES[source]} ${REASONS[interrupted] ?? 'paused'}`
  if (streamState === 'paused') return `${SOURCES[source]} paused: your connection is slow`
  return ''
}

/** @param {string | null | undefined} quality */
export function qualityText(quality) {
  return QUALITIES[quality ?? ''] ?? ''
}

/**
 * Whose hands are up, the first one first.
 * @param {Pick<Participant, 'id' | 'handRaisedAt'>[]} participants
 * @returns {Map<string, number>} places, from 1
 */
export function handOrder(participants) {
  const raised = participants.filter(({ handRaisedAt }) => handRaisedAt !== null)
  raised.sort((a, b) => Number(a.handRaisedAt) - Number(b.handRaisedAt) || (a.id < b.id ? -1 : 1))
  return new Map(raised.map(({ id }, index) => [id, index + 1]))
}
