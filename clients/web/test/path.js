// Owns a path of one publisher to its edge in simulated time: sound, pictures, an uplink of some rate with its queue, acknowledgements.
// Drives the SDK's own decisions as worker/publisher.js does. No clock and no randomness but its own.

import { Pacer } from '../sdk/send/pacer.js'
import { VideoRate } from '../sdk/send/rate.js'
import { Uplink } from '../sdk/send/uplink.js'
import { defaults } from '../sdk/defaults.js'
import { seeded } from './traces.js'

const AUDIO_BYTES = 180
const CHUNK_BYTES = 1000
const FULL_BITS = 1_500_000

/**
 * @param {object} options
 * @param {number} options.seconds
 * @param {number} options.rttMs without any queue
 * @param {(second: number) => number} options.bitsPerSecond what the path carries
 * @param {[number, number]} [options.stall] seconds between which nothing gets through
 * @param {number} [options.seed]
 */
export function publish({ seconds, rttMs, bitsPerSecond, stall = [0, 0], seed = 1 }) {
  const random = seeded(seed)
  const uplink = new Uplink()
  const rate = new VideoRate()
  const pacer = new Pacer()
  rate.begin(0, defaults.rate.start / FULL_BITS)
  /** @type {{at: number, kind: 'audio' | 'video', capturedMs: number, track: number, sequence: number, bytes: number}[]} */
  const inPath = []
  /** @type {{at: number, delayMs: number}[]} */
  const audio = []
  const video = []
  const shares = []
  const arrived = { bytes: 0, seqs: [-1, -1], leastMs: Infinity, baseMs: Infinity }
  const acks = []
  const sequences = [0, 0]
  let linkFreeAt = 0
  let skipped = false
  let keyframeAt = -Infinity
  const counts = { frames: 0, skipped: 0, restarts: 0 }
  let budgetBytes = 0
  const leave = (now, { track, sequence, first, bytes, at }) => {
    uplink.sent(track, sequence, bytes.length, first)
    if (now >= stall[0] * 1000 && now < stall[1] * 1000) linkFreeAt = Math.max(linkFreeAt, stall[1] * 1000)
    linkFreeAt = Math.max(now, linkFreeAt) + (bytes.length * 8000) / Math.max(1, bitsPerSecond(now / 1000))
    inPath.push({ at: linkFreeAt + rttMs / 2, track, sequence, bytes: bytes.length, capturedMs: at, last: bytes.last })
  }
  const drain = (now) => {
    if (pacer.takeStale(now).size > 0) {
      counts.restarts++
      keyframeAt = -Infinity
    }
    for (let chunk; (chunk = pacer.take(pacer.bytes && uplink.roomBytes(now)));) leave(now, chunk)
  }
  const audioPhase = Math.floor(random() * 20)
  for (let now = 0; now < seconds * 1000; now++) {
    while (inPath.length > 0 && inPath[0].at <= now) {
      const { track, sequence, bytes, capturedMs, last } = inPath.shift()
      arrived.bytes += bytes
      arrived.seqs[track] = sequence
      const transit = now - capturedMs
      arrived.leastMs = Math.min(arrived.leastMs, transit)
      arrived.baseMs = Math.min(arrived.baseMs, transit)
      if (track === 0) audio.push({ at: capturedMs, delayMs: transit })
      else if (last) video.push({ at: capturedMs, delayMs: transit })
    }
    if (now % 100 === 50 && arrived.leastMs < Infinity) {
      acks.push({ at: now + rttMs / 2, acks: arrived.seqs.map((seq, track) => ({ track, layer: 0, seq })).filter(({ seq }) => seq >= 0), bytes: arrived.bytes,
        delayMs: Math.round(arrived.leastMs - arrived.baseMs) })
      arrived.leastMs = Infinity
    }
    while (acks.length > 0 && acks[0].at <= now) {
      uplink.acknowledged(now, acks.shift(), rttMs + 5)
      drain(now)
      const trouble = uplink.isLate(now) || (skipped && !uplink.isClear)
      const clear = uplink.isClear && !skipped
      skipped = false
      rate.update(now, { trouble, clear, carried: (uplink.bitsPerSecond * defaults.rate.carriedShare) / FULL_BITS })
    }
    if (now % 20 === audioPhase) {
      leave(now, { track: 0, sequence: sequences[0]++, first: true, bytes: { length: AUDIO_BYTES, last: true }, at: now })
      drain(now)
    }
    if (now % 33 === 0) {
      if (uplink.durationMs(pacer.bytes) > defaults.pacer.queueMs) {
        skipped = true
        counts.skipped++
      } else {
        counts.frames++
        const usual = (rate.share * FULL_BITS) / 8 / 30
        const keyframe = now - keyframeAt >= 4000
        if (keyframe) keyframeAt = now
        // A keyframe costs as much as eight frames, and the encoder saves it up again.
        let bytes = Math.round(keyframe ? usual * 8 : usual * (0.7 + 0.4 * random()))
        const sequence = sequences[1]++
        for (let first = true; bytes > 0; first = false, bytes -= CHUNK_BYTES) {
          pacer.push({ track: 1, sequence, first, at: now, bytes: /** @type {any} */ ({ length: Math.min(bytes, CHUNK_BYTES), last: bytes <= CHUNK_BYTES }) })
        }
        drain(now)
      }
    }
    if (now % 100 === 0) shares.push({ at: now, share: rate.share })
  }
  return { audio, video, shares, counts, rate: rate.counters, pacer: pacer.counters }
}

/** @param {{at: number, delayMs: number}[]} arrivals @param {number} from ms @param {number} to ms @param {number} quantile */
export function delayOf(arrivals, from, to, quantile) {
  const delays = arrivals.filter(({ at }) => at >= from && at < to).map(({ delayMs }) => delayMs).sort((a, b) => a - b)
  return delays[Math.min(delays.length - 1, Math.floor(delays.length * quantile))]
}
