// Owns what stands in for samples that are not there, and the seams between what was not made to follow each other. Pure.

import { defaults } from '../defaults.js'
import { likeness } from './stretch.js'

const framesPerMs = defaults.sampleRate / 1000
const SEAM = defaults.stretch.overlapMs * framesPerMs
/** Over so many samples a period is bent to meet the one before it. */
const BEND = 64

/** The beginning of a block that is left out. @param {Float32Array} plane @returns {Float32Array<ArrayBuffer>} */
export const head = (plane) => /** @type {Float32Array<ArrayBuffer>} */ (plane.slice(0, SEAM))

/** Fades over from what would have come to what comes. @param {Float32Array | undefined} from @param {Float32Array<ArrayBuffer>} to */
export function join(from, to) {
  const out = to.slice()
  const length = Math.min(SEAM, to.length)
  for (let i = 0; i < length; i++) out[i] = (from?.[i] ?? 0) * (1 - i / length) + to[i] * (i / length)
  return out
}

/**
 * Goes on after a block with its last period over and over, fading to silence; `head` is how it would go on after that.
 * @param {Float32Array[]} last @param {number} frames @param {boolean} quiet fade at once
 */
export function conceal(last, frames, quiet = false) {
  const { holdMs, fadeMs } = defaults.conceal
  const hold = quiet ? 0 : holdMs * framesPerMs
  const fade = quiet ? SEAM : fadeMs * framesPerMs
  const period = last.length ? periodOf(last) : 0
  const planes = []
  const heads = []
  for (const plane of last.length ? last : [new Float32Array(0)]) {
    const all = new Float32Array(frames + SEAM)
    const start = plane.length - period
    const bend = period ? plane[plane.length - 1] - plane[start - 1] : 0
    const length = period ? Math.min(all.length, hold + fade) : 0
    for (let i = 0; i < length; i++) {
      const k = i % period
      const gain = i < hold ? 1 : 1 - (i - hold) / fade
      all[i] = (plane[start + k] + bend * Math.max(0, 1 - k / BEND)) * gain
    }
    planes.push(all.slice(0, frames))
    heads.push(all.slice(frames))
  }
  return { planes, head: heads }
}

/** The distance at which a block's end fits best onto itself; 0 if it is too short. @param {Float32Array[]} planes */
function periodOf(planes) {
  const { length } = planes[0]
  const overlap = Math.min(SEAM, length >> 2)
  const { minLagMs, maxLagMs } = defaults.stretch
  let best = { lag: 0, fit: -Infinity }
  const most = Math.min(maxLagMs * framesPerMs, length - overlap - 1)
  for (let lag = minLagMs * framesPerMs; lag <= most; lag += 2) {
    const fit = likeness(planes, length - overlap, length - overlap - lag, overlap, 2)
    if (fit > best.fit) best = { lag, fit }
  }
  return best.lag
}

/** Duration of an Opus packet by its first byte (RFC 6716 section 3.1). @param {Uint8Array} packet @returns {number} ms, 20 if unreadable */
export function opusDurationMs(packet) {
  const toc = packet[0] ?? 0
  const config = toc >> 3
  const frame = config < 12 ? [10, 20, 40, 60][config & 3] : config < 16 ? [10, 20][config & 1] : [2.5, 5, 10, 20][config & 3]
  const code = toc & 3
  const count = code === 0 ? 1 : code < 3 ? 2 : (packet[1] ?? 0) & 63
  const ms = frame * count
  return ms > 0 && ms <= 120 ? ms : 20
}
